"""What scopes mean, and what a limited client meets at doors that read many resources at once, or later."""

from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from app.fhir.compartments import compartments
from app.security.grants import EVERYONE, SHARED, Limit, left_out, parse, read, written
from app.store.index.reindex import purge
from app.store.tables import Feed
from tests.builders import Json, bundle, entry, observation, patient
from tests.conftest import serving
from tests.security.limited import granted, limited
from tests.sync.subscriber import Subscriber
from tests.sync.test_subscriptions import SCORES, by_criteria, by_topic, score, settings, subscribed

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LATER = {"Prefer": "respond-async"}
A, QUERY = Limit("a"), "category=laboratory"
MEANT: list[tuple[str, str, str, Any]] = [
    ("system/Observation.read", "r", "Observation", None),
    ("system/Observation.read", "c", "Observation", ()),
    ("user/*.write", "d", "Patient", None),
    ("user/*.write", "s", "Patient", ()),
    ("patient/*.*", "u", "Condition", (A,)),
    ("patient/*.cruds", "r", "Practitioner", None),
    ("patient/*.cruds", "u", "Practitioner", ()),
    ("patient/*.cruds", "r", "Task", ()),
    ("patient/*.cruds", "r", "Subscription", ()),
    (f"patient/Observation.rs?{QUERY}", "s", "Observation", (Limit("a", QUERY),)),
    (f"patient/Observation.rs?{QUERY} patient/Observation.r", "s", "Observation", (Limit("a", QUERY),)),
    (f"system/Observation.r?{QUERY} system/*.rs", "r", "Observation", None),
    ("system/*.rs", "r", "AuditEvent", ()),
    ("system/AuditEvent.rs", "s", "AuditEvent", None),
    ("system/*.cruds", "u", "ValueSet", ()),
    ("system/*.cruds dermatome/admin", "u", "ValueSet", None),
    ("system/Observation.sr", "r", "Observation", ()),
    ("system/Observation.read?code=a", "r", "Observation", ()),
    ("launch/patient openid fhirUser", "r", "Patient", ()),
]


@pytest.mark.parametrize(("scope", "right", "resource_type", "limits"), MEANT, ids=lambda each: str(each))
def test_a_scope_means(scope: str, right: str, resource_type: str, limits: Any) -> None:
    somebody = granted(scope, "a")

    assert somebody.limits(right, resource_type) == limits
    assert somebody.may(right, resource_type) == (limits != ())
    assert read(written(somebody)).limits("r", resource_type) == somebody.limits("r", resource_type)


def test_scopes_for_a_patient_give_nothing_where_no_patient_is_named() -> None:
    assert not granted("patient/*.cruds").may("r", "Patient")
    assert not granted("patient/*.cruds").may("r", "Practitioner")


def test_what_is_no_clinical_scope_is_told() -> None:
    scope = "openid system/Observation.rs system/Observation.sr dermatome/admin offline_access"

    assert len(parse(scope)) == 1
    assert left_out(scope) == ("openid", "system/Observation.sr", "offline_access")


def test_nobody_is_limited_where_authentication_is_off() -> None:
    types = (*compartments()["Patient"], *SHARED)

    assert EVERYONE.is_unlimited
    assert [EVERYONE.limits(right, each) for each in types for right in "cruds"] == [None] * 5 * len(types)
    assert EVERYONE.limits("r", "AuditEvent") is None
    assert not SHARED & compartments()["Patient"].keys()


def category(code: str) -> Json:
    return {"category": [{"coding": [{"system": _CATEGORY, "code": code}]}]}


async def put(client: httpx.AsyncClient, *resources: Json) -> None:
    sent = [entry(each, method="PUT", url=f"{each['resourceType']}/{each['id']}") for each in resources]
    answer = await client.post("/fhir", json=bundle(*sent))
    assert answer.status_code == 200, answer.text


async def status(client: httpx.AsyncClient, url: str, method: str = "GET", **more: Any) -> int:
    return (await client.request(method, url, **more)).status_code


async def test_a_version_is_judged_by_what_it_said_though_its_search_values_are_forgotten(
    client: httpx.AsyncClient,
) -> None:
    await put(client, patient(id="a"), patient(id="b"), observation("Patient/b", id="x", **category("laboratory")))
    await put(client, observation("Patient/a", id="x", **category("laboratory")))
    await put(client, observation("Patient/a", id="x", **category("vital-signs")))
    await put(client, observation("Patient/a", id="gone", **category("laboratory")))
    await client.delete("/fhir/Observation/gone")
    transport: Any = client._transport
    async with transport.app.state.service.database.writing() as connection:
        # What readers of the feed have not met yet is kept for them.
        await connection.execute(delete(Feed))
        forgotten = await purge(connection, 2**62)
    of_a, of_b = limited(client, "patient/*.rs", "a"), limited(client, "patient/*.rs", "b")
    of_signs = limited(client, "patient/Observation.rs?category=vital-signs", "a")

    history = (await of_a.get("/fhir/Observation/x/_history")).json()

    assert forgotten == 3
    assert [each["resource"]["meta"]["versionId"] for each in history["entry"]] == ["3", "2"]
    assert history["total"] == 2
    assert [await status(of_a, f"/fhir/Observation/x/_history/{n}") for n in (1, 2, 3)] == [404, 200, 200]
    assert [await status(of_b, f"/fhir/Observation/x/_history/{n}") for n in (1, 2, 3)] == [404, 404, 404]
    assert [await status(of_signs, f"/fhir/Observation/x/_history/{n}") for n in (1, 2, 3)] == [404, 404, 200]
    assert [await status(each, "/fhir/Observation/gone") for each in (of_a, of_b, of_signs)] == [410, 404, 404]


WRITES: list[tuple[str, str, Json | None, int]] = [
    ("POST", "Observation", observation("Patient/a"), 201),
    ("POST", "Observation", observation("Patient/b"), 403),
    # In the compartment, but also in another's: it would stand in a record this token is not for.
    ("POST", "Observation", observation("Patient/a", performer=[{"reference": "Patient/b"}]), 403),
    ("POST", "Observation", observation(), 403),
    ("PUT", "Observation/x", observation("Patient/b", id="x"), 403),
    ("PUT", "Observation/x", observation("Patient/a", id="x", note=[{"text": "t"}]), 200),
    ("PUT", "Observation/y", observation("Patient/a", id="y"), 404),
    ("PUT", "Observation/new", observation("Patient/a", id="new"), 404),
    ("PUT", "Patient/a", patient(id="a", gender="female"), 200),
    ("PUT", "Patient/b", patient(id="b", link=[{"other": {"reference": "Patient/a"}, "type": "seealso"}]), 404),
    ("POST", "Patient", patient("new"), 403),
    ("POST", "Organization", {"resourceType": "Organization", "name": "o"}, 403),
    ("DELETE", "Observation/y", None, 204),
    ("DELETE", "Observation?_id=y", None, 204),
    ("DELETE", "Observation/x", None, 204),
]


async def test_nothing_is_moved_into_or_out_of_a_compartment(client: httpx.AsyncClient) -> None:
    linked = patient(id="b", link=[{"other": {"reference": "Patient/a"}, "type": "seealso"}])
    await put(client, patient(id="a"), linked, observation("Patient/a", id="x"), observation("Patient/b", id="y"))
    one = limited(client, "patient/*.cruds", "a")

    told = [(m, url, body, await status(one, f"/fhir/{url}", m, json=body)) for m, url, body, _ in WRITES]

    assert told == WRITES
    assert await status(one, "/fhir/Patient/b") == 404
    assert (await client.get("/fhir/Observation/y")).json()["meta"]["versionId"] == "1"


async def test_who_may_not_read_is_not_shown_what_it_writes_or_refers_to(client: httpx.AsyncClient) -> None:
    await put(client, patient(id="a"), {**score("Patient/a"), "id": "x"})
    writer = limited(client, "system/Observation.cud")
    minimal = {"Prefer": "return=minimal"}

    created = await writer.post("/fhir/Observation", json=observation())
    updated = await writer.put("/fhir/Observation/x", json={**score("Patient/a", 7), "id": "x"})
    patched = await status(
        writer, "/fhir/Observation/x", "PATCH", json=[{"op": "remove", "path": "/note"}], headers=minimal
    )
    pointing = [await writer.post("/fhir/Observation", json=score(f"Patient/{each}")) for each in ("a", "none")]
    together = await writer.post("/fhir/Observation", json=score("Patient/a"), headers={"If-None-Exist": "code=x"})

    assert (created.status_code, created.content) == (201, b"")
    assert (updated.status_code, updated.content) == (200, b"")
    assert (patched, together.status_code) == (403, 403)
    assert pointing[0].status_code == pointing[1].status_code == 422
    assert pointing[0].json() == pointing[1].json()


async def test_what_reads_everything_takes_scopes_without_limits(client: httpx.AsyncClient) -> None:
    await put(client, patient(id="a"), observation("Patient/a", id="x"))
    few = limited(client, "system/Observation.rs system/Patient.rs?gender=female")
    every = limited(client, "system/*.rs")
    doors = {
        "/fhir/$export": (202, 202),
        "/fhir/$export?_type=Observation": (202, 202),
        "/fhir/$export?_type=Observation,Patient": (403, 202),
        "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fsubject:Patient.gender%3Dmale": (403, 202),
        "/fhir/$changes?_type=Patient": (403, 200),
        "/fhir/$changes?_type=Observation": (200, 200),
        "/fhir/Patient/_history": (403, 200),
        "/fhir/Observation/_history": (200, 200),
        "/fhir/ViewDefinition/diagnoses/$viewdefinition-run": (403, 200),
        "/pain/cohort/outcomes": (403, 200),
    }

    told = {url: tuple([await status(one, url, headers=LATER) for one in (few, every)]) for url in doors}
    narrowed = (await few.get("/fhir/$changes")).json()
    export = (await few.get("/fhir/$export", headers=LATER)).json()
    history = (await few.get("/fhir/_history?_count=100")).json()

    assert told == doors
    assert {one["fullUrl"].split("/")[-2] for one in narrowed["entry"] if "fullUrl" in one} == {"Observation"}
    assert narrowed["entry"][-1]["response"]["outcome"]["issue"][0]["code"] == "suppressed"
    assert "do not cover all" in export["issue"][-1]["diagnostics"]
    assert {one["resource"]["resourceType"] for one in history["entry"]} == {"Observation"}


async def test_subscribers_are_told_what_they_may_read(database_url: str) -> None:
    rights = "system/Subscription.cruds system/Observation.rs?category=laboratory"
    with Subscriber() as signs, Subscriber() as chained, Subscriber() as scored:
        async with serving(settings(database_url)) as client:
            await put(client, patient(id="a", gender="female"), patient(id="b"))
            some, of_a = (
                limited(client, rights),
                limited(client, "system/Subscription.cruds patient/Observation.rs", "a"),
            )
            payload = {"payload": "application/fhir+json"}
            await subscribed(some, by_criteria(signs.endpoint, "Observation?status=final", **payload))
            await subscribed(
                some, by_criteria(chained.endpoint, "Observation?subject:Patient.gender=female", **payload)
            )
            topical = await subscribed(of_a, by_topic(scored.endpoint, SCORES, "full-resource"))
            other = await status(
                some, "/fhir/Subscription", "POST", json=by_criteria(signs.endpoint, "Patient?gender=female")
            )
            for subject in ("Patient/b", "Patient/a"):
                await client.post("/fhir/Observation", json=observation(subject, **category("vital-signs")))
                await client.post("/fhir/Observation", json=observation(subject, **category("laboratory")))
                await client.post("/fhir/Observation", json=score(subject))
            await signs.until(lambda s: len(s.taken) == 2)
            await scored.until(lambda s: any(one.kind == "event-notification" for one in s.taken))
            past = (await client.get(f"/fhir/Subscription/{topical}/$events")).json()
            asked = await some.get(f"/fhir/Subscription/{topical}/$events")

    assert other == 403
    assert [one.bundle["category"][0]["coding"][0]["code"] for one in signs.taken] == ["laboratory"] * 2
    assert chained.taken == []
    told = [one for each in scored.taken if each.kind == "event-notification" for one in each.bundle["entry"][1:]]
    assert [one["resource"]["subject"]["reference"] for one in told] == ["Patient/a"]
    assert [one["resource"]["subject"]["reference"] for one in past["entry"][1:]] == ["Patient/a"]
    assert len(asked.json()["entry"]) == 1
