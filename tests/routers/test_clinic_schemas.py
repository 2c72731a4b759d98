"""What the OpenAPI document says of the clinic's bodies is what the service reads: field by field, word by word."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from app import profiles
from app.main import create_app
from app.settings import Settings

Json = dict[str, Any]
DOCUMENT: Json = create_app(Settings()).openapi()
SCHEMAS: Json = DOCUMENT["components"]["schemas"]
COVERAGE = Path(__file__).parents[2] / "examples" / "coverage.toml"
ASKED = {
    "/pain/diagnoses": "DiagnosisAsked",
    "/pain/examinations": "ExaminationAsked",
    "/pain/treatment-plans": "TreatmentPlanAsked",
}
# Their fields depend on what is examined; they are looked at by themselves.
BY_TYPE = "ExaminationResult"
NONE = "no-such-word"


def resolved(schema: Json) -> Json:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return resolved(SCHEMAS[name]) if name else schema


def branches(schema: Json) -> list[Json]:
    """What a value may be: the schema, or each of those it is one of."""
    found = resolved(schema)
    return [each for one in found["oneOf"] for each in branches(one)] if "oneOf" in found else [found]


def places(schema: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """Every object and every list of words below a schema, and where a value of it stands."""
    if str(schema.get("$ref", "")).endswith(BY_TYPE):
        return
    for one in branches(schema):
        if one.get("type") == "array":
            yield from places(one["items"], (*path, 0))
        elif "properties" in one or "enum" in one:
            yield path, one
            for name, each in one.get("properties", {}).items():
                yield from places(each, (*path, name))


def holding(path: tuple[str | int, ...], value: Any) -> Any:
    """A body in which a value stands at a place."""
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def told(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


async def refusals(client: httpx.AsyncClient, address: str, body: Any) -> dict[str, str]:
    """What is said of each place of a body that is refused."""
    answer = await client.post(f"{address}?dry_run=true", json=body)
    assert answer.status_code == 422, answer.text
    return {issue["expression"][0]: issue["diagnostics"] for issue in answer.json()["issue"]}


def words_of(sentence: str, after: str) -> set[str]:
    """The words that a refusal lists."""
    found = re.search(rf"{after} (.*?)[.;]?(?: for another one.*|$)", sentence)
    assert found, sentence
    return set(found[1].split(", "))


@pytest.mark.parametrize("address", ASKED)
async def test_fields_and_words_are_those_that_are_read(client: httpx.AsyncClient, address: str) -> None:
    looked_at = 0
    for path, schema in places(SCHEMAS[ASKED[address]]):
        where, wanted = told(path), set(schema.get("properties") or schema["enum"])
        if "properties" in schema:
            said = await refusals(client, address, holding(path, {NONE: 1}))
            found = words_of(said[f"{where}.{NONE}".removeprefix(".")], "the known ones are")
        else:
            said = await refusals(client, address, holding(path, NONE))
            found = words_of(said[where], "[Ee]xpected one of")
        assert found == wanted, where
        looked_at += 1

    assert looked_at >= 5


async def test_fields_of_results_are_those_that_some_examination_reads(client: httpx.AsyncClient) -> None:
    found = set[str]()
    for one in (await client.get("/pain/examination-types")).json()["examination_types"]:
        results = [{"parameter": each["key"], NONE: 1} for each in one["parameters"]]
        body = {"examination": one["id"], "results": results}
        for place, sentence in (await refusals(client, "/pain/examinations", body)).items():
            if place.endswith(NONE):
                found |= words_of(sentence, "the known ones are")

    assert found == set(SCHEMAS[BY_TYPE]["properties"])


def test_all_that_is_shown_to_work_is_what_the_schemas_say() -> None:
    asked = [(f"POST {address}", one) for address, one in _shown()]
    asked += [
        (one["request"], json.loads(one["body"]) | {"patient": "Patient/1"})
        for one in tomllib.loads(COVERAGE.read_text("utf-8"))["example"]
    ]
    problems, looked_at = [], 0
    for request, body in asked:
        name = ASKED.get(request.removeprefix("POST "))
        if name:
            looked_at += 1
            schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
            problems += [f"{one.json_path}: {one.message}" for one in Draft202012Validator(schema).iter_errors(body)]

    assert problems == []
    assert looked_at > 50


def _shown() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for address in ASKED:
        shown = json.loads(
            json.dumps(profiles.json_files("examples/requests")[address.rpartition("/")[2]], default=float)
        )
        yield address, shown


def test_a_schema_refuses_what_is_no_body() -> None:
    schema = {"$ref": "#/components/schemas/DiagnosisAsked", "components": DOCUMENT["components"]}
    right = dict(next(one for address, one in _shown() if address == "/pain/diagnoses"))
    validator = Draft202012Validator(schema)

    assert validator.is_valid(right)
    for wrong in ({"laterality": "up"}, {"onsett": "2025"}, {"basis": {"confirmatory_test": [{"method": "smell"}]}}):
        assert not validator.is_valid(right | wrong), wrong
