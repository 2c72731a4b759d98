"""Limited clients at the clinic API and at CDS Hooks: what they may do to the FHIR resources decides."""

from copy import deepcopy
from typing import Any

import httpx

from app.profiles import json_files
from tests.builders import patient
from tests.security.limited import limited

REQUESTS = json_files("examples/requests")
_SYSTEM = REQUESTS["assessments"]["patient"]["system"]


def assessment(who: Any) -> dict[str, Any]:
    return {**deepcopy(REQUESTS["assessments"]), "patient": who}


async def test_a_record_is_there_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    for each in ("a", "b"):
        person = {**patient(), "id": each, "identifier": [{"system": _SYSTEM, "value": each}]}
        await client.put(f"/fhir/Patient/{each}", json=person)
    of_a, of_b = (limited(client, "patient/*.cruds", each) for each in ("a", "b"))
    partly = limited(client, "patient/QuestionnaireResponse.cruds patient/Patient.rs", "a")

    made = await of_a.post("/pain/assessments", json=assessment("Patient/a"))
    by_identifier = await of_a.post("/pain/assessments", json=assessment({"system": _SYSTEM, "value": "a"}))
    others = [await of_a.post("/pain/assessments", json=assessment(who)) for who in ("Patient/b", "Patient/none")]
    other = await of_a.post("/pain/assessments", json=assessment({"system": _SYSTEM, "value": "b"}))
    place = f"/pain/assessments/{made.json()['id']}"
    read = [(await each.get(place)).status_code for each in (of_a, of_b, partly)]
    changed = assessment("Patient/a") | {"answers": {**REQUESTS["assessments"]["answers"], "burning": False}}
    amended = [await each.put(place, json=changed) for each in (partly, of_b, of_a)]
    withdrawn = [(await each.delete(place)).status_code for each in (of_b, partly, of_a)]

    assert (made.status_code, by_identifier.status_code) == (201, 201)
    assert [each.status_code for each in others] == [422, 422]
    assert others[0].text.replace("Patient/b", "Patient/none") == others[1].text
    assert other.status_code == 403
    assert read == [200, 404, 403]
    assert [each.status_code for each in amended] == [403, 404, 200], amended[2].text
    assert withdrawn == [404, 403, 204]
    assert (await client.get("/fhir/Patient?_summary=count")).json()["total"] == 2


async def test_cards_are_made_of_what_may_be_read_and_say_what_was_not(client: httpx.AsyncClient) -> None:
    asked = deepcopy(REQUESTS["cds-patient-view"])
    who = asked["context"]["patientId"]
    asked.pop("fhirServer", None)
    asked["prefetch"] = {}
    await client.put(f"/fhir/Patient/{who}", json={**patient(), "id": who})
    hidden = {
        "resourceType": "Condition",
        "subject": {"reference": f"Patient/{who}"},
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "193184006"}]},
    }
    await client.post("/fhir/Condition", json=hidden)
    nobody = limited(client, "system/Condition.rs")
    partly = limited(client, "patient/*.rs", who)
    little = limited(client, "system/Patient.rs system/Observation.rs")

    told = [
        (await each.post("/cds-services/dermatome-patient-view", json=asked)).text for each in (nobody, partly, little)
    ]

    assert "own record" not in told[0]
    assert "the scopes of this token do not cover them" not in told[0]
    assert "did not look at all Device:" in told[1]
    assert "did not look at all Condition, Device" in told[2]
