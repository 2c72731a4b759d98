"""A new instrument needs its file and nothing else: shown with one that is added to a copy of the content."""

import shutil
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app import profiles
from app.mapping.questionnaires.observation import assessment_from_fhir, assessment_to_fhir
from app.mapping.questionnaires.questionnaire import questionnaire
from app.pain.content import Content, load_content
from app.pain.instruments.assessments import Assessment
from app.pain.instruments.scoring import score, scores_view
from app.pain.instruments.types import Answer
from app.pain.instruments.views import instrument_view
from app.routers.assessment_schemas import assessment_schemas
from app.validation import Validator, load_validator
from tools import derive_constraints, derive_context, derive_sums, expressions
from tools.derive_terminology import derived
from tools.instrument_pages import page

ANSWERS: dict[str, Answer] = {"ache": 3, "worse": True, "when": "at-night"}
FILE = """
id = "made-up"
title = "Made-up scale"
version = "1.0.0"
recall = "Today"
licence = "None"
source = "This test"
citation = "None"
allows = "Nothing"
codings = []
item = [
  { key = "ache", label = "Ache", answer = { type = "integer", low = 0, high = 4 }, weight = 2 },
  { key = "worse", label = "Worse than before", answer = { type = "boolean" }, weight = -1 },
  { key = "when", label = "When", answer = { type = "choice", options = [
    { key = "by-day", label = "By day", points = 0 },
    { key = "at-night", label = "At night", points = 5 },
  ] } },
]

[[score]]
id = "made-up"
label = "Made-up score"
method = "sum"
items = ["ache", "worse", "when"]
range = [-1, 13]
cutoff = 7
bands = "loudness"

[bands]
loudness = [{ id = "low", from = -1, to = 9 }, { id = "loud", from = 10, to = 13 }]

[[example]]
source = "A case"
answers = { ache = 3, worse = true, when = "at-night" }
scores = { made-up = { value = 10, cutoff = 7, positive = true, band = "loud" } }
"""


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Content]:
    """The content with the file added, and everything derived from it written anew."""
    folder = tmp_path_factory.mktemp("content") / "profiles"
    shutil.copytree(profiles.FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "instruments" / "made-up.toml").write_text(FILE, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "FOLDER", folder)
        made = load_content.__wrapped__()
        for tool in (derive_constraints, derive_context, derive_sums, expressions):
            patch.setattr(tool, "CONTENT", made)
        _write(folder / "terminology", derived())
        _write(folder / "structuredefinitions", derive_constraints.derived_profiles())
        yield load_content.__wrapped__()


def _write(folder: Path, definitions: dict[str, Any]) -> None:
    for stem, definition in definitions.items():
        (folder / f"{stem}.json").write_text(derive_constraints.text(definition), "utf-8")


@pytest.fixture(scope="module")
def validator(content: Content) -> Validator:
    return load_validator([questionnaire(content.instruments["made-up"])])


def written(content: Content) -> list[dict[str, Any]]:
    numbers = count(1)
    one = Assessment("Patient/12", "made-up", "2026-05-01T09:30:00Z", ANSWERS)
    scores = score(content.instruments["made-up"], ANSWERS)
    made = assessment_to_fhir(one, scores, content, patient_ref="Patient/12", ids=lambda: f"m{next(numbers)}")
    assert assessment_from_fhir(made, content) == one
    return deepcopy(made)


def test_its_examples_score_as_stated_and_every_page_and_schema_has_it(content: Content) -> None:
    one = content.instruments["made-up"]

    assert scores_view(score(one, ANSWERS)) == one.examples[0]["scores"]
    assert instrument_view(one)["items"][2]["options"][1] == {"key": "at-night", "label": "At night"}
    assert assessment_schemas(content)["Assessment-made-up"]["properties"]["answers"]["properties"].keys() == {*ANSWERS}
    assert "`at-night`: At night" in page(one)
    assert content.own("np-score-band", "loud").display == "Loud"


def test_what_is_written_for_it_is_valid(content: Content, validator: Validator) -> None:
    resources = [questionnaire(content.instruments["made-up"]), *written(content)]

    assert [issue for one in resources for issue in validator.check(one) if issue.is_error] == []


@pytest.mark.parametrize(
    ("code", "change", "rule"),
    [
        ("made-up", {"valueQuantity": {"value": 14}}, "np-score-made-up-range"),
        ("made-up", {"valueQuantity": {"value": 9}}, "np-score-made-up-band"),
        ("made-up", {"interpretation": []}, "np-score-made-up-cutoff"),
        ("made-up.ache", {"valueInteger": 5}, "np-item-made-up-a"),
    ],
)
def test_what_contradicts_its_file_is_refused(
    content: Content, validator: Validator, code: str, change: dict[str, Any], rule: str
) -> None:
    found = next(one for one in written(content)[1:] if one["code"]["coding"][-1]["code"] == code)
    for name, value in change.items():
        found[name] = found[name] | value if isinstance(value, dict) else value
    found = {name: value for name, value in found.items() if value != []}

    assert rule in {issue.rule for issue in validator.check(found) if issue.is_error}
    assert not validator.admits(found)
