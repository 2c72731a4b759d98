"""_summary and _elements: what is left of a resource, byte for byte, and what they may not be asked."""

import json
from typing import Any

import pytest

from app.fhir.outcomes import Refused
from app.fhir.subset import SUBSETTED, SUBSETTED_SYSTEM, Subset, asked, subset
from app.profiles import FOLDER, r4

TAG = {"system": SUBSETTED_SYSTEM, "code": SUBSETTED}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "meta": {"versionId": "2", "tag": [{"code": "own"}]},
    "implicitRules": "http://x.y",
    "text": {"status": "generated", "div": "<div/>"},
    "contained": [{"resourceType": "Basic", "id": "b"}],
    "extension": [{"url": "http://x.y"}],
    "modifierExtension": [{"url": "http://x.y"}],
    "status": "final",
    "_status": {"id": "s"},
    "category": [{"text": "c"}],
    "code": {"text": "k", "extension": [{"url": "http://x.y"}]},
    "valueSampledData": {"origin": {"value": 1}, "period": 1, "dimensions": 1, "data": "1 2"},
    "note": [{"text": "n"}],
    "component": [
        {"id": "i", "extension": [{"url": "http://x.y"}], "code": {"text": "a"}, "valueString": "v"},
        {"code": {"text": "b"}, "interpretation": [{"text": "h"}], "modifierExtension": [{"url": "http://x.y"}]},
    ],
}


def shown(wanted: Subset, resource: Any = OBSERVATION) -> Any:
    return json.loads(subset(json.dumps(resource).encode(), wanted))


def test_the_summary_has_what_is_marked_as_summary_at_every_level() -> None:
    left = shown(Subset("true"))

    assert left == {
        "resourceType": "Observation",
        "id": "1",
        "meta": {"versionId": "2", "tag": [{"code": "own"}, TAG]},
        "implicitRules": "http://x.y",
        "modifierExtension": OBSERVATION["modifierExtension"],
        "status": "final",
        "_status": {"id": "s"},
        "code": OBSERVATION["code"],
        "valueSampledData": {"origin": {"value": 1}, "period": 1, "dimensions": 1},
        "component": [
            {"id": "i", "code": {"text": "a"}, "valueString": "v"},
            {"code": {"text": "b"}, "modifierExtension": [{"url": "http://x.y"}]},
        ],
    }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Subset("text"), {"resourceType", "id", "meta", "text", "status", "_status", "code"}),
        (Subset("data"), set(OBSERVATION) - {"text"}),
        (
            Subset(elements=frozenset({"value", "Observation.note", "Patient.category"})),
            {"resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status", "code"}
            | {"valueSampledData", "note"},
        ),
    ],
    ids=["text", "data", "elements"],
)
def test_other_parts_are_of_the_top_level_and_have_what_is_mandatory(wanted: Subset, names: set[str]) -> None:
    left = shown(wanted)

    assert set(left) == names
    assert {name: left[name] for name in names - {"meta"}} == {name: OBSERVATION[name] for name in names - {"meta"}}
    assert TAG in left["meta"]["tag"]


def test_what_is_kept_is_kept_as_it_was_written() -> None:
    text = b'{ "resourceType" : "Observation", "status": "\\u0066inal", "valueQuantity": { "value" : 7.50 }, "note":[]}'

    left = subset(text, Subset("true"))

    assert b'"status":"\\u0066inal"' in left
    assert b'"valueQuantity":{"value":7.50}' in left.replace(b" ", b"")


def test_a_resource_without_meta_gets_one_for_the_tag() -> None:
    assert shown(Subset("text"), {"resourceType": "Patient"}) == {"resourceType": "Patient", "meta": {"tag": [TAG]}}


def test_the_summary_of_an_attachment_is_without_its_data() -> None:
    attachment = {"contentType": "text/plain", "data": "YQ==", "title": "t"}
    resource = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": attachment}]}

    left = shown(Subset("true"), resource)

    assert left["content"] == [{"attachment": {"contentType": "text/plain", "title": "t"}}]


@pytest.mark.parametrize("type_", [name for name, each in r4()["types"].items() if each["kind"] == "resource"])
def test_every_type_has_a_summary(type_: str) -> None:
    assert shown(Subset("true"), {"resourceType": type_, "id": "1", "nope": 1}) == {
        "resourceType": type_,
        "id": "1",
        "meta": {"tag": [TAG]},
    }


@pytest.mark.parametrize("path", sorted((FOLDER / "examples" / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_a_part_of_an_example_adds_nothing_but_the_tag(path: Any) -> None:
    whole = json.loads(path.read_bytes())

    for summary in ("true", "text", "data"):
        left = json.loads(subset(path.read_bytes(), Subset(summary)))
        left["meta"]["tag"].remove(TAG)
        assert _is_part(left, whole | {"meta": {"tag": [], **whole.get("meta", {})}})


@pytest.mark.parametrize(
    ("summary", "elements", "wanted"),
    [
        ("", "", None),
        ("false", "", None),
        ("count", "", None),
        ("true", "", Subset("true")),
        ("data", "", Subset("data")),
        ("", "name, active,", Subset(elements=frozenset({"name", "active"}))),
        ("false", "Patient.name", Subset(elements=frozenset({"Patient.name"}))),
    ],
)
def test_parameters_say_what_is_wanted(summary: str, elements: str, wanted: Subset | None) -> None:
    assert asked(summary, elements, ["Patient", "Observation"]) == wanted


@pytest.mark.parametrize(
    ("summary", "elements", "parameters"),
    [
        ("yes", "", ["_summary"]),
        ("", "shoe,sock", ["_elements", "_elements"]),
        ("", "name.family", ["_elements"]),
        ("", "Observation.status", ["_elements"]),
        ("", "valueQuantity", ["_elements"]),
        ("true", "name", ["_elements"]),
        ("yes", "shoe", ["_summary", "_elements"]),
    ],
)
def test_what_cannot_be_wanted_is_refused(summary: str, elements: str, parameters: list[str]) -> None:
    with pytest.raises(Refused) as error:
        asked(summary, elements, ["Patient"])

    assert [issue.expression for issue in error.value.issues] == parameters


def _is_part(left: Any, whole: Any) -> bool:
    if isinstance(left, dict):
        return all(name in whole and _is_part(value, whole[name]) for name, value in left.items())
    if isinstance(left, list):
        return len(left) == len(whole) and all(_is_part(one, other) for one, other in zip(left, whole, strict=True))
    return bool(left == whole)
