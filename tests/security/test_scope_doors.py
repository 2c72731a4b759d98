"""Every door, and what it does for somebody whose token gives no right to any resource. A new door must be named."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx

from app.main import _ROUTERS
from app.routers.doors import Asks, asked
from app.routers.operations.rights import ASKS
from app.routers.operations.table import EVERY_TYPE, operations
from tests.builders import bundle, entry, observation, patient
from tests.security.limited import limited

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_PATCH = {"Content-Type": "application/json-patch+json"}
RECORDS = ("assessments", "diagnoses", "treatment-plans", "examinations")
HOOKS = ("order-select", "order-sign", "patient-view")
# Method and route: what is sent to it, as address and body, and the answer.
DOORS: dict[tuple[str, str], tuple[str, Any, int]] = {
    ("GET", "/fhir"): ("/fhir?_type=Patient", None, 403),
    ("POST", "/fhir"): ("/fhir", bundle(entry(patient())), 403),
    ("POST", "/fhir/_search"): ("/fhir/_search", None, 403),
    ("GET", "/fhir/_history"): ("/fhir/_history", None, 403),
    ("GET", "/fhir/{resource_type}"): ("/fhir/Patient", None, 403),
    ("POST", "/fhir/{resource_type}"): ("/fhir/Patient", patient(), 403),
    ("PUT", "/fhir/{resource_type}"): ("/fhir/Patient?_id=one", patient(), 403),
    ("PATCH", "/fhir/{resource_type}"): ("/fhir/Patient?_id=one", [], 403),
    ("DELETE", "/fhir/{resource_type}"): ("/fhir/Patient?_id=one", None, 403),
    ("POST", "/fhir/{resource_type}/_search"): ("/fhir/Patient/_search", None, 403),
    ("GET", "/fhir/{resource_type}/_history"): ("/fhir/Patient/_history", None, 403),
    ("GET", "/fhir/{resource_type}/{resource_id}"): ("/fhir/Patient/one", None, 403),
    ("PUT", "/fhir/{resource_type}/{resource_id}"): ("/fhir/Patient/one", {**patient(), "id": "one"}, 403),
    ("PATCH", "/fhir/{resource_type}/{resource_id}"): ("/fhir/Patient/one", [], 403),
    ("DELETE", "/fhir/{resource_type}/{resource_id}"): ("/fhir/Patient/one", None, 403),
    ("GET", "/fhir/{resource_type}/{resource_id}/_history"): ("/fhir/Patient/one/_history", None, 403),
    ("GET", "/fhir/{resource_type}/{resource_id}/_history/{version}"): ("/fhir/Patient/one/_history/1", None, 403),
    ("GET", "/fhir/{compartment}/{resource_id}/{resource_type}"): ("/fhir/Patient/one/Observation", None, 403),
    ("POST", "/fhir/{compartment}/{resource_id}/_search"): ("/fhir/Patient/one/_search", None, 403),
    ("POST", "/fhir/{compartment}/{resource_id}/{resource_type}/_search"): ("/fhir/Patient/one/*/_search", None, 403),
    ("GET", "/fhir/ViewDefinition"): ("/fhir/ViewDefinition", None, 403),
    ("POST", "/fhir/ViewDefinition"): ("/fhir/ViewDefinition", {}, 403),
    ("GET", "/fhir/ViewDefinition/{view_id}"): ("/fhir/ViewDefinition/mine", None, 403),
    ("PUT", "/fhir/ViewDefinition/{view_id}"): ("/fhir/ViewDefinition/mine", {}, 403),
    ("DELETE", "/fhir/ViewDefinition/{view_id}"): ("/fhir/ViewDefinition/mine", None, 403),
    ("GET", "/fhir/AuditEvent"): ("/fhir/AuditEvent", None, 403),
    ("POST", "/fhir/AuditEvent/_search"): ("/fhir/AuditEvent/_search", None, 403),
    ("GET", "/fhir/AuditEvent/{event_id}"): ("/fhir/AuditEvent/1", None, 403),
    ("GET", "/fhir/AuditEvent/{event_id}/_history/{version}"): ("/fhir/AuditEvent/1/_history/1", None, 403),
    ("GET", "/fhir/Patient/{patient_id}/AuditEvent"): ("/fhir/Patient/one/AuditEvent", None, 403),
    # There is none, for anybody.
    ("GET", "/fhir/AuditEvent/_history"): ("/fhir/AuditEvent/_history", None, 400),
    ("GET", "/fhir/AuditEvent/{event_id}/_history"): ("/fhir/AuditEvent/1/_history", None, 400),
    # Exports are for those who asked for them: for others there are none.
    ("GET", "/exports"): ("/exports", None, 200),
    ("GET", "/exports/{job}"): ("/exports/one", None, 404),
    ("DELETE", "/exports/{job}"): ("/exports/one", None, 404),
    ("GET", "/exports/{job}/{name}"): ("/exports/one/part", None, 404),
    ("GET", "/pain/cohort/outcomes"): ("/pain/cohort/outcomes", None, 403),
    # Content of this service, the same for everybody.
    ("GET", "/pain/instruments"): ("/pain/instruments", None, 200),
    ("GET", "/pain/instruments/{name}"): ("/pain/instruments/dn4", None, 200),
    ("GET", "/pain/examination-types"): ("/pain/examination-types", None, 200),
    ("GET", "/pain/examination-types/{name}"): ("/pain/examination-types/none", None, 404),
    **{("POST", f"/pain/{kind}"): (f"/pain/{kind}", {}, 403) for kind in RECORDS},
    **{("GET", f"/pain/{kind}/{{record_id}}"): (f"/pain/{kind}/one", None, 403) for kind in RECORDS},
    **{("PUT", f"/pain/{kind}/{{record_id}}"): (f"/pain/{kind}/one", {}, 403) for kind in RECORDS},
    **{("DELETE", f"/pain/{kind}/{{record_id}}"): (f"/pain/{kind}/one", None, 403) for kind in RECORDS},
    # Cards are made of what is sent along; of our own record, of what may be read of it.
    **{("POST", f"/cds-services/dermatome-{hook}"): (f"/cds-services/dermatome-{hook}", {}, 400) for hook in HOOKS},
    **{
        ("POST", f"/cds-services/dermatome-{hook}/feedback"): (f"/cds-services/dermatome-{hook}/feedback", {}, 400)
        for hook in HOOKS
    },
    ("POST", "/cds-services/{name}"): ("/cds-services/none", {}, 404),
    ("POST", "/cds-services/{name}/feedback"): ("/cds-services/none/feedback", {}, 404),
}


def doors() -> set[tuple[str, str]]:
    """The doors that a token opens; those that ask for something else are held by tests of access."""
    routes: list[Any] = [each for router in _ROUTERS for each in router.routes]
    found = {(method, each.path_format) for each in routes for method in each.methods}
    return {
        (method, path)
        for method, path in found
        if "$" not in path and asked(method, path) in (Asks.TOKEN, Asks.CALLING)
    }


def test_every_door_is_named() -> None:
    assert {each for each in doors() if each[0] != "HEAD"} == set(DOORS)


def test_what_every_operation_asks_is_said() -> None:
    assert {each.id for each in operations()} == set(ASKS)


async def test_nobody_gets_in_without_a_right(client: httpx.AsyncClient) -> None:
    nobody = limited(client, "openid launch/patient", "one")

    told = {door: await _sent(nobody, *door) for door in DOORS}

    assert {door: answer.status_code for door, answer in told.items()} == {door: DOORS[door][2] for door in DOORS}
    refused = [answer for answer in told.values() if answer.status_code == 403]
    assert {answer.json()["issue"][0]["code"] for answer in refused} == {"forbidden"}
    assert all('error="insufficient_scope"' in answer.headers["www-authenticate"] for answer in refused)


async def _sent(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    url, body, _ = DOORS[method, path]
    if url.endswith("_search"):
        return await client.request(method, url, content=b"", headers=_FORM)
    return await client.request(method, url, json=body, headers=_PATCH if method == "PATCH" else {})


async def test_no_operation_answers_somebody_without_a_right(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json={**patient("one"), "id": "one"})
    nobody = limited(client, "openid launch/patient", "one")

    told = {url: (await nobody.get(url)).status_code for url in _asked()}

    assert {url: status for url, status in told.items() if status not in (400, 403, 404, 405)} == {}
    assert sum(status == 403 for status in told.values()) > len(told) / 2


def _asked() -> Iterator[str]:
    """Every operation, at all its levels, with what most of them need to begin."""
    given = urlencode(
        {
            "url": "http://x",
            "code": "a",
            "system": "http://x",
            "patient": "Patient/one",
            "category": "b",
            "_since": "2026",
        }
    )
    for each in operations():
        known = "&".join(pair for pair in given.split("&") if pair.partition("=")[0] in each.parameters)
        types = ["Patient" if one == EVERY_TYPE else one for one in each.types]
        below = {"system": [""], "type": types, "instance": [f"{one}/one" for one in types]}
        for level in each.levels:
            yield from (f"/fhir/{place}/${each.code}?{known}".replace("//$", "/$") for place in below.get(level, ()))


async def test_each_entry_of_a_batch_is_done_for_itself(client: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await client.put(f"/fhir/Patient/{name}", json={**patient(name), "id": name})
    entries = [
        entry(None, method="GET", url="Patient/a"),
        entry(None, method="GET", url="Patient/b"),
        entry(None, method="GET", url="Patient?identifier=a,b"),
        entry(None, method="GET", url="Device/x"),
        entry(observation("Patient/a")),
        entry(observation("Patient/b")),
        entry(None, method="DELETE", url="Patient/b"),
    ]
    one = limited(client, "patient/*.cruds", "a")

    batch = (await one.post("/fhir", json=bundle(*entries, kind="batch"))).json()["entry"]
    transaction = await one.post("/fhir", json=bundle(*entries[4:6]))

    assert [each["response"]["status"] for each in batch] == ["200", "404", "200", "403", "201", "403", "204"]
    assert batch[2]["resource"]["total"] == 1
    assert transaction.status_code == 403
    assert transaction.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (await client.get("/fhir/Patient/b")).status_code == 200
    assert (await client.get("/fhir/Observation?_summary=count")).json()["total"] == 1


async def test_everybody_is_told_of_his_own_exports_and_an_administrator_of_all(client: httpx.AsyncClient) -> None:
    one, other = limited(client, "system/Patient.rs"), limited(client, "system/*.rs")
    admin = limited(client, "dermatome/admin")
    places = []
    for who in (one, other, other):
        kicked = await who.get("/fhir/$export?_type=Patient", headers={"Prefer": "respond-async"})
        places.append(kicked.headers["content-location"])

    told = {who: (await who.get("/exports")).json()["items"] for who in (one, other, admin)}
    first = (await other.get("/exports?_count=1")).json()
    second = (await other.get(f"/exports?_count=1&after={first['next']}")).json()

    assert [each["status"] for each in told[one]] == places[:1]
    assert [each["status"] for each in told[other]] == [places[2], places[1]]
    assert {each["status"] for each in told[admin]} >= set(places)
    assert [page["items"][0]["status"] for page in (first, second)] == [places[2], places[1]]
    assert (await one.get(f"/exports?after={first['next']}")).status_code == 404
