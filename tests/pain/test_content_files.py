"""The content files say only what was verified, and agree with each other."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.instruments import Instrument, ScoreRule, attainable
from app.pain.scoring import score, scores_view
from app.profiles import FOLDER, canonical, json_files, toml_files
from tools.derive_constraints import derived_profiles
from tools.derive_terminology import derived, text

CONTENT = load_content()
SYSTEMS = toml_files("vocabulary")["systems"]["system"]
# Code systems of others that are listed code by code in verified-codes.csv.
LISTED = {
    SYSTEMS[name]
    for name in ("snomed", "loinc", "ucum", "rxnorm", "atc", "icd-10-cm", "icd-10", "icd-11", "icd-10-pcs")
}


def verified() -> dict[tuple[str, str], str]:
    path = Path(__file__).parents[1] / "data" / "verified-codes.csv"
    with path.open(encoding="utf-8") as file:
        return {
            (row["system"], row["code"]): row["display"] for row in csv.DictReader(file) if row["status"] == "verified"
        }


def coded(value: Any) -> Iterator[tuple[str, str, str | None]]:
    """Every (system, code, display) in a content file, wherever it stands."""
    if isinstance(value, dict):
        if isinstance(value.get("code"), str) and isinstance(value.get("system"), str):
            yield SYSTEMS.get(value["system"], value["system"]), value["code"], value.get("display")
        if isinstance(value.get("concept"), list) and "system" in value:
            for one in value["concept"]:
                yield value["system"], one["code"], one.get("display")
        for inner in value.values():
            yield from coded(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from coded(inner)


def files() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in ("vocabulary", "instruments", "units", "searchparameters", "rules"):
        found |= {f"{folder}/{name}": file for name, file in toml_files(folder).items()}
    for folder in ("terminology", "structuredefinitions", "examples/valid", "examples/invalid"):
        found |= {f"{folder}/{name}": file for name, file in json_files(folder).items()}
    return found


@pytest.mark.parametrize("name", files())
def test_every_outside_code_is_verified_with_the_display_given(name: str) -> None:
    known = verified()
    if name.startswith("examples/invalid"):
        # What a record must not be coded with is no verified code.
        known |= dict.fromkeys(CONTENT.diagnoses.headings, "")
    file = {key: value for key, value in files()[name].items() if key != "header"}

    wrong = [
        one
        for one in coded(file)
        if one[0] in LISTED and ((one[0], one[1]) not in known or one[2] not in (None, known[one[0], one[1]]))
    ]

    assert wrong == []


def test_every_code_of_ours_exists() -> None:
    own = {
        one["url"]: {row["code"] for row in one["concept"]}
        for one in json_files("terminology").values()
        if "concept" in one
    }

    unknown = [
        (name, system, code)
        for name, file in files().items()
        if not name.startswith("examples/invalid")
        for system, code, _ in coded(file)
        if system in own and code not in own[system]
    ]

    assert unknown == []


def test_python_holds_no_code_or_code_system_of_others() -> None:
    pattern = re.compile("|".join(re.escape(url) for url in LISTED) + r"|(?<![\w.])\d{8,18}\b|\b\d{4,5}-\d\b")

    found = [
        (path.name, match.group())
        for folder in ("pain", "mapping")
        for path in (FOLDER.parent / folder).glob("*.py")
        for match in pattern.finditer(path.read_text("utf-8"))
    ]

    assert found == []


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


@pytest.mark.parametrize("name", [name for name, file in json_files("terminology").items() if "concept" in file])
def test_our_code_systems_are_complete_and_defined(name: str) -> None:
    system = json_files("terminology")[name]

    # The keys of constraints are rules of validation too, and any guide may bring its own.
    assert system["content"] == ("fragment" if system["id"] == "np-validation-rule" else "complete")
    assert system["caseSensitive"] is True
    assert system["url"] == canonical("CodeSystem", system["id"])
    assert system["count"] == len({row["code"] for row in system["concept"]}) == len(system["concept"])
    assert all(row["display"] and row["definition"] for row in system["concept"])


@pytest.mark.parametrize("name", [name for name in files() if not name.startswith("examples")])
def test_every_file_states_its_version_and_licence(name: str) -> None:
    file = files()[name]
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


@pytest.mark.parametrize(("instrument", "rule"), score_rules(), ids=[rule.id for _, rule in score_rules()])
def test_bands_cover_the_range_without_gap_or_overlap(instrument: Instrument, rule: ScoreRule) -> None:
    hits = [
        sum(band.low <= value <= band.high for band in rule.bands) for value in range(int(rule.low), int(rule.high) + 1)
    ]

    assert set(hits) <= ({1} if rule.bands else {0})


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
