"""The ready tables as files: conforming, true to the content they speak of, documented."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.mapping.careplans.tier import LINES
from app.pain.content import load_content
from app.profiles import FOLDER, canonical, json_files, r4, toml_files
from app.views.content_tables import CONTENT_TABLES, content_rows
from app.views.view import compile_view
from tools.views_page import ASKED_FOR, PAGE, columns_of, page

CONTENT = load_content()
DEFINITIONS = {one["name"]: one for one in json_files("views").values()}
VIEWS = {name: one for name, one in DEFINITIONS.items() if one["resourceType"] == "ViewDefinition"}
# What a column of a tabular view may be: TabularViewDefinition of SQL on FHIR.
PRIMITIVES = {"boolean", "canonical", "code", "dateTime", "decimal", "instant", "integer", "string"}
Json = dict[str, Any]


def paths(definition: Mapping[str, Any]) -> Iterator[str]:
    """Every FHIRPath expression of a view."""
    for key, value in definition.items():
        if key in ("path", "forEach", "forEachOrNull"):
            yield value
        for one in value if isinstance(value, list) else ():
            yield from paths(one) if isinstance(one, dict) else ()


def test_what_was_promised_is_there() -> None:
    assert set(ASKED_FOR) <= DEFINITIONS.keys()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_shareable_tabular_and_documented(name: str) -> None:
    one = DEFINITIONS[name]

    columns = columns_of(one)

    assert one["url"] == canonical(one["resourceType"], name.replace("_", "-"))
    assert one["id"] == name.replace("_", "-")
    assert one["version"]
    assert one["description"]
    assert len({each.name for each in columns}) == len(columns)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", each.name) for each in columns)
    assert {each.type for each in columns} <= PRIMITIVES
    assert all(each.description.endswith(".") for each in columns)
    assert one["resourceType"] == "Library" or one["fhirVersion"] == ["4.0.1"]


@pytest.mark.parametrize("name", VIEWS)
def test_every_path_of_a_view_names_elements_there_are(name: str) -> None:
    assert compile_view(VIEWS[name]).warnings == ()


@pytest.mark.parametrize("name", VIEWS)
def test_every_branch_of_a_union_has_the_same_columns(name: str) -> None:
    for select in VIEWS[name]["select"]:
        told = [[(one["name"], one["type"]) for one in each["column"]] for each in select.get("unionAll", [])]

        assert all(one == told[0] for one in told)


@pytest.mark.parametrize("name", VIEWS)
def test_every_system_and_extension_a_view_names_is_defined(name: str) -> None:
    ours = {one["url"] for one in json_files("structuredefinitions").values()}
    known = ours | set(CONTENT.systems.values()) | r4()["profiles"].keys()

    named = {one["valueUri"] for one in VIEWS[name].get("constant", [])}
    named |= {one for text in paths(VIEWS[name]) for one in re.findall(r"\$this = '([^']+)'", text)}

    assert named - known == set()


NERVE_TESTS = ("ncs", "emg", "qst", "sensory-exam", "skin-biopsy", "corneal-microscopy")
IN_SYSTEM = re.compile(r"system = %(\w+) and (?:\(([^()]*)\)|(code !?= '[^']*'))")
CODE = re.compile(r"\bcode !?= '([^']*)'")


@pytest.mark.parametrize("name", VIEWS)
def test_every_code_a_view_names_is_in_the_content(name: str) -> None:
    systems = {one["name"]: one["valueUri"] for one in VIEWS[name].get("constant", [])}
    rows = csv.DictReader((Path(__file__).parents[1] / "data" / "verified-codes.csv").open(encoding="utf-8"))
    verified = {(one["system"], one["code"]) for one in rows}
    verified |= {(row["system"], row["code"]) for row in toml_files("vocabulary")["fixed"]["coding"].values()}
    texts = list(paths(VIEWS[name]))

    found = [
        (systems[system], code)
        for text in texts
        for system, several, one in IN_SYSTEM.findall(text)
        for code in CODE.findall(several or one)
    ]

    names = {uri: key for key, uri in CONTENT.systems.items()}
    unknown = [
        (uri, code)
        for uri, code in found
        if code not in CONTENT.complete.get(uri, ()) and not {(uri, code), (names[uri], code)} & verified
    ]
    assert unknown == []
    assert len(found) == sum(len(CODE.findall(text)) for text in texts), "a code stands without its system"


def test_sides_are_told_by_their_codes() -> None:
    text = next(one["path"] for one in VIEWS["scores"]["select"][0]["column"] if one["name"] == "laterality")

    told = {side: code for code, side in re.findall(r"= '([^']+)', '(\w+)'", text)}

    assert told == {name: side.code for name, side in CONTENT.sides.items()}


def test_every_score_of_an_instrument_is_a_row_of_scores() -> None:
    condition = VIEWS["scores"]["where"][1]["path"]
    told = {
        ("own" if name.startswith("np_") else {"sct": "snomed"}.get(name, name)) + f"|{code}"
        for name, several, _ in IN_SYSTEM.findall(condition)
        for code in CODE.findall(several)
    }

    known = {row[0]: row[2] for row in content_rows("scales")}

    combined = {f"own|{rule.coding.code}" for one in CONTENT.instruments.values() for rule in one.scores}
    assert told | combined >= known.keys()
    assert told <= known.keys()


def test_every_parameter_of_a_nerve_test_is_a_row() -> None:
    branches = next(one["unionAll"] for one in VIEWS["nerve_tests"]["select"] if "unionAll" in one)

    told = {one["column"][0]["path"].strip("'"): set(CODE.findall(one["forEach"])) for one in branches}

    known = {name: set(CONTENT.examinations.types[name].parameters) for name in NERVE_TESTS}
    assert told == known


def test_lines_of_treatment_are_those_requests_are_written_with() -> None:
    sql = (FOLDER / "views" / "treatment_steps.sql").read_text("utf-8")

    told = dict(re.findall(r"WHEN '([a-z-]+)' THEN '(first|second|third)'", sql))

    assert told == {tier: line for line, tier in LINES.items()}


def test_a_responder_has_the_relief_the_columns_are_named_for() -> None:
    names = [one.name for one in CONTENT_TABLES["responder_rule"].columns]

    rows = [dict(zip(names, row, strict=True)) for row in content_rows("responder_rule")]

    assert {(row["responder_30"], row["responder_50"]) for row in rows} == {(30, 50)}


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tools.views_page"
