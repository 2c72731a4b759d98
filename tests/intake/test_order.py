"""The order in which the changes of one transaction are kept and told."""

import json

from app.intake.order import in_order
from app.store.repository import Change, Key, Stored
from tests.builders import Json, observation, patient

BASE = "http://here/fhir"


def kept(tree: Json) -> Change:
    stored = Stored(tree["resourceType"], tree["id"], 1, "PUT", 0, json.dumps(tree).encode())
    return Change(stored, tree, ("partner",))


def gone(tree: Json) -> tuple[Change, tuple[Key, Stored]]:
    key = tree["resourceType"], tree["id"]
    before = Stored(*key, 1, "PUT", 0, json.dumps(tree).encode())
    return Change(Stored(*key, 2, "DELETE", 0, None), None, ("partner",)), (key, before)


def names(changes: list[Change]) -> list[str]:
    return [change.stored.id for change in changes]


def test_what_is_referred_to_comes_first() -> None:
    changes = [
        kept(observation("Patient/p", id="o")),
        kept(patient(id="p", managingOrganization={"reference": f"{BASE}/Organization/g"})),
        kept({"resourceType": "Organization", "id": "g"}),
    ]

    assert names(in_order(changes, {}, BASE)) == ["g", "p", "o"]


def test_a_circle_has_an_order_too() -> None:
    changes = [
        kept(patient(id="a", link=[{"other": {"reference": "Patient/b"}, "type": "seealso"}])),
        kept(patient(id="b", link=[{"other": {"reference": "Patient/a"}, "type": "seealso"}])),
    ]

    assert sorted(names(in_order(changes, {}, BASE))) == ["a", "b"]


def test_deletions_come_last_and_what_refers_to_others_goes_first() -> None:
    (person, before), (about, before_about) = gone(patient(id="p")), gone(observation("Patient/p", id="o"))

    ordered = in_order([person, about, kept(patient(id="q"))], dict([before, before_about]), BASE)

    assert names(ordered) == ["q", "o", "p"]
