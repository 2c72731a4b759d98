"""What is concluded from a CapabilityStatement, and how it is told."""

from typing import Any

import pytest

from app.fhir import json as lossless
from app.store.sync_state import State
from app.sync.capabilities import NoFhirServer, from_json, plan, unread
from app.sync.planning import is_old, shown
from tests.sync.sides import Target

EVERYTHING = [{"code": code} for code in ("create", "update", "delete", "read", "search-type", "history-type")]


def statement(*system: str, **offers: Any) -> dict[str, Any]:
    patient = {
        "type": "Patient",
        "interaction": EVERYTHING,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "searchParam": [{"name": "_lastUpdated", "type": "date"}],
        **offers,
    }
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "Other", "version": "7"},
        "rest": [{"mode": "server", "interaction": [{"code": code} for code in system], "resource": [patient]}],
    }


@pytest.mark.parametrize(
    ("system", "wanted", "delivery", "said"),
    [
        (("transaction", "batch"), "transaction", "transaction", "Delivery is transaction, as configured."),
        (("batch",), "transaction", "batch", "Delivery is batch: its CapabilityStatement does not offer transaction."),
        (
            (),
            "transaction",
            "single",
            "Delivery is single: its CapabilityStatement does not offer transaction nor batch.",
        ),
        (("transaction",), "batch", "single", "Delivery is single: its CapabilityStatement does not offer batch."),
        (("transaction", "batch"), "single", "single", "Delivery is single, as configured."),
    ],
)
def test_delivery_is_the_most_that_is_offered_and_not_more_than_wanted(
    system: tuple[str, ...], wanted: Any, delivery: str, said: str
) -> None:
    made = plan(statement(*system), Target(delivery=wanted))

    assert made.delivery == delivery
    assert said in made.said


@pytest.mark.parametrize(
    ("offers", "ids", "sentence"),
    [
        ({"updateCreate": False}, "same", "It assigns ids itself (updateCreate is false)"),
        ({"conditionalUpdate": False}, "identifier", "Conditional update is not offered, so a search decides"),
        (
            {"conditionalUpdate": False, "conditionalCreate": False},
            "identifier",
            "Conditional create is not offered either",
        ),
        ({"versioning": "no-version"}, "same", "No versions are kept"),
        ({"interaction": EVERYTHING[:2]}, "same", "Deletions are not offered"),
        ({"interaction": EVERYTHING[2:]}, "same", "Updates are not offered"),
        ({}, "identifier", "Resources are found there by our sync identifier, as configured."),
    ],
)
def test_what_is_not_offered_is_said_with_what_follows(offers: dict[str, Any], ids: Any, sentence: str) -> None:
    made = plan(statement("transaction", **offers), Target(ids=ids))

    assert any(said.startswith(sentence) for said in made.said), made.said
    assert made.ids_of("Patient") == ("identifier" if "updateCreate" in offers else ids)


def test_what_is_not_said_is_not_denied() -> None:
    bare = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}]}

    made = plan(bare, Target())

    assert (made.delivery, made.ids_of("Patient")) == ("single", "same")
    assert made.offer("Patient").can_search("_id")
    assert made.offer("Patient").versioned


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resourceType": "Patient"}, "no FHIR server is at this address"),
        ({"fhirVersion": "5.0.0"}, "It says it speaks FHIR 5.0.0"),
        ({"fhirVersion": None}, "It says it speaks FHIR no version"),
        ({"rest": []}, "describes no server"),
        ({"rest": [{"mode": "client"}]}, "describes no server"),
        ({"rest": "x"}, "describes no server"),
    ],
)
def test_what_is_no_r4_server_is_told_in_a_sentence(change: dict[str, Any], told: str) -> None:
    with pytest.raises(NoFhirServer) as caught:
        plan({**statement("transaction"), **change}, Target())

    assert told in str(caught.value)


@pytest.mark.parametrize(
    "odd", [{"interaction": "x"}, {"interaction": [None, {"code": 1}]}, {"searchParam": [{"name": 3}]}, {"type": 7}]
)
def test_odd_parts_of_a_statement_are_passed_over(odd: dict[str, Any]) -> None:
    assert plan(statement("transaction", **odd), Target()).delivery == "transaction"


def test_a_plan_is_kept_and_shown() -> None:
    made = plan(statement("transaction", "history-system"), Target(ids="identifier"))
    text = lossless.dumps({"plan": made.as_json(), "asked": {}}).decode()

    assert from_json(lossless.parse_object(text.encode())["plan"]) == made
    told = shown(State("partner", capabilities=text, capabilities_at=5))
    assert told["said"] == list(made.said)
    assert told["software"] == "Other 7"
    assert made.history_types() == {"Patient"}
    assert made.can_search_last_updated("Patient")
    assert shown(State("partner")) == {}
    assert shown(State("partner", capabilities='{"of": "another release"}')) == {}


def test_a_target_that_is_not_read_is_told_as_configured() -> None:
    made = unread(Target(delivery="batch"), "Not read.")

    assert (made.delivery, made.said, made.is_read) == ("batch", ("Not read.",), False)


@pytest.mark.parametrize(
    ("state", "is_read_again"),
    [
        (State("partner", capabilities_at=1_000), False),
        (State("partner", capabilities_at=-3_600_000_001), True),
        (State("partner", capabilities_at=1_000, failures=4, last_error_at=2_000), False),
        (State("partner", capabilities_at=1_000, failures=5, last_error_at=2_000), True),
        (State("partner", capabilities_at=3_000, failures=5, last_error_at=2_000), False),
    ],
)
def test_capabilities_are_read_again_after_an_hour_and_after_the_target_was_away(
    state: State, is_read_again: bool
) -> None:
    assert is_old(state, 5_000) is is_read_again
