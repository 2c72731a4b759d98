"""JSON Patch and JSON Merge Patch: what they change, what they may not, and what malformed ones are told."""

import json
from typing import Any

import pytest

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, TooLarge, Unprocessable, WrongMediaType
from app.fhir.patch import apply, read_patch

PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "tag": [{"code": "t"}]},
    "name": [{"family": "A", "given": ["x", "y"]}],
    "active": True,
}
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"


def patched(media_type: str, body: Any, resource: Any = PATIENT) -> Any:
    text = apply(read_patch(media_type, body), json.dumps(resource).encode())
    return lossless.parse(text)


def refused(media_type: str, body: Any, resource: Any = PATIENT) -> tuple[type[Refused], list[Issue]]:
    try:
        patched(media_type, body, resource)
    except Refused as error:
        return type(error), list(error.issues)
    raise AssertionError("the patch was taken")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/gender", "value": "male"}, {"gender": "male"}),
        ({"op": "add", "path": "/name/0/given/-", "value": "z"}, {"name": [{"family": "A", "given": ["x", "y", "z"]}]}),
        ({"op": "add", "path": "/name/0/given/0", "value": "z"}, {"name": [{"family": "A", "given": ["z", "x", "y"]}]}),
        ({"op": "remove", "path": "/name/0/given/1"}, {"name": [{"family": "A", "given": ["x"]}]}),
        ({"op": "replace", "path": "/active", "value": False}, {"active": False}),
        (
            {"op": "move", "from": "/name/0/family", "path": "/name/0/text"},
            {"name": [{"text": "A", "given": ["x", "y"]}]},
        ),
        ({"op": "copy", "from": "/active", "path": "/name/0/use"}, {"name": [{**PATIENT["name"][0], "use": True}]}),  # type: ignore[index]
        ({"op": "test", "path": "/active", "value": True}, {}),
    ],
    ids=lambda value: value.get("op", ""),
)
def test_each_operation_of_json_patch_does_what_it_says(operation: Any, expected: dict[str, Any]) -> None:
    assert patched(JSON_PATCH, [operation]) == PATIENT | expected


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "remove", "path": "/photo"}, "not-found"),
        ({"op": "replace", "path": "/name/7/family", "value": "B"}, "not-found"),
        ({"op": "add", "path": "/name/7", "value": {}}, "not-found"),
        ({"op": "add", "path": "/name/01", "value": {}}, "not-found"),
        ({"op": "add", "path": "/contact/0/name", "value": {}}, "not-found"),
        ({"op": "add", "path": "/active/x", "value": 1}, "not-found"),
        ({"op": "move", "from": "/name", "path": "/name/0/x"}, "not-found"),
        ({"op": "copy", "from": "/photo", "path": "/name"}, "not-found"),
        ({"op": "test", "path": "/active", "value": 1}, "conflict"),
        ({"op": "test", "path": "/active", "value": "true"}, "conflict"),
        ({"op": "test", "path": "/photo", "value": None}, "conflict"),
        ({"op": "replace", "path": "/id", "value": "2"}, "business-rule"),
        ({"op": "remove", "path": "/id"}, "business-rule"),
        ({"op": "replace", "path": "/resourceType", "value": "Person"}, "business-rule"),
        ({"op": "replace", "path": "/meta/versionId", "value": "4"}, "business-rule"),
        ({"op": "replace", "path": "/meta/lastUpdated", "value": "2027"}, "business-rule"),
        ({"op": "replace", "path": "", "value": {"resourceType": "Patient"}}, "business-rule"),
        ({"op": "replace", "path": "", "value": []}, "structure"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_resource_is_told_with_the_operation(operation: Any, code: str) -> None:
    kind, found = refused(JSON_PATCH, [{"op": "test", "path": "/active", "value": True}, operation])

    assert kind is Unprocessable
    assert [(issue.code, issue.pointer) for issue in found] == [(code, "/1")]
    assert "peration 1" in found[0].diagnostics


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, [""]),
        ("add", [""]),
        ([{"op": "add", "path": "/x"}], ["/0"]),
        ([{"op": "merge", "path": "/x"}, 7], ["/0/op", "/1"]),
        ([{"path": "/x"}], ["/0/op"]),
        ([{"op": ["add"], "path": "/x"}], ["/0/op"]),
        ([{"op": "move", "from": "x", "path": "~2"}], ["/0/from", "/0/path"]),
        ([{"op": "remove", "path": 3}, {"op": "copy"}], ["/0/path", "/1", "/1"]),
    ],
    ids=str,
)
def test_a_malformed_json_patch_is_refused_with_every_flaw(body: Any, pointers: list[str]) -> None:
    kind, found = refused(JSON_PATCH, body)

    assert kind is Refused
    assert sorted(str(issue.pointer) for issue in found) == pointers


def test_too_many_operations_are_refused() -> None:
    kind, _ = refused(JSON_PATCH, [{"op": "test", "path": "/active", "value": True}] * 1001)

    assert kind is TooLarge


@pytest.mark.parametrize("target", ["/x{}", "/extension/-"])
def test_copies_that_double_the_resource_are_bounded(target: str) -> None:
    bomb = [{"op": "add", "path": "/extension", "value": [{"url": "x"}]}]
    bomb += [{"op": "copy", "from": "", "path": target.format(number)} for number in range(60)]

    kind, found = refused(JSON_PATCH, bomb)

    assert (kind, found[0].code) == (Unprocessable, "too-costly")


def test_copies_of_a_long_text_are_bounded() -> None:
    resource = {**PATIENT, "name": [{"text": "x" * 900_000}]}
    bomb = [{"op": "copy", "from": "/name/0", "path": "/name/-"}] * 8

    kind, found = refused(JSON_PATCH, bomb, resource)

    assert (kind, found[0].code) == (Unprocessable, "too-costly")


def test_moves_that_nest_without_end_are_refused() -> None:
    nest = [{"op": "move", "from": "/x", "path": "/extension/x"}, {"op": "move", "from": "/extension", "path": "/x"}]
    body: list[dict[str, Any]] = [{"op": "add", "path": "/x", "value": {}}]
    for _ in range(333):
        body += [{"op": "add", "path": "/extension", "value": {}}, *nest]

    resource = apply(read_patch(JSON_PATCH, body), json.dumps(PATIENT).encode())

    with pytest.raises(Refused) as error:
        lossless.parse(resource)
    assert error.value.issues[0].rule == "dmt-json-depth"


@pytest.mark.parametrize("digits", ["1.10", "1e-7", "0.00000010", "-0", "-0.00", "1E+2", "72.50", "12345678901234567"])
@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON_PATCH, [{"op": "add", "path": "/status", "value": "final"}]),
        (MERGE_PATCH, {"status": "final"}),
    ],
)
def test_numbers_that_are_not_patched_keep_their_form(media_type: str, body: Any, digits: str) -> None:
    text = f'{{"resourceType":"Observation","id":"1","valueQuantity":{{"value":{digits}}}}}'.encode()

    kept = apply(read_patch(media_type, body), text)

    assert f'"value":{digits}}}'.encode() in kept


@pytest.mark.parametrize("digits", ["1.10", "0.50", "100"])
@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        (JSON_PATCH, '[{"op":"add","path":"/multipleBirthInteger","value":%s}]'),
        (MERGE_PATCH, '{"multipleBirthInteger":%s}'),
    ],
)
def test_numbers_of_the_patch_keep_their_digits(media_type: str, form: str, digits: str) -> None:
    patch = read_patch(media_type, lossless.parse((form % digits).encode()))

    assert f'"multipleBirthInteger":{digits}'.encode() in apply(patch, json.dumps(PATIENT).encode())


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    # RFC 7396, appendix A, inside an extension of a resource.
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
    ids=str,
)
def test_merge_patch_follows_the_examples_of_its_rfc(target: Any, patch: Any, result: Any) -> None:
    made = patched(MERGE_PATCH, {"part": patch}, {"resourceType": "Basic", "id": "1", "part": target})

    assert made["part"] == result


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([], Refused),
        ("x", Refused),
        ({"id": "2"}, Unprocessable),
        ({"id": None}, Unprocessable),
        ({"resourceType": "Person"}, Unprocessable),
        ({"meta": {"versionId": "9"}}, Unprocessable),
    ],
    ids=str,
)
def test_a_merge_patch_that_cannot_be_is_refused(body: Any, kind: type[Refused]) -> None:
    assert refused(MERGE_PATCH, body)[0] is kind


def test_what_is_the_same_may_be_said_again() -> None:
    assert patched(MERGE_PATCH, PATIENT) == PATIENT


def test_an_unspecific_media_type_is_told_apart_by_the_form_of_the_body() -> None:
    parameters = {
        "name": "operation",
        "part": [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.active"}],
    }
    bodies = {
        "json": [{"op": "remove", "path": "/active"}],
        "fhirpath": {"resourceType": "Parameters", "parameter": [parameters]},
        "merge": {"active": None},
    }

    kinds = {kind: read_patch("application/json", body).kind for kind, body in bodies.items()}
    results = [patched("application/json", body) for body in bodies.values()]

    assert kinds == {kind: kind for kind in bodies}
    assert results == [{name: value for name, value in PATIENT.items() if name != "active"}] * 3


def test_other_media_types_are_no_patch() -> None:
    assert refused("text/plain", [])[0] is WrongMediaType
