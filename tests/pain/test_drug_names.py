"""A medicine gets the codes of what was said and of nothing more; what was said is kept."""

from typing import Any

import pytest

from app.pain.concepts import Concept
from app.pain.content import load_content
from app.pain.plans.activities import activity_view
from app.pain.plans.treatments import plan_notes, read_plan
from app.profiles import toml_files
from tests.pain.cases import NOW

CONTENT = load_content()
DRUGS = CONTENT.drugs.rows


def drug(value: Any) -> Concept:
    [activity] = read_plan({"patient": "Patient/12", "activities": [{"drug": value}]}, CONTENT, NOW).activities
    assert activity.drug is not None
    return activity.drug


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("venlafaxine ER", "venlafaxine"),
        ("Tapentadol  ER", "tapentadol"),
        ("lidocaine patch", "lidocaine"),
        ("capsaicin patch", "capsaicin"),
        ("Capsaicin 0.075 % cream", "capsaicin-cream"),
        ("sodium valproate", "valproic-acid"),
    ],
)
def test_a_name_that_says_more_than_its_row_keeps_its_words(name: str, row: str) -> None:
    assert drug(name) == Concept(DRUGS[row].codings, name)
    assert drug({"text": name}) == drug(name)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("lidocaine 5% patch", "lidocaine-patch"),
        ("lignocaine", "lidocaine"),
        ("acetaminophen", "paracetamol"),
        ("botulinum toxin", "botulinum-toxin"),
        ("botulinum toxin A", "botulinum-toxin-a"),
    ],
)
def test_a_pure_synonym_is_its_row(name: str, row: str) -> None:
    assert drug(name) == DRUGS[row].concept


@pytest.mark.parametrize("name", ["gabapentin 300 mg capsules", "lidocaine 4 % cream", "naltrexone"])
def test_any_other_name_is_text_without_a_code(name: str) -> None:
    assert drug(name) == Concept((), name)


def test_a_capsaicin_patch_of_no_stated_strength_has_no_code() -> None:
    assert drug("capsaicin patch").codings == ()


@pytest.mark.parametrize("code", [("atc", "M03AX01"), ("atc", "N01BB02")])
def test_a_code_never_gains_one_that_says_more(code: tuple[str, str]) -> None:
    system, value = code

    got = drug({"system": CONTENT.systems[system], "code": value})

    narrow = {coding.code for row in ("botulinum-toxin-a", "lidocaine-patch") for coding in DRUGS[row].codings}
    assert not {coding.code for coding in got.codings[1:]} & narrow


@pytest.mark.parametrize("name", ["venlafaxine ER", "duloxetine", "Willow bark"])
def test_the_view_gives_back_the_words(name: str) -> None:
    [activity] = read_plan({"patient": "Patient/12", "activities": [{"drug": name}]}, CONTENT, NOW).activities

    assert activity_view(activity, CONTENT)["drug"] == name


def test_only_ziconotide_is_taken_for_intrathecal() -> None:
    rows = toml_files("vocabulary")["drugs"]["drug"]

    assert [row["id"] for row in rows if row.get("route") == "intrathecal"] == ["ziconotide"]


@pytest.mark.parametrize("name", ["epidural", "exercise"])
def test_a_therapy_named_too_widely_is_kept_as_text_and_noted(name: str) -> None:
    read = read_plan({"patient": "Patient/12", "activities": [{"therapy": name}]}, CONTENT, NOW)

    assert read.activities[0].therapy == name
    assert plan_notes(read, CONTENT) == ["activities[0].therapy was not checked: not in the list of therapies"]


def test_a_nerve_block_does_not_become_a_peripheral_one() -> None:
    read = read_plan({"patient": "Patient/12", "activities": [{"therapy": "nerve block"}]}, CONTENT, NOW)

    assert read.activities[0].therapy == "nerve-block"
