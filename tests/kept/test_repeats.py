"""Every POST of the application is done once for each Idempotency-Key, or says that it takes none."""

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from app.routers.repeats import is_taken
from app.service import Service
from app.store.forgetting import Forgetting
from tests.builders import bundle, entry, observation, patient

_VALUES = {"resource_type": "Patient", "resource_id": "p", "version": "1", "view_id": "v", "number": "1", "name": "t"}
# Where sending again would do more than the first did.
TAKEN = {
    "/fhir",
    "/fhir/Patient",
    "/fhir/ViewDefinition",
    "/fhir/Patient/p/$meta-add",
    "/fhir/Patient/p/$meta-delete",
    "/fhir/Patient/$merge",
    "/fhir/Patient/$unmerge",
    "/fhir/$export",
    "/fhir/Patient/$export",
    "/fhir/Group/p/$export",
    "/fhir/$viewdefinition-export",
    "/fhir/ViewDefinition/$viewdefinition-export",
    "/fhir/ViewDefinition/v/$viewdefinition-export",
}


def posts(app: Any) -> set[str]:
    """The address of every POST, with something in place of what stands in braces."""
    found = [route for route in app.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())]
    paths = (re.sub(r"{(\w+)(:\w+)?}", lambda name: _VALUES.get(name[1], "x"), one.path) for one in found)
    return {path for path in paths if not path.endswith("/x")} | {"/cds-services/x"}


@pytest.mark.own_server
async def test_a_post_takes_a_key_or_says_that_it_does_not(client: httpx.AsyncClient) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    every = posts(app)

    assert {path for path in every if is_taken(path)} >= TAKEN & every
    others = {path for path in every if is_taken(path)} - TAKEN
    assert all(path.startswith("/pain/") for path in others), others
    for path in sorted(path for path in every if not is_taken(path)):
        answer = await client.post(path, headers={"Idempotency-Key": "k"}, json={})
        assert answer.status_code == 400, path
        assert "Idempotency-Key" in answer.json()["issue"][0]["diagnostics"]


_VIEW = {
    "resourceType": "ViewDefinition",
    "name": "one",
    "status": "active",
    "resource": "Patient",
    "select": [{"column": [{"name": "id", "path": "getResourceKey()"}]}],
}
_META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "a"}]}}]}
SENT = {
    "/fhir/Patient": (patient("MRN-1"), patient("MRN-2")),
    "/fhir": (bundle(entry(patient("A"))), bundle(entry(patient("B")))),
    "/fhir/ViewDefinition": (_VIEW, _VIEW | {"name": "other"}),
    "/fhir/Patient/p/$meta-add": (
        _META,
        {**_META, "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "b"}]}}]},
    ),
    "/fhir/$export?_type=Patient": ({"resourceType": "Parameters"}, None),
}


@pytest.mark.own_server
async def test_what_is_sent_again_is_answered_again_and_done_once(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient(id="p"))
    headers = {"Idempotency-Key": "k", "Prefer": "respond-async"}
    for number, (path, (body, other)) in enumerate(SENT.items()):
        key = headers | {"Idempotency-Key": f"k{number}"}
        first, again = [await client.post(path, json=body, headers=key) for _ in range(2)]

        assert first.status_code in (200, 201, 202), first.text
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.headers["Idempotency-Replayed"] == "true"
        for name in ("Location", "Content-Location", "ETag"):
            assert again.headers.get(name) == first.headers.get(name), path
        if other is not None:
            assert (await client.post(path, json=other, headers=key)).status_code == 422, path
    assert (await client.get("/fhir/Patient?_summary=count")).json()["total"] == 3


@pytest.mark.own_server
async def test_a_batch_with_a_read_is_answered_again_as_it_was_until_it_is_forgotten(client: httpx.AsyncClient) -> None:
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
    body = bundle(entry(observation()), entry(None, method="GET", url="Observation?_summary=count"), kind="batch")
    key = {"Idempotency-Key": "k"}
    first = await client.post("/fhir", json=body, headers=key)
    await client.post("/fhir/Observation", json=observation())
    again = await client.post("/fhir", json=body, headers=key)
    soon = Forgetting(service.database, lambda: service.clock() + 86_400_000_000, 7)
    late = Forgetting(service.database, lambda: service.clock() + 8 * 86_400_000_000, 7)

    assert again.content == first.content
    assert (await soon.work(), await late.work()) == (0, 2)
    assert "Idempotency-Replayed" not in (await client.post("/fhir", json=body, headers=key)).headers


@pytest.mark.own_server
async def test_what_failed_may_be_sent_again_put_right(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    refused = await client.post("/fhir/Observation", json={"resourceType": "Observation"}, headers=key)
    right = await client.post("/fhir/Observation", json=observation(), headers=key)

    assert (refused.status_code, right.status_code) == (400, 201)
