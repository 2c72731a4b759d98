"""$diff's pure part: the steps, done as a JSON Patch, make the one resource of the other."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fhir import json as lossless
from app.fhir.differences import Difference, differences
from app.fhir.patch import Patch, apply

_leaves = st.one_of(st.booleans(), st.integers(-9, 9), st.sampled_from(["", "a", "b/c~d", "0"]))
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd/~"), inner, max_size=4)),
    max_leaves=12,
)
_contents = st.dictionaries(st.sampled_from(["a", "b", "name", "x/y"]), _values, max_size=4)


def resource(content: dict[str, Any], version: str) -> bytes:
    return json.dumps({"resourceType": "Basic", "id": "x", "meta": {"versionId": version}, **content}).encode()


def as_patch(steps: list[Difference]) -> Patch:
    made = [
        {"op": each.op, "path": each.path, **({"value": json.loads(each.value)} if each.value else {})}
        for each in steps
    ]
    return Patch("json", made)


@given(_contents, _contents)
@settings(max_examples=300, deadline=None)
def test_the_steps_make_one_of_the_other(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = resource(one, "1"), resource(other, "2")

    steps = differences(before, after)

    patched = apply(as_patch(steps), before) if steps else before
    assert lossless.same_content(patched, after)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {}, [("remove", "/a", b"")]),
        ({"a": ["x", "z"]}, {"a": ["x", "y", "z"]}, [("add", "/a/1", b'"y"')]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [("replace", "/a/0/b", b"2")]),
    ],
)
def test_a_change_is_told_where_it_is(
    one: dict[str, Any], other: dict[str, Any], expected: list[tuple[str, str, bytes]]
) -> None:
    steps = differences(resource(one, "1"), resource(other, "2"))

    assert [(each.op, each.path, each.value) for each in steps] == expected


def test_a_number_written_with_other_digits_is_a_difference() -> None:
    steps = differences(b'{"resourceType":"Basic","value":1.5}', b'{"resourceType":"Basic","value":1.50}')

    assert steps == [Difference("replace", "/value", b"1.50")]
