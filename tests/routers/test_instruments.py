"""Instruments through the server: what they are, and what an answer that asks for action leads to."""

from typing import Any

import httpx

PHQ = ("interest", "mood", "sleep", "energy", "appetite", "self_worth", "concentration", "movement", "self_harm")


def phq_9(**answers: int) -> dict[str, Any]:
    return {
        "patient": {"system": "urn:oid:1.2.3", "value": "MRN-9"},
        "instrument": "phq-9",
        "taken_at": "2026-05-01T09:30:00Z",
        "answers": dict.fromkeys(PHQ, 0) | answers,
    }


async def test_every_instrument_tells_its_terms_scores_and_safety_rules(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/pain/instruments")).json()["instruments"]
    phq = (await client.get("/pain/instruments/phq-9")).json()

    assert len(listed) >= 16
    assert all(one["licence"] and one["allows"] and one["recall"] and one["items"] for one in listed)
    assert [rule["item"] for rule in phq["safety"]] == ["self_harm"]


async def test_the_ninth_answer_of_the_phq_9_is_told_and_stored_as_an_issue(client: httpx.AsyncClient) -> None:
    posted = await client.post("/pain/assessments", json=phq_9(self_harm=1))

    made = posted.json()
    assert posted.status_code == 201, posted.text
    assert made["scores"]["phq-9"] == {"value": 1, "band": "minimal"}
    assert [(one["rule"], one["severity"]) for one in made["findings"]] == [("PHQ9-ITEM9", "block")]
    shown = (await client.get(f"/pain/assessments/{made['id']}")).json()
    assert shown["findings"] == made["findings"]
    found = await client.get("/fhir/DetectedIssue", params={"implicated": f"QuestionnaireResponse/{made['id']}"})
    [issue] = [entry["resource"] for entry in found.json()["entry"]]
    assert (issue["status"], issue["severity"]) == ("final", "high")
    quiet = (await client.post("/pain/assessments", json=phq_9())).json()
    assert quiet["findings"] == []
