"""An EHR's transaction of several hundred entries, made by a generator that is not ours, posted twice."""

import json
from typing import Any

import httpx

from tests.answers import count

PATIENTS = 6


def ehr_bundle() -> dict[str, Any]:
    """One transaction with several patients' records, as an EHR posts them."""
    import carebundle  # loading it takes longer than the tests do, and every worker collects this file

    bundles = [json.loads(carebundle.to_json(carebundle.generate_bundle(seed=seed))) for seed in range(PATIENTS)]
    return {**bundles[0], "entry": [entry for bundle in bundles for entry in bundle["entry"]]}


async def test_an_ehr_bundle_is_kept_whole_and_once(client: httpx.AsyncClient) -> None:
    asked = ehr_bundle()
    kinds = [entry["resource"]["resourceType"] for entry in asked["entry"]]

    answers = [await client.post("/fhir", json=asked, headers={"Idempotency-Key": "upload-1"}) for _ in range(2)]

    assert len(kinds) >= 200
    assert answers[0].status_code == 200, answers[0].text[:2000]
    assert answers[0].content == answers[1].content
    assert {kind: await count(client, kind) for kind in set(kinds)} == {kind: kinds.count(kind) for kind in set(kinds)}


async def test_links_of_an_ehr_bundle_lead_to_what_was_stored(client: httpx.AsyncClient) -> None:
    await client.post("/fhir", json=ehr_bundle())

    page = (await client.get("/fhir/Observation?_count=1000")).json()

    subjects = {entry["resource"]["subject"]["reference"] for entry in page["entry"]}
    assert len(subjects) == PATIENTS
    for subject in subjects:
        assert (await client.get(f"/fhir/{subject}")).status_code == 200
