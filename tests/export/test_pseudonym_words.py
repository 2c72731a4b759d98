"""No word of any resource that R4 could describe gets through: resources are drawn from its definitions."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.export.keyed import Keyed
from app.export.pseudonym_rules import rules
from app.export.unnamed import Passage
from app.export.ways import Ways
from app.profiles import r4
from app.validation.rules import BaseRules, Slot
from tests.export.test_pseudonyms import KEY, TODAY, unchecked

TREE = BaseRules(r4())
# Words that no code, unit or link has.
WORD = "Zoë⁂"
OWN_ID = "id-of-ada"
VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": 3,
    "positiveInt": 3,
    "unsignedInt": 3,
    "decimal": 1.5,
    "date": "2020-02-29",
    "dateTime": "2020-02-29T10:00:00Z",
    "instant": "2020-02-29T10:00:00Z",
    "time": "10:00:00",
    "code": "final",
    "uri": f"http://{OWN_ID}.example/x",
    "url": f"http://{OWN_ID}.example/x",
    "canonical": f"http://{OWN_ID}.example/Questionnaire/{OWN_ID}",
    "oid": "urn:oid:1.2.4711.3",
    "uuid": "urn:uuid:11111111-2222-3333-4444-471147114711",
    "id": OWN_ID,
    "base64Binary": "NDcxMTQ3MTE=",
    "xhtml": f'<div xmlns="http://www.w3.org/1999/xhtml">{WORD}</div>',
}


def drawn_object(draw: st.DrawFn, name: str, depth: int) -> dict[str, Any]:
    """Some elements of a type, each with a value of its type; words wherever words may stand."""
    rule = TREE.type_rule(name)
    some = draw(st.lists(st.sampled_from(sorted(rule.slots)), min_size=1, max_size=6, unique=True))
    found: dict[str, Any] = {}
    for key in some:
        slot = rule.slots[key]
        if key not in ("modifierExtension", "implicitRules") and (value := drawn_value(draw, slot, depth)) is not None:
            found[key] = [value] if slot.is_many else value
    return found


def drawn_value(draw: st.DrawFn, slot: Slot, depth: int) -> Any:
    code = slot.use.code
    if code == "Resource":
        return drawn_resource(draw, depth + 2) if depth < 3 else None
    rule = TREE.rule_of(slot)
    if rule.is_primitive:
        return VALUES.get(code, f"{WORD} {draw(st.text('abc', max_size=3))}")
    if depth > 4:
        return None
    made_one = drawn_object(draw, rule.name, depth + 1)
    if code == "Reference" and "reference" in made_one:
        made_one["reference"] = draw(st.sampled_from(("Patient/id-of-ada", "#id-of-ada", "urn:oid:1.2.4711", WORD)))
    if code == "Extension":
        made_one["url"] = draw(st.sampled_from((*sorted(rules().extensions), "http://id-of-ada.example", "part")))
    return made_one


def drawn_resource(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    type_ = draw(st.sampled_from(sorted(TREE.resource_types - rules().refused)))
    return {**drawn_object(draw, type_, depth), "resourceType": type_, "id": OWN_ID}


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    return drawn_resource(draw, 0)


@settings(max_examples=200, deadline=None)
@given(resources())
def test_no_word_id_or_address_of_any_resource_gets_through(resource: dict[str, Any]) -> None:
    text, removed = unchecked().resource(json.dumps(resource).encode())

    left = text.decode()
    for told in (WORD, "Zo", "\\u", OWN_ID, "4711", "NDcx"):
        assert told not in left, left
    assert (WORD in json.dumps(resource, ensure_ascii=False)) <= (removed.total() > 0)


def test_every_type_of_r4_has_a_treatment_that_is_known() -> None:
    """A word in the rules that nothing does would be an error in the midst of an export."""
    ways = Ways(TREE, rules())
    treatments = Passage(ways, Keyed(KEY.encode()), 0, TODAY, lambda *_: False).treatments.keys()
    known = {*rules().types.values(), *rules().elements.values()}
    for name in sorted(TREE.resource_types - rules().refused):
        unchecked().resource(json.dumps({"resourceType": name, "id": "x"}).encode())
    named = [*rules().elements, *(path for path in rules().texts if not path.startswith("Extension ")), *rules().births]

    assert known <= treatments
    for path in named:
        type_, _, element = path.rpartition(".")
        assert element in TREE.type_rule(type_).elements, path
