"""CDS Hooks 2.0: discovery, the three hooks and feedback, as the specification writes them."""

from copy import deepcopy
from typing import Any

import httpx
import pytest

from app.profiles import json_files
from tests.answers import expressions
from tests.builders import patient

REQUESTS = json_files("examples/requests")
VIEW, SELECT, SIGN = (f"/cds-services/dermatome-{hook}" for hook in ("patient-view", "order-select", "order-sign"))
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
CARD_KEYS = {"uuid", "summary", "detail", "indicator", "source", "links", "overrideReasons"}
SUGGESTING = {"suggestions", "selectionBehavior"}
Json = dict[str, Any]


def asked(name: str, **changes: Any) -> Json:
    return deepcopy(REQUESTS[f"cds-{name}"]) | changes


def topics(answer: httpx.Response) -> list[str]:
    return [one["source"]["topic"]["code"] for one in answer.json()["cards"] if "topic" in one["source"]]


async def test_discovery_names_every_service_with_its_prefetch(client: httpx.AsyncClient) -> None:
    services = (await client.get("/cds-services")).json()["services"]

    assert [one["hook"] for one in services] == ["patient-view", "order-select", "order-sign"]
    for one in services:
        assert {"hook", "title", "description", "id", "prefetch", "usageRequirements"} == one.keys()
        assert one["prefetch"]["patient"] == "Patient/{{context.patientId}}"
        assert "http://loinc.org|98979-8" in one["prefetch"]["observations"]


async def test_cards_say_what_the_specification_asks_and_never_who(client: httpx.AsyncClient) -> None:
    sent = asked("order-sign")
    sent["prefetch"]["patient"]["name"] = [{"family": "Zebedee"}]

    answer = await client.post(SIGN, json=sent)

    cards = answer.json()["cards"]
    first = cards[0]
    assert answer.headers["content-type"] == "application/json"
    assert "NPR03" in topics(answer), "the code of a package is the medicine in it"
    assert {"NPR04", "NPR29"} <= set(topics(answer))
    assert first.keys() == CARD_KEYS | SUGGESTING
    assert first["indicator"] == "critical"
    assert all(one["display"] for one in first["overrideReasons"])
    [suggestion] = first["suggestions"]
    assert suggestion["actions"][0] | {"description": ""} == {
        "type": "delete",
        "description": "",
        "resourceId": "MedicationRequest/draft-1",
    }
    for card in cards:
        assert len(card["summary"]) < 140
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"]
    assert "Zebedee" not in answer.text
    assert [one["uuid"] for one in (await client.post(SIGN, json=sent)).json()["cards"]] == [c["uuid"] for c in cards]


async def test_while_a_patient_is_looked_at_nothing_is_proposed(client: httpx.AsyncClient) -> None:
    answer = await client.post(VIEW, json=asked("patient-view"))

    assert answer.status_code == 200
    assert "NPR32" not in topics(answer)


SELECTED = {
    "hook": "order-select",
    "hookInstance": INSTANCE,
    "fhirServer": "https://ehr.example.org/fhir",
    "context": {
        "userId": "PractitionerRole/123",
        "patientId": "1288992",
        "encounterId": "89284",
        "selections": ["NutritionOrder/pureeddiet-simple", "MedicationRequest/smart-MedicationRequest-103"],
        "draftOrders": {
            "resourceType": "Bundle",
            "entry": [
                {
                    "resource": {
                        "resourceType": "NutritionOrder",
                        "id": "pureeddiet-simple",
                        "status": "draft",
                        "intent": "order",
                        "patient": {"reference": "Patient/1288992"},
                        "dateTime": "2014-09-17",
                    }
                },
                {
                    "resource": {
                        "resourceType": "MedicationRequest",
                        "id": "smart-MedicationRequest-103",
                        "status": "draft",
                        "intent": "order",
                        "medicationCodeableConcept": {
                            "coding": [
                                {
                                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                                    "code": "617993",
                                    "display": "Amoxicillin 120 MG/ML / clavulanate 8.58 MG/ML Oral Suspension",
                                }
                            ]
                        },
                        "subject": {"reference": "Patient/1288992"},
                        # As the specification's own example has it: an object where R4 wants an array.
                        "dosageInstruction": [{"doseAndRate": {"doseQuantity": {"value": 5, "unit": "mL"}}}],
                    }
                },
            ],
        },
    },
}


async def test_what_cannot_be_used_is_told_in_one_card(client: httpx.AsyncClient) -> None:
    answer = await client.post(SELECT, json=SELECTED)

    [card] = answer.json()["cards"]
    assert (answer.status_code, card["indicator"]) == (200, "info")
    for told in ("not sent: conditions", "orders of type NutritionOrder", "1 of the resources sent are not valid"):
        assert told in card["detail"]


async def test_an_order_that_cannot_be_read_is_what_the_card_is_headed_by(client: httpx.AsyncClient) -> None:
    sent = asked("order-sign", prefetch=None, fhirServer="https://ehr.example.org/fhir")
    sent["context"]["draftOrders"]["entry"] = [{"resource": {"resourceType": "MedicationRequest", "status": 3}}]

    answer = await client.post("/cds-services/dermatome-order-sign", json=sent)

    assert "Part of what was sent could not be used" in [one["summary"] for one in answer.json()["cards"]]


async def test_what_was_not_sent_comes_from_our_record_of_our_own_patient_only(client: httpx.AsyncClient) -> None:
    who = (await client.post("/fhir/Patient", json=patient())).json()["id"]
    opioid = REQUESTS["cds-order-sign"]["prefetch"]["medicationRequests"]["entry"][0]["resource"]
    taken = {key: value for key, value in opioid.items() if key != "id"} | {"subject": {"reference": f"Patient/{who}"}}
    assert (await client.post("/fhir/MedicationRequest", json=taken)).status_code == 201
    draft = taken | {"id": "d", "status": "draft", "medicationCodeableConcept": {"text": "pregabalin"}}
    context = {"patientId": who, "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": draft}]}}
    sent = {"hook": "order-sign", "hookInstance": INSTANCE, "context": context}

    ours = await client.post(SIGN, json=sent)
    theirs = await client.post(SIGN, json=sent | {"fhirServer": "https://ehr.example.org/fhir"})
    nothing = await client.post(SIGN, json=sent | {"prefetch": {"medicationRequests": None}})

    assert "NPR01" in topics(ours)
    assert "this server's own record" in ours.json()["cards"][-1]["detail"]
    assert "NPR01" not in topics(theirs)
    assert "not sent: medicationRequests" in theirs.json()["cards"][-1]["detail"]
    assert "NPR01" not in topics(nothing), "null says that there is nothing"


async def test_what_is_about_another_patient_is_refused_or_left_out(client: httpx.AsyncClient) -> None:
    other = {"reference": "https://ehr.example.org/fhir/Patient/other"}
    strange_order, strange_record = asked("order-sign"), asked("order-sign")
    strange_order["context"]["draftOrders"]["entry"][0]["resource"]["subject"] = other
    strange_record["prefetch"]["conditions"]["entry"][0]["resource"]["subject"] = other

    refused = await client.post(SIGN, json=strange_order)
    told = await client.post(SIGN, json=strange_record)

    assert refused.status_code == 422
    assert "NPR03" not in topics(told)
    assert "1 of the resources sent name another patient" in told.json()["cards"][-1]["detail"]


WRONG: tuple[tuple[str, Json, str], ...] = (
    (VIEW, {"hook": "order-sign"}, "hook"),
    (VIEW, {"hook": None}, "hook"),
    (VIEW, {"hookInstance": "1"}, "hookInstance"),
    (VIEW, {"context": []}, "context"),
    (VIEW, {"context": {"patientId": "Patient/1"}}, "context.patientId"),
    (VIEW, {"context": {"patientId": "1", "userId": 7}}, "context.userId"),
    (VIEW, {"fhirServer": 7}, "fhirServer"),
    (VIEW, {"prefetch": []}, "prefetch"),
    (VIEW, {"prefetch": {"patient": "x"}}, "prefetch.patient"),
    (VIEW, {"prefetch": {"conditions": {"resourceType": "Bundle", "entry": [{}]}}}, "prefetch.conditions.entry[0]"),
    (SIGN, {"context": {"patientId": "1"}}, "context.draftOrders"),
    (SIGN, {"context": {"patientId": "1", "draftOrders": {"resourceType": "Patient"}}}, "context.draftOrders"),
    (SELECT, {"context": {"patientId": "1", "draftOrders": {"resourceType": "Bundle"}}}, "context.selections"),
)


async def test_what_is_no_request_of_the_hook_is_refused_in_its_place(client: httpx.AsyncClient) -> None:
    for address, changes, place in WRONG:
        answer = await client.post(address, json=asked(address.removeprefix("/cds-services/dermatome-"), **changes))

        assert answer.status_code == 400, (changes, answer.text)
        assert place in expressions(answer)
    strange = asked("order-select")
    strange["context"]["selections"] = ["MedicationRequest/none"]
    assert expressions(await client.post(SELECT, json=strange)) == ["context.selections[0]"]
    for path in ("/cds-services/none", "/cds-services/none/feedback"):
        assert (await client.post(path, json={})).status_code == 404
    assert (await client.get(SIGN)).status_code == 405


FEEDBACK: Json = {"card": INSTANCE, "outcome": "overridden", "outcomeTimestamp": "2020-12-11T00:00:00Z"}
REASON = {"reason": {"code": "d7ecf885", "system": "https://example.com/reasons"}, "userComment": "Mr Zebedee insists."}


async def test_feedback_is_kept_without_anybodys_words(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = FEEDBACK | {"outcome": "accepted", "acceptedSuggestions": [{"id": INSTANCE}]}
    rows = [FEEDBACK, FEEDBACK | {"overrideReason": REASON}, accepted]

    answer = await client.post(f"{SIGN}/feedback", json={"feedback": rows})

    assert (answer.status_code, answer.content) == (200, b"")
    assert "Zebedee" not in capsys.readouterr().err
    wrong: list[Json] = [{"card": "1"}, {"outcome": "ignored"}, {"outcome": "accepted"}, {"outcomeTimestamp": "today"}]
    wrong += [{"acceptedSuggestions": each} for each in (5, [1], {"id": "1"})] + [{"overrideReason": 5}]
    for changes in wrong:
        refused = await client.post(f"{SIGN}/feedback", json={"feedback": [FEEDBACK | changes]})
        assert refused.status_code == 400, changes
        assert expressions(refused)[0].startswith("feedback[0].")
    assert (await client.post(f"{SIGN}/feedback", json={"feedback": []})).status_code == 400
