"""Writers that go on whatever is killed, as an EHR does, and what both servers hold in the end."""

import asyncio
import time
from typing import Any

import httpx

from tests.builders import bundle, entry, observation, patient
from tests.repeating import acknowledged

DRAIN_SECONDS = 60
# Of a writer, so that what is killed is met at work, and not under a heap of it that grows while it starts.
PAUSE_SECONDS = 0.15


async def write(base: str, number: int, stop: asyncio.Event) -> set[str]:
    """Write until told to stop; answers the references that were acknowledged."""
    done: set[str] = set()
    async with httpx.AsyncClient(base_url=base, timeout=5) as client:
        turn = 0
        while not stop.is_set():
            turn += 1
            name = f"{number}-{turn}"
            own = await acknowledged(client, "PUT", f"/fhir/Patient/p-{name}", patient(name, id=f"p-{name}"))
            urn = f"urn:uuid:00000000-0000-4000-8000-{number:06d}{turn:06d}"
            group = bundle(entry(observation(f"Patient/p-{name}")), entry(patient(f"t{name}"), full_url=urn))
            pair = await acknowledged(client, "POST", "/fhir", group, key=name)
            done |= {f"Patient/{own.json()['id']}"}
            made = [_reference(e["response"]["location"]) for e in pair.json()["entry"]]
            changed = patient(name, id=f"p-{name}", active=False)
            await acknowledged(client, "PUT", f"/fhir/Patient/p-{name}", changed)
            if turn % 3 == 0:
                await acknowledged(client, "DELETE", f"/fhir/{made[0]}", None)
                made = made[1:]
            done |= set(made)
            await asyncio.sleep(PAUSE_SECONDS)
    return done


async def drained(here: str, there: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything on both servers, once nothing waits to be delivered."""
    deadline = time.monotonic() + DRAIN_SECONDS
    async with httpx.AsyncClient(timeout=30) as client:
        while True:
            status = (await client.get(f"{here}/sync/status")).json()["targets"][0]
            if not status["pending"]:
                break
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.2)
        assert status["dead"] == 0
        return await _everything(client, here), await _everything(client, there)


async def _everything(client: httpx.AsyncClient, base: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("Patient", "Observation"):
        address = f"{base}/fhir/{kind}?_count=500"
        while address:
            page = (await client.get(address)).json()
            found |= {f"{kind}/{e['resource']['id']}": e["resource"] for e in page.get("entry", [])}
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


def content(resource: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name != "meta"}


def _reference(location: str) -> str:
    return location.partition("/fhir/")[2].partition("/_history")[0]
