"""What is sent: order, text, conditions; and that what comes back is what was sent."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir import json as lossless
from app.profiles import json_files
from app.store.repository import Key
from app.sync.conflicts.likeness import SYNC_ID, alike
from app.sync.pull.incoming import localised, own_id
from app.sync.pull.pages import Incoming
from app.sync.push import outgoing
from app.sync.push.ordering import layers, packed, referred, units
from app.sync.push.outgoing import Known, criteria, marks

BASE = "http://partner.test/fhir"
EXAMPLES = json_files("examples/valid")
KEYS = [("Patient", str(number)) for number in range(9)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[Key, frozenset[Key]]:
    """Resources with what they refer to, circles and resources elsewhere too."""
    keys = draw(st.permutations(KEYS))
    elsewhere: list[Key] = [("Group", "x")]
    return {key: draw(st.frozensets(st.sampled_from([*KEYS, *elsewhere]), max_size=4)) for key in keys}


@given(graphs(), st.integers(1, 9))
def test_nothing_is_sent_before_what_it_refers_to_circles_aside(refers: dict[Key, frozenset[Key]], limit: int) -> None:
    parts = units(list(refers), lambda key: key, refers)
    place = {key: number for number, part in enumerate(parts) for key in part}
    groups = list(packed(parts, limit))

    assert sorted(place) == KEYS
    for key, others in refers.items():
        for other in others & place.keys():
            assert place[other] <= place[key]
            if place[other] == place[key] and other != key:
                assert key in _reached(other, refers)
    assert [part for group in groups for part in group] == parts
    assert all(len(group) == 1 or sum(map(len, group)) <= limit for group in groups)


@given(graphs())
def test_a_layer_holds_nothing_that_refers_to_anything_else_in_it(refers: dict[Key, frozenset[Key]]) -> None:
    parts = units(list(refers), lambda key: key, refers)
    circles = {key: set(part) for part in parts for key in part}
    found = layers(parts, lambda key: key, refers)
    level = {key: number for number, layer in enumerate(found) for key in layer}

    assert sorted(level) == KEYS
    for key, others in refers.items():
        for other in (others & level.keys()) - circles[key]:
            assert level[other] < level[key]


def test_a_chain_longer_than_the_stack_is_ordered() -> None:
    keys: list[Key] = [("Patient", str(number)) for number in range(5_000)]
    refers = {key: frozenset([keys[number + 1]] if number < 4_999 else ()) for number, key in enumerate(keys)}

    assert units(keys, lambda key: key, refers) == [[key] for key in reversed(keys)]


def _reached(start: Key, refers: Mapping[Key, frozenset[Key]]) -> set[Key]:
    found, waiting = set(), [start]
    while waiting:
        for key in refers.get(waiting.pop(), ()):
            if key not in found:
                found.add(key)
                waiting.append(key)
    return found


def there(key: Key, version: str) -> str | None:
    """A target that calls everything otherwise, and has never seen our versions."""
    return f"{key[0]}/r-{key[1]}"


def returned(text: bytes, key: Key, remote_id: str) -> bytes:
    """What comes back when the target is read."""
    came = Incoming(key[0], remote_id, "7", 0, outgoing.with_id(text, remote_id))
    return localised(came, key[1], BASE, lambda link: f"{link[0]}/{link[1].removeprefix('r-')}")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("is_marked", [False, True])
def test_what_comes_back_is_what_was_sent(name: str, is_marked: bool) -> None:
    resource = {**EXAMPLES[name], "id": "x"}
    key = (resource["resourceType"], resource["id"])
    text = lossless.dumps(resource)

    sent = outgoing.content(text, key, is_marked=is_marked, there=there)
    back = lossless.parse_object(returned(sent, key, "r-x"))

    assert alike(back, lossless.parse_object(text))
    assert back["id"] == "x"
    assert SYNC_ID not in str(back)
    if is_marked:
        assert own_id(Incoming(*key, "", 0, sent), "") == "x"
        assert marks(lossless.parse_object(sent)) == ["/".join(key)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)
links = st.builds(
    "{}/{}".format, st.sampled_from(("Patient", "Group")), st.from_regex("[A-Za-z0-9]{1,9}", fullmatch=True)
)
observations = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "id": st.just("o")},
    optional={
        "subject": st.builds(lambda link: {"reference": link}, links),
        "hasMember": st.lists(st.builds(lambda link: {"reference": link}, links), max_size=3),
        "identifier": st.lists(st.builds(lambda value: {"value": value}, st.text("abc", min_size=1)), min_size=1),
        "meta": st.just({"tag": [{"code": "a"}], "versionId": "3"}),
        "extension": st.just([{"url": "http://a.test/x", "valueUri": "Patient/1"}]),
        "_status": st.dictionaries(st.just("id"), st.text("abc", min_size=1), min_size=1),
        "other": json_values,
    },
)


@given(observations, st.booleans())
def test_outgoing_and_back_is_the_same_for_any_resource(resource: dict[str, Any], is_marked: bool) -> None:
    text = lossless.dumps(resource)

    sent = outgoing.content(text, ("Observation", "o"), is_marked=is_marked, there=there)
    back = lossless.parse_object(returned(sent, ("Observation", "o"), "r-o"))

    assert alike(back, lossless.parse_object(text))
    subject = resource.get("subject", {}).get("reference")
    assert lossless.parse_object(sent).get("subject", {}).get("reference") == (
        subject and subject.replace("/", "/r-", 1)
    )


def test_a_version_that_the_target_never_had_is_there_the_resource_itself() -> None:
    assert outgoing.link_there("Patient/1/_history/3#x", there) == "Patient/r-1#x"
    assert outgoing.link_there("Patient/1", lambda *_: None) == "Patient/1"
    assert [outgoing.link_there(link, there) for link in ("#a", "urn:uuid:1", "http://a.test/Patient/1")] == [
        "#a",
        "urn:uuid:1",
        "http://a.test/Patient/1",
    ]


def test_a_resource_does_not_refer_to_itself() -> None:
    tree = {"resourceType": "Patient", "id": "1", "link": [{"other": {"reference": "Patient/1"}, "type": "refer"}]}

    assert referred(tree) == frozenset()
    assert referred(None) == frozenset()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            outgoing.creation(KEYS[1], b'{"resourceType":"Patient","id":"1"}', "urn:uuid:1", conditional_update=True,
                              conditional_create=True),
            ({"method": "PUT", "url": f"Patient?{criteria(KEYS[1])}"}, {}),
        ),
        (
            outgoing.creation(KEYS[1], b'{"resourceType":"Patient","id":"1"}', "urn:uuid:1", conditional_update=False,
                              conditional_create=True),
            (
                {"method": "POST", "url": "Patient", "ifNoneExist": criteria(KEYS[1])},
                {"If-None-Exist": criteria(KEYS[1])},
            ),
        ),
        (
            outgoing.creation(KEYS[1], b'{"resourceType":"Patient","id":"1"}', "urn:uuid:1", conditional_update=False,
                              conditional_create=False),
            ({"method": "POST", "url": "Patient"}, {}),
        ),
        (
            outgoing.update(KEYS[1], b'{"resourceType":"Patient"}', Known("9", 'W/"2"')),
            ({"method": "PUT", "url": "Patient/9", "ifMatch": 'W/"2"'}, {"If-Match": 'W/"2"'}),
        ),
        (
            outgoing.deletion(KEYS[1], Known("9", 'W/"2"')),
            ({"method": "DELETE", "url": "Patient/9", "ifMatch": 'W/"2"'}, {"If-Match": 'W/"2"'}),
        ),
    ],
)  # fmt: skip
def test_the_conditions_are_the_same_in_a_bundle_and_alone(made: outgoing.Outgoing, expected: tuple[Any, Any]) -> None:
    assert (made.request(), made.headers()) == expected
    body = lossless.parse_object(made.text or b"{}")
    assert body.get("id") == ("9" if made.method == "PUT" and "?" not in made.address else None)


def test_two_instances_never_take_each_others_resource_for_their_own() -> None:
    text = outgoing.content(
        b'{"resourceType":"Patient","id":"1"}', KEYS[1], is_marked=True, there=lambda *_: None, instance="north"
    )
    seen = Incoming("Patient", "x", "1", 0, text)

    assert own_id(seen, "north") == KEYS[1][1]
    assert own_id(seen, "south") == own_id(seen, "") == ""
    assert criteria(KEYS[1], instance="north") != criteria(KEYS[1], instance="south")
