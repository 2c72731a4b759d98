"""What is said of the terms of others is complete, and the same everywhere."""

import re
from pathlib import Path

import pytest

from app.fhir.json import dumps
from app.guide.examples import examples
from app.guide.licences import InstrumentTerms, Terms, instruments, terminologies
from app.mapping.definitions import own_definitions
from app.pain.content import load_content
from app.profiles import toml_files
from app.settings import Settings
from tools.licences_page import PAGE, page

NOTICE = (Path(__file__).parents[2] / "NOTICE").read_text("utf-8")


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_code_system_of_others_has_terms() -> None:
    systems = toml_files("vocabulary")["systems"]["system"]

    uncovered = {name for name, url in systems.items() if not any(one.covers(url) for one in terminologies())}

    assert uncovered == set()


@pytest.mark.parametrize("one", terminologies(), ids=lambda one: one.name)
def test_a_notice_is_carried_where_the_page_says(one: Terms) -> None:
    first = re.split(r" and |, ", one.name)[0]

    assert f"\n{first}" in NOTICE or f" {first}\n" in NOTICE
    assert one.carried.startswith("NOTICE")


@pytest.mark.parametrize("one", instruments(load_content()), ids=lambda one: one.id)
def test_the_notice_names_the_owner_of_every_instrument(one: InstrumentTerms) -> None:
    # What is said of codes stands under their terminology.
    own = re.split(r"[.;]? (?:LOINC codes: |SNOMED CT )", one.licence)[0].rstrip(".")

    assert f"{one.title}: {own}." in " ".join(NOTICE.split())


def test_a_setting_leaves_out_what_the_page_says_it_does() -> None:
    settings = {f"DERMATOME_{name.upper()}" for name in Settings.model_fields}
    switches = [*(one.off for one in terminologies()), *(one.off for one in instruments(load_content()))]
    named = {each.partition("=")[0] for each in switches if each}

    assert named == {"DERMATOME_ICD_11", "DERMATOME_INSTRUMENTS_OFF"}
    assert named <= settings


def test_no_example_shows_icd_11_where_it_is_switched_off() -> None:
    shown = {one.stem: dumps(one.resource) for one in examples(load_content(icd_11=False))}

    assert len(shown) < len(examples(load_content()))
    assert [stem for stem, text in shown.items() if b"icd/release/11" in text] == []


def test_a_questionnaire_carries_the_licence_of_its_instrument() -> None:
    told = {
        one["id"]: one["copyright"] for one in own_definitions(load_content()) if one["resourceType"] == "Questionnaire"
    }

    assert told == {one.id: one.licence for one in instruments(load_content())}


def test_a_value_set_or_map_with_codes_of_others_says_whose_they_are() -> None:
    owners = {
        "http://snomed.info/sct": "SNOMED",
        "http://loinc.org": "LOINC|Regenstrief",
        "http://id.who.int/icd/release/11/mms": "ICD-11|World Health Organization",
        "http://www.whocc.no/atc": "ATC|WHO",
        "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm|National Library",
    }

    silent = [
        (one["id"], system)
        for one in own_definitions(load_content())
        if one["resourceType"] in ("ValueSet", "ConceptMap")
        for system, owner in owners.items()
        if f"'{system}'" in str(one) and not re.search(owner, one.get("copyright", ""))
    ]

    assert silent == []
