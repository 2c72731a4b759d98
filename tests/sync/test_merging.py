"""What two servers made of one version: both changes stand, and what cannot stand together is decided and told."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.fhir import json as lossless
from app.sync.conflicts.likeness import SYNC_ID, alike, form
from app.sync.conflicts.merging import Decide, Difference, is_taken_apart, merge
from app.sync.conflicts.rules import decide, newer, problem_of

Tree = dict[str, Any]
OURS, THEIRS, MANUAL = (decide(rule, {}, None) for rule in ("ours", "theirs", "manual"))


def observation(**elements: Any) -> Tree:
    return {"resourceType": "Observation", "id": "1", "status": "final", **elements}


def component(code: str, **elements: Any) -> Tree:
    return {"code": {"coding": [{"system": "s", "code": code}]}, **elements}


def quantity(value: int, unit: str = "mm") -> Tree:
    return {"value": value, "unit": unit}


BURNING, COLD = component("burning", valueBoolean=True), component("cold", valueBoolean=True)
NOT_COLD = component("cold", valueBoolean=False)
NARRATIVE, OTHER_NARRATIVE = ({"status": "generated", "div": f"<div>{text}</div>"} for text in ("a", "b"))
MERGED: dict[str, tuple[Tree, Tree, Tree, Tree]] = {
    "an element each": (
        {"issued": "2026-01-01T00:00:00Z"},
        {"issued": "2026-01-02T00:00:00Z"},
        {"issued": "2026-01-01T00:00:00Z", "note": [{"text": "t"}]},
        {"issued": "2026-01-02T00:00:00Z", "note": [{"text": "t"}]},
    ),
    "the same change": ({"valueInteger": 1}, {"valueInteger": 2}, {"valueInteger": 2}, {"valueInteger": 2}),
    "taken out there": ({"valueInteger": 1, "note": [{"text": "n"}]}, {"valueInteger": 2, "note": [{"text": "n"}]},
                        {"valueInteger": 1}, {"valueInteger": 2}),
    "a component each": ({"component": [BURNING]}, {"component": [BURNING, COLD]},
                         {"component": [component("itch"), BURNING]},
                         {"component": [component("itch"), BURNING, COLD]}),
    "one component, an element each": (
        {"component": [COLD]},
        {"component": [NOT_COLD]},
        {"component": [COLD | {"interpretation": [{"text": "i"}]}]},
        {"component": [NOT_COLD | {"interpretation": [{"text": "i"}]}]},
    ),
    "reordered here, changed there": ({"component": [BURNING, COLD]}, {"component": [COLD, BURNING]},
                                      {"component": [BURNING, NOT_COLD]}, {"component": [NOT_COLD, BURNING]}),
    "reordered on both sides alike": ({"component": [BURNING, COLD]}, {"component": [COLD, BURNING]},
                                      {"component": [COLD, BURNING]}, {"component": [COLD, BURNING]}),
    "items with ids, reordered and changed": (
        {"component": [{"id": "a", "code": {"text": "x"}}, {"id": "b", "code": {"text": "x"}}]},
        {"component": [{"id": "b", "code": {"text": "x"}}, {"id": "a", "code": {"text": "x"}}]},
        {"component": [{"id": "a", "code": {"text": "x"}, "valueInteger": 1}, {"id": "b", "code": {"text": "x"}}]},
        {"component": [{"id": "b", "code": {"text": "x"}}, {"id": "a", "code": {"text": "x"}, "valueInteger": 1}]},
    ),
    "a note each": ({}, {"note": [{"text": "ours"}]}, {"note": [{"text": "theirs"}]},
                    {"note": [{"text": "ours"}, {"text": "theirs"}]}),
    "extensions by url": ({"extension": [{"url": "u", "valueInteger": 1}]},
                          {"extension": [{"url": "u", "valueInteger": 2}]},
                          {"extension": [{"url": "v", "valueInteger": 3}, {"url": "u", "valueInteger": 1}]},
                          {"extension": [{"url": "v", "valueInteger": 3}, {"url": "u", "valueInteger": 2}]}),
    "an identifier each": ({"identifier": [{"system": "s", "value": "1"}]},
                           {"identifier": [{"system": "s", "value": "1"}, {"system": "s", "value": "2"}]},
                           {"identifier": [{"system": "s", "value": "1"}, {"system": "t", "value": "1"}]},
                           {"identifier": [{"system": "s", "value": "1"}, {"system": "s", "value": "2"},
                                           {"system": "t", "value": "1"}]}),
    "tags of meta": ({"meta": {"versionId": "1", "tag": [{"system": "s", "code": "a"}]}},
                     {"meta": {"versionId": "2"}},
                     {"meta": {"versionId": "9", "tag": [{"system": "s", "code": "a"}, {"system": "s", "code": "b"}]}},
                     {"meta": {"tag": [{"system": "s", "code": "b"}]}}),
    "a contained resource each": (
        {"contained": [{"resourceType": "Device", "id": "d"}]},
        {"contained": [{"resourceType": "Device", "id": "d", "lotNumber": "1"}]},
        {"contained": [{"resourceType": "Device", "id": "d", "status": "active"},
                       {"resourceType": "Patient", "id": "p"}]},
        {"contained": [{"resourceType": "Device", "id": "d", "lotNumber": "1", "status": "active"},
                       {"resourceType": "Patient", "id": "p"}]},
    ),
    # What follows from the elements would tell of one side's only.
    "narrative of a mixture": ({"text": NARRATIVE}, {"text": OTHER_NARRATIVE, "valueInteger": 1},
                               {"text": NARRATIVE, "issued": "2026-01-01T00:00:00Z"},
                               {"valueInteger": 1, "issued": "2026-01-01T00:00:00Z"}),
    "narrative of what stands": ({"text": NARRATIVE}, {"text": OTHER_NARRATIVE, "valueInteger": 1},
                                 {"text": {"status": "generated", "div": "<div>c</div>"}},
                                 {"text": OTHER_NARRATIVE, "valueInteger": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", MERGED)
def test_changes_of_both_sides_stand_together(case: str) -> None:
    base, ours, theirs, wanted = (observation(**elements) for elements in MERGED[case])

    merged = merge(base, ours, theirs, MANUAL)

    assert merged.differences == ()
    assert merged.resource == wanted


COMPONENT = "Observation.component"
DIFFERENT: dict[str, tuple[Tree, Tree, Tree, list[Difference]]] = {
    "one value": ({"valueInteger": 1}, {"valueInteger": 2}, {"valueInteger": 3},
                  [Difference("Observation.value", "Observation.value.ofType(integer)",
                              "Observation.value.ofType(integer)", "manual")]),
    "a value of another type": ({"valueInteger": 1}, {"valueQuantity": quantity(1)}, {"valueString": "x"},
                                [Difference("Observation.value", "Observation.value.ofType(Quantity)",
                                            "Observation.value.ofType(string)", "manual")]),
    "halves of a quantity": ({"valueQuantity": quantity(1)}, {"valueQuantity": quantity(2)},
                             {"valueQuantity": quantity(1, "cm")},
                             [Difference("Observation.value", "Observation.value.ofType(Quantity)",
                                         "Observation.value.ofType(Quantity)", "manual")]),
    "changed here, taken out there": ({"valueInteger": 1}, {"valueInteger": 2}, {},
                                      [Difference("Observation.value", "Observation.value.ofType(integer)", "",
                                                  "manual")]),
    "one component, elsewhere in the list": (
        {"component": [COLD]}, {"component": [BURNING, NOT_COLD]}, {"component": [component("cold", valueInteger=2)]},
        [Difference(f"{COMPONENT}.value", f"{COMPONENT}[1].value.ofType(boolean)",
                    f"{COMPONENT}[0].value.ofType(integer)", "manual")]),
    "a component taken out and changed": ({"component": [COLD]}, {}, {"component": [NOT_COLD]},
                                          [Difference(COMPONENT, "", f"{COMPONENT}[0]", "manual")]),
    "one item replaced by two": ({"identifier": [{"system": "s", "value": "1"}]},
                                 {"identifier": [{"system": "s", "value": "2"}]},
                                 {"identifier": [{"system": "s", "value": "3"}]},
                                 [Difference("Observation.identifier", "Observation.identifier",
                                             "Observation.identifier", "manual")]),
    "two orders": ({"component": [BURNING, COLD, component("itch")]},
                   {"component": [COLD, BURNING, component("itch")]},
                   {"component": [BURNING, component("itch"), COLD]},
                   [Difference(COMPONENT, COMPONENT, COMPONENT, "manual")]),
    "a value and what is beside it": ({"issued": "2026-01-01T00:00:00Z"},
                                      {"issued": "2026-01-02T00:00:00Z"},
                                      {"issued": "2026-01-01T00:00:00Z", "_issued": {"id": "x"}},
                                      [Difference("Observation.issued", "Observation.issued", "Observation.issued",
                                                  "manual")]),
    "narrative that says more": ({}, {"text": {"status": "additional", "div": "<div>a</div>"}},
                                 {"text": {"status": "additional", "div": "<div>b</div>"}},
                                 [Difference("Observation.text", "Observation.text", "Observation.text", "manual")]),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_cannot_stand_together_is_told_and_decided(case: str) -> None:
    base, ours, theirs = (observation(**elements) for elements in DIFFERENT[case][:3])

    merged = merge(base, ours, theirs, MANUAL)

    assert list(merged.differences) == DIFFERENT[case][3]
    assert merged.is_manual
    decided = merge(base, ours, theirs, THEIRS)
    assert [one.decision for one in decided.differences] == ["theirs"]
    assert decided.resource != merged.resource


def test_without_a_base_what_one_side_has_stays_and_what_differs_is_told() -> None:
    ours, theirs = observation(valueInteger=1, component=[COLD]), observation(valueInteger=2, component=[BURNING])

    merged = merge(None, ours, theirs, OURS)

    assert merged.resource == observation(valueInteger=1, component=[COLD, BURNING])
    assert [one.element for one in merged.differences] == ["Observation.value"]


def test_digits_are_kept_through_a_merge() -> None:
    base, ours, theirs = (
        lossless.parse_object(b'{"resourceType":"Observation","valueQuantity":{"value":%s},"status":"%s"%s}' % given)
        for given in ((b"7.50", b"final", b""), (b"7.50", b"amended", b""), (b"7.5", b"final", b',"issued":"x"'))
    )

    merged = merge(base, ours, theirs, MANUAL)

    assert b'"value":7.50}' in lossless.dumps(merged.resource)
    assert merged.resource["issued"] == "x"
    assert merged.differences == ()


@pytest.mark.parametrize(
    ("element", "wanted"),
    [("Observation.value", "ours"), ("Observation.component.value", "theirs"), ("Observation.component", "manual"),
     ("Observation.component.code", "manual"), ("Observation", "theirs"), ("Patient.name", "theirs")],
)  # fmt: skip
def test_the_longest_path_decides(element: str, wanted: str) -> None:
    rules: Any = {"Observation.value": "ours", "Observation.component": "manual",
                  "Observation.component.value": "newest"}  # fmt: skip

    assert decide("theirs", rules, "theirs")(element) == wanted


@pytest.mark.parametrize(("ours", "theirs", "side"), [(2, 1, "ours"), (1, 2, "theirs"), (1, 1, None), (1, 0, None)])
def test_the_newer_side_is_the_later_one_and_else_a_person_decides(ours: int, theirs: int, side: Any) -> None:
    assert newer(ours, theirs) == side
    assert decide("newest", {}, newer(ours, theirs))("Observation.value") == (side or "manual")


@pytest.mark.parametrize(
    ("path", "said"),
    [("Observation", ""), ("Observation.value", ""), ("Observation.component.value", ""), ("Patient.meta.tag", ""),
     ("Questionnaire.item.item.text", ""), ("Observation.value.unit", "Observation.value is taken whole"),
     ("Observation.code.coding", "Observation.code is taken whole"), ("Observation.valueQuantity", "has no element"),
     ("Observatio.value", "is no R4 resource type"), ("Observation.", "has no element"), ("", "is no R4")],
)  # fmt: skip
def test_a_rule_that_would_decide_nothing_is_told(path: str, said: str) -> None:
    problem = problem_of(path)

    assert said in problem
    assert bool(problem) == bool(said)


ALIKE: list[tuple[Tree, Tree]] = [
    (observation(valueQuantity={"value": 7.5}), observation(valueQuantity={"value": lossless.parse(b"7.50")})),
    (observation(valueInteger=1), observation(valueInteger=lossless.parse(b"1.0"))),
    (observation(meta={"source": "a", "versionId": "1"}), observation(id="2")),
    (observation(identifier=[{"system": SYNC_ID, "value": "Observation/1"}]), observation()),
    (observation(meta={"tag": [{"system": SYNC_ID, "code": "x"}]}), observation(meta={"tag": []})),
    (observation(meta={"profile": ["a", "b"]}), observation(meta={"profile": ["b", "a"]})),
    (observation(issued="2026-01-01T10:00:00+02:00"), observation(issued="2026-01-01T08:00:00.000Z")),
    (observation(text={"div": "<div>a  b</div>"}), observation(text={"div": "<div>a\nb</div>"})),
]
UNLIKE: list[tuple[Tree, Tree]] = [
    (observation(valueInteger=1), observation(valueInteger=2)),
    (observation(valueInteger=1), observation(valueBoolean=True)),
    (observation(valueString="1"), observation(valueString="1 ")),
    (observation(valueInteger=1), observation(valueInteger=True)),
    (observation(component=[BURNING, COLD]), observation(component=[COLD, BURNING])),
    (observation(issued="2026-13-01T10:00:00Z"), observation(issued="2026-13-01T12:00:00+02:00")),
    (observation(identifier=[{"system": "s", "value": "1"}]), observation()),
]


@pytest.mark.parametrize(("one", "other", "is_alike"), [*((*p, True) for p in ALIKE), *((*p, False) for p in UNLIKE)])
def test_contents_are_alike_whatever_servers_make_of_their_spelling(one: Tree, other: Tree, is_alike: bool) -> None:
    assert alike(one, other) is is_alike
    assert alike(other, one) is is_alike


@pytest.mark.parametrize("odd", [{"meta": "x"}, {"component": {"code": 1}}, {"identifier": "x"}, {"contained": [1]},
                                 {"text": 5}, {"unknown": [[1]]}, {"component": [None, 3, "x"]}])  # fmt: skip
def test_content_of_no_form_at_all_is_merged_or_told(odd: Tree) -> None:
    theirs = observation(**odd)

    merged = merge(observation(note=[{"text": "n"}]), observation(), theirs, MANUAL)

    assert alike(theirs, theirs)
    assert "note" not in merged.resource


codes = st.sampled_from("abcd")
values: st.SearchStrategy[Tree] = st.one_of(
    st.just({}),
    st.builds(lambda n: {"valueInteger": n}, st.integers(1, 3)),
    st.builds(lambda n, unit: {"valueQuantity": quantity(n, unit)}, st.integers(1, 2), st.sampled_from(["mm", "cm"])),
)
components = st.lists(
    st.builds(
        lambda code, value, said: component(code, **value) | ({"interpretation": [{"text": said}]} if said else {}),
        codes, values, st.sampled_from(["", "x", "y"]),
    ), max_size=4,
)  # fmt: skip
optional = {
    "component": components,
    "note": st.lists(st.builds(lambda text: {"text": text}, codes), min_size=1, max_size=3),
    "identifier": st.lists(st.builds(lambda s, v: {"system": s, "value": v}, codes, codes), min_size=1, max_size=2),
    "referenceRange": st.lists(st.builds(lambda n: {"low": quantity(n)}, st.integers(1, 3)), min_size=1, max_size=3),
    "code": st.builds(lambda code: {"coding": [{"code": code}]}, codes),
    "_issued": st.builds(lambda one: {"id": one}, codes),
}
trees = st.builds(
    lambda elements, value: observation(**{k: v for k, v in elements.items() if v}, **value),
    st.fixed_dictionaries({}, optional=optional),
    values,
)


@given(trees, trees)
def test_a_side_that_changed_nothing_has_no_say(base: Tree, changed: Tree) -> None:
    for ours, theirs in ((changed, base), (base, changed)):
        merged = merge(base, ours, theirs, MANUAL)

        assert merged.resource == changed
        assert merged.differences == ()


@given(trees, trees)
def test_the_same_change_on_both_sides_is_no_difference(base: Tree, changed: Tree) -> None:
    merged = merge(base, changed, changed, MANUAL)

    assert merged.resource == changed
    assert merged.differences == ()


@given(st.one_of(st.none(), trees), trees, trees)
def test_seen_from_the_other_side_the_outcome_is_the_same(base: Tree | None, ours: Tree, theirs: Tree) -> None:
    here, there = merge(base, ours, theirs, OURS), merge(base, theirs, ours, THEIRS)

    assert here.resource == there.resource
    assert {(d.ours, d.theirs) for d in here.differences} == {(d.theirs, d.ours) for d in there.differences}


BARE, VALUED = component("a"), component("a", valueInteger=1)


@pytest.mark.parametrize("rule", [OURS, THEIRS, MANUAL])
@settings(deadline=None)
@given(base=st.one_of(st.none(), trees), ours=trees, theirs=trees)
# Of two about the same each side has kept another.
@example(observation(component=[BARE, VALUED]), observation(component=[BARE]), observation(component=[VALUED]))
def test_nothing_is_invented_and_what_both_have_is_not_lost(
    rule: Decide, base: Tree | None, ours: Tree, theirs: Tree
) -> None:
    merged = set(_parts(merge(base, ours, theirs, rule).resource, "Observation"))

    mine, others = set(_parts(ours, "Observation")), set(_parts(theirs, "Observation"))
    assert merged <= mine | others
    assert mine & others <= merged


def _parts(value: Any, type_: str, path: str = "") -> Iterator[Any]:
    """Every part that is taken whole, with where it stands."""
    nested = {"component": "Observation.component", "referenceRange": "Observation.referenceRange"}
    for key, part in value.items():
        for one in part if isinstance(part, list) else [part]:
            if key in nested and is_taken_apart(nested[key]):
                yield from _parts(one, nested[key], f"{path}.{key}.{form(one.get('code'))}")
            else:
                yield f"{path}.{key}", form(one)
