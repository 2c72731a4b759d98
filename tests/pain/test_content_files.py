"""The content files say only what was verified, and agree with each other."""

import json
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.instruments.scoring import score, scores_view
from app.pain.instruments.types import Instrument, ScoreRule, attainable
from app.profiles import FOLDER, canonical, json_files, toml_files
from tools.derive_constraints import derived_profiles
from tools.derive_terminology import derived, text

CONTENT = load_content()


@cache
def files() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in ("vocabulary", "guidelines", "instruments", "examinations", "units", "searchparameters", "rules"):
        found |= {f"{folder}/{name}": file for name, file in toml_files(folder).items()}
    for folder in ("terminology", "structuredefinitions"):
        found |= {f"{folder}/{name}": file for name, file in json_files(folder).items()}
    return found


FILES = files()


def test_derived_terminology_is_up_to_date() -> None:
    stale = [
        stem
        for stem, definition in derived().items()
        if (FOLDER / "terminology" / f"{stem}.json").read_text("utf-8") != text(definition)
    ]

    assert stale == []


def test_derived_constraints_are_up_to_date() -> None:
    stale = [
        stem
        for stem, definition in derived_profiles().items()
        if (FOLDER / "structuredefinitions" / f"{stem}.json").read_text("utf-8") != text(definition)
    ]

    assert stale == []


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if "concept" in file])
def test_our_code_systems_are_complete_and_defined(name: str) -> None:
    system = FILES[name]

    # The keys of constraints are rules of validation too, and any guide may bring its own.
    assert system["content"] == ("fragment" if system["id"] == "np-validation-rule" else "complete")
    assert system["caseSensitive"] is True
    assert system["url"] == canonical("CodeSystem", system["id"])
    assert system["count"] == len({row["code"] for row in system["concept"]}) == len(system["concept"])
    assert all(row["display"] and row["definition"] for row in system["concept"])


@pytest.mark.parametrize("name", FILES)
def test_every_file_states_its_version_and_licence(name: str) -> None:
    file = FILES[name]
    path = FOLDER / (name + (".json" if name.startswith(("terminology", "structure")) else ".toml"))
    words = path.read_text("utf-8").casefold()

    assert file["version"]
    assert "licence" in words or "copyright" in words


def worked_examples() -> list[tuple[Instrument, Any]]:
    return [(one, example) for one in CONTENT.instruments.values() for example in one.examples]


@pytest.mark.parametrize(
    ("instrument", "example"), worked_examples(), ids=[f"{one.id}: {ex['source']}" for one, ex in worked_examples()]
)
def test_worked_examples_score_as_published(instrument: Instrument, example: Any) -> None:
    scores = scores_view(score(instrument, example["answers"]))

    stated = {name: {key: value for key, value in one.items() if value is not None} for name, one in scores.items()}
    assert stated == example["scores"]


def score_rules() -> list[tuple[Instrument, ScoreRule]]:
    return [(one, rule) for one in CONTENT.instruments.values() for rule in one.scores]


@pytest.mark.parametrize(("instrument", "rule"), score_rules(), ids=[rule.id for _, rule in score_rules()])
def test_declared_range_is_the_attainable_range(instrument: Instrument, rule: ScoreRule) -> None:
    assert attainable(instrument, rule) == (rule.low, rule.high)


def values_of(rule: ScoreRule) -> list[Decimal | int]:
    """Every value a score can have: those of its table, hundredths of a mean, else whole numbers."""
    if rule.table:
        return list(rule.table.values())
    step = Decimal("0.01") if rule.method == "mean" else 1
    return [rule.low + step * number for number in range(int((rule.high - rule.low) / step) + 1)]


@pytest.mark.parametrize(("instrument", "rule"), score_rules(), ids=[rule.id for _, rule in score_rules()])
def test_bands_cover_the_range_without_gap_or_overlap(instrument: Instrument, rule: ScoreRule) -> None:
    hits = {value: sum(band.low <= value <= band.high for band in rule.bands) for value in values_of(rule)}

    assert set(hits.values()) <= ({1} if rule.bands else {0})
    assert {min(hits), max(hits)} == {rule.low, rule.high}


def test_every_profile_has_a_valid_and_an_invalid_example() -> None:
    profiles = {
        file["url"] for file in json_files("structuredefinitions").values() if file["type"] not in ("Extension",)
    }

    valid = {url for one in json_files("examples/valid").values() for url in one.get("meta", {}).get("profile", [])}
    invalid = {
        url
        for one in json_files("examples/invalid").values()
        for url in one["resource"].get("meta", {}).get("profile", [])
    }

    assert profiles <= valid
    assert profiles <= invalid


@pytest.mark.parametrize("kind", ["drugs", "therapies", "routes", "measures"])
def test_no_name_means_two_things(kind: str) -> None:
    words = {
        "drugs": ("drugs", "drug"),
        "therapies": ("therapies", "therapy"),
        "routes": ("routes", "route"),
        "measures": ("goals", "measure"),
    }
    file, table = words[kind]
    names: list[str] = []
    for row in toml_files("vocabulary")[file][table]:
        own = {row["id"], row.get("name") or row["label"], *row.get("names", []), *row.get("narrower", [])}
        names += {"".join(name.casefold().split()) for name in own}

    assert len(names) == len(set(names))


def test_json_files_are_written_one_way() -> None:
    uneven = [
        path.name
        for path in (FOLDER / "terminology").glob("*.json")
        if path.read_text("utf-8")
        != json.dumps(json.loads(path.read_text("utf-8")), indent=2, ensure_ascii=False) + "\n"
    ]

    assert uneven == []
