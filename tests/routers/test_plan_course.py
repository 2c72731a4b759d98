"""A plan that is carried out: sessions, procedures, devices and outcomes through the clinic API, on both databases."""

from typing import Any

import httpx

from app.profiles import json_files

Json = dict[str, Any]
PLANS = "/pain/treatment-plans"
IMPLANTED = {"on": "2026-09-01", "device": {"type": "neurostimulator", "serial": "1098"}}
SESSION = {"start": "2026-12-01T09:00:00+01:00", "end": "2026-12-01T09:50:00+01:00", "status": "booked"}


def plan(**stimulation: Any) -> Json:
    activities: list[Json] = [
        {"drug": "duloxetine", "daily_dose_mg": 60},
        {"therapy": "spinal-cord-stimulation", **stimulation},
        {"device": "tens-device"},
    ]
    return {"patient": {"system": "urn:oid:1.2.3", "value": "MRN-7"}, "activities": activities}


async def resources(client: httpx.AsyncClient, names: list[str]) -> list[Json]:
    return [(await client.get(f"/fhir/{name}")).json() for name in names]


async def test_a_course_of_treatment_is_recorded_amended_and_withdrawn(client: httpx.AsyncClient) -> None:
    made = await client.post(PLANS, json=plan(done=IMPLANTED, appointment=SESSION))
    address, tag = f"{PLANS}/{made.json()['id']}", made.headers["etag"]

    view = (await client.get(address)).json()
    by_type = {one.split("/")[0]: one for one in view["resources"]}
    assert made.status_code == 201
    assert {"Procedure", "Device", "Appointment", "DeviceRequest"} <= by_type.keys()
    assert (view["activities"][1]["done"], view["activities"][1]["appointment"]) == (IMPLANTED, SESSION)
    assert [note for note in view["notes"] if "/" in note] == []

    told = plan(done=IMPLANTED, outcome={"status": "ongoing", "response": 55}, appointment=SESSION)
    amended = await client.put(address, json=told, headers={"If-Match": tag})
    after = (await client.get(address)).json()
    assert amended.status_code == 200
    assert after["resources"] == view["resources"]
    assert after["activities"][1]["outcome"] == {"status": "ongoing", "response": 55}
    [device, procedure] = await resources(client, [by_type["Device"], by_type["Procedure"]])
    assert [device["meta"]["versionId"], procedure["meta"]["versionId"]] == ["1", "1"]
    assert procedure["focalDevice"] == [{"manipulated": {"reference": by_type["Device"]}}]

    taken_out = await client.put(address, json=plan())
    states = [one["status"] for one in await resources(client, [by_type[name] for name in ("Procedure", "Device")])]
    assert taken_out.status_code == 200
    assert states == ["entered-in-error", "entered-in-error"]
    assert (await resources(client, [by_type["Appointment"]]))[0]["status"] == "cancelled"

    again = await client.put(address, json=told)
    assert again.status_code == 200
    assert (await client.get(address)).json()["activities"][1]["done"] == IMPLANTED

    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 410
    left = (await client.get(f"/fhir/Device?type=neurostimulator&patient={view['patient']}")).json()
    assert {entry["resource"]["status"] for entry in left["entry"]} == {"entered-in-error"}


async def test_what_was_there_before_is_referred_to_and_never_withdrawn(client: httpx.AsyncClient) -> None:
    first = (await client.post(PLANS, json=plan(done=IMPLANTED))).json()
    device = next(one for one in first["resources"] if one.startswith("Device/"))
    revised = {"on": "2026-10-01", "device": device}
    second = (await client.post(PLANS, json=plan(done=revised))).json()

    await client.delete(f"{PLANS}/{second['id']}")

    assert device not in second["resources"]
    assert (await resources(client, [device]))[0]["status"] == "active"


async def test_the_documented_example_is_a_whole_course(client: httpx.AsyncClient) -> None:
    example = json_files("examples/requests")["treatment-plans"]

    made = await client.post(PLANS, json=example)

    assert made.status_code == 201, made.json()
    view = (await client.get(f"{PLANS}/{made.json()['id']}")).json()
    kinds = {one.split("/")[0] for one in view["resources"]}
    assert {"CarePlan", "Goal", "MedicationRequest", "ServiceRequest", "DeviceRequest", "Appointment"} <= kinds
    assert {"Procedure", "Device"} <= kinds
    assert view["activities"][2]["outcome"] == example["activities"][2]["outcome"]


async def test_a_procedure_of_others_is_shown_by_its_reference(client: httpx.AsyncClient) -> None:
    made = (await client.post(PLANS, json=plan(done={"procedure": "Procedure/of-others"}))).json()

    view = (await client.get(f"{PLANS}/{made['id']}")).json()

    assert view["activities"][1]["done"] == {"procedure": "Procedure/of-others"}
    assert [note for note in made["notes"] if "Procedure/" in note] == [
        "Procedure/of-others is not held here; the reference was kept."
    ]
    assert [note for note in view["notes"] if "Procedure/" in note] == []
