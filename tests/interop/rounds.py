"""The rounds that sync makes with one server of others, each of which keeps a promise or fails."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from app.fhir import json as lossless
from app.fhir.references import rewrite
from app.sync.conflicts.likeness import alike
from app.sync.push.outgoing import marks
from tests.builders import Json, bundle, entry, observation, patient
from tests.faults.workload import TYPES, Workload
from tests.interop.scene import NAME, SECRET, Failed, Scene, Side, require, require_equal, require_whole

PUSHED, PULLED = 600, 600
TAG = {"system": "https://example.org/interop", "code": "written there"}
_BOTH = {"direction": "both", "pull_seconds": 2}


async def run(scene: Scene) -> None:
    """Every round in turn, told in a line each. Raises Failed."""

    async def told(round_: Callable[..., Awaitable[str]], *sides: Side) -> None:
        started = time.monotonic()
        line = await round_(scene, *sides)
        print(f"{scene.name} {round_.__name__}: {line} ({time.monotonic() - started:.0f} s)", flush=True)

    async with scene:
        # First, while there is little to search: Medplum's searches by identifier read all there is.
        await told(identifiers)
        async with scene.service("here", _BOTH) as here:
            count = len(await scene.held())
            await here.until(lambda: _has_count(here, count), "what was there did not arrive")
            for round_ in (push, faults, conflict, pull, deletions):
                await told(round_, here)
        for alone in (fresh, letters, backfill, verify):
            await told(alone)


async def push(scene: Scene, here: Side) -> str:
    """What is written here arrives there, once, with what it refers to."""
    started = time.monotonic()
    workload = Workload(here.base, PUSHED, random.Random(1))
    await workload.run()
    written = time.monotonic() - started
    await here.drain()
    seconds = time.monotonic() - started
    require_equal(await here.held(), await scene.held())
    count = len(workload.made)
    return f"{count} resources written here in {written:.1f} s were there after {seconds:.1f} s"


async def faults(scene: Scene, here: Side) -> str:
    """The same through a network that fails."""
    scene.proxy.rate = 0.3
    workload = Workload(here.base, PUSHED // 2, random.Random(2), "faults")
    await workload.run()
    await asyncio.sleep(5)
    await _calm(scene, here)
    await _become_equal(scene, here)
    return f"{len(workload.made)} resources over {sum(scene.proxy.counts.values())} faults"


async def conflict(scene: Scene, here: Side) -> str:
    """Both sides change one resource, each something else: both have both. The same element: the later one holds."""
    reference = _location(await require(here.client.post("/fhir/Patient", json=patient("conflict"))))
    await here.drain()
    await _change_both(scene, here, reference, {"gender": "female"}, {"birthDate": "1960-05-01"})
    await _agree(scene, here, reference, {"gender": "female", "birthDate": "1960-05-01"})
    await _change_both(scene, here, reference, {"gender": "other"}, {"gender": "male"})
    await _agree(scene, here, reference, {"gender": "male"})
    return "two changes to one resource are on both sides; of two to one element the later holds on both"


async def pull(scene: Scene, here: Side) -> str:
    """What is written there arrives here, and does not go back."""
    made = await _write_there(scene, "pull", PULLED)
    seconds = await here.until(lambda: _is_here(here, PULLED), "what was written there did not arrive")
    await here.drain()
    there = await scene.held()
    require_equal(await here.held(), there)
    if back := [key for key, version in made.items() if there[key]["meta"]["versionId"] != version]:
        raise Failed(f"{len(back)} of what was pulled were written back, such as {back[0]}")
    return f"{PULLED} resources written there were here {seconds:.1f} s later, none was written back"


async def deletions(scene: Scene, here: Side) -> str:
    """A deletion here is one there; one there is one here, where their history tells of it."""
    made = _location(await require(here.client.post("/fhir/Patient", json=patient("deletion"))))
    await here.drain()
    await require(here.client.delete(f"/fhir/{made}"))
    await here.drain()
    if await scene.find(made):
        raise Failed(f"{made} was deleted here and is still there")
    if not scene.ways.tells_deletions:
        return "a deletion here is one there; their history tells of no deletions, which are looked for once an hour"
    await require(scene.there.delete("/Observation/pull-o0"))

    async def is_gone() -> bool:
        return (await here.client.get("/fhir/Observation/pull-o0")).status_code == 410

    seconds = await here.until(is_gone, "a deletion there did not arrive")
    await here.drain()
    return f"a deletion here is one there, and one there was one here after {seconds:.1f} s"


async def fresh(scene: Scene) -> str:
    """A new service reads everything there is; then it is told by a Subscription that there is more."""
    there = await scene.held()
    target = {"direction": "pull", "pull_seconds": 86_400, "notify_secret": "notify"}
    async with scene.service("fresh", target) as side:
        first = (await side.status())["totals"]["pulled"]
        seconds = await side.until(lambda: _has_count(side, len(there)), "not everything was read")
        require_equal(await side.held(), there)
        rate = (
            f"{len(there) - first} resources read in {seconds:.1f} s, {(len(there) - first) / seconds:.0f} per second"
        )
        return f"{rate}; {await _notified(scene, side)}"


async def letters(scene: Scene) -> str:
    """What they refuse is a dead letter with what they said, keeps nothing else back, and arrives once repaired."""
    if not scene.ways.is_strict:
        return "they refuse nothing that is taken here"
    async with scene.service("letters", {"types": ["Observation"], "references": "keep"}) as here:
        await require(here.client.put("/fhir/Patient/only-here", json={**patient(), "id": "only-here"}))
        refused = _location(await require(here.client.post("/fhir/Observation", json=observation("Patient/only-here"))))
        other = _location(await require(here.client.post("/fhir/Observation", json=observation())))

        async def is_done() -> bool:
            status = await here.status()
            return status["dead"] == 1 and not status["pending"]

        await here.until(is_done, "there is no dead letter")
        letter = (await require(here.client.get("/sync/dead-letters"))).json()["items"][0]
        if letter["reference"] != refused or "OperationOutcome" not in letter["reason"] or not await scene.find(other):
            raise Failed(f"the dead letter is not the one that was refused, or kept another back: {letter}")
        await require(scene.there.put("/Patient/only-here", json={**patient(), "id": "only-here"}))
        await require(here.client.post(f"/sync/dead-letters/{letter['number']}/replay"))
        await here.drain()
        if not await scene.find(refused):
            raise Failed(f"{refused} was sent again and is not there")
        return f"refused with what they said ({letter['reason'].partition(' ')[0]}), arrived once repaired and replayed"


async def identifiers(scene: Scene) -> str:
    """With ids of their own, through a network that fails: each resource once, and references by their ids."""
    scene.proxy.rate = 0.2
    async with scene.service("identifiers", {"ids": "identifier"}) as here:
        workload = Workload(here.base, PUSHED // 6, random.Random(4), "identifiers")
        await workload.run()
        await asyncio.sleep(3)
        await _calm(scene, here)
        held, there = await here.held(), await scene.held()
    # A mark begins with the name of the instance.
    own = [(mark.partition("/")[2], key) for key, other in there.items() for mark in marks(other)]
    names = dict(own)
    if len(own) != len(names) or names.keys() != held.keys():
        raise Failed(f"{len(held)} resources here, {len(own)} with our identifier there, {len(names)} different ones")
    for key, mine in held.items():
        told = rewrite(lossless.dumps(mine), lambda link: names.get(link, link))
        if not alike(lossless.parse_object(told), there[names[key]]):
            raise Failed(f"{key} differs: {mine} here, {there[names[key]]} there")
    require_whole(there)
    return f"{len(held)} resources, each once under an id of theirs"


async def backfill(scene: Scene) -> str:
    """A server that was never told gets everything."""
    async with scene.service("quiet") as quiet:
        workload = Workload(quiet.base, PUSHED, random.Random(3), "quiet")
        await workload.run()
        held = await quiet.held()
    await scene.command("quiet", "backfill", NAME, "--no-wait")
    async with scene.service("quiet", {}) as quiet:
        first = (await quiet.status())["delivered"]
        seconds = await quiet.until(quiet.is_drained, "the backfill did not drain")
        count = (await quiet.status())["delivered"] - first
    there = await scene.held()
    require_equal(held, {key: each for key, each in there.items() if key in held})
    return f"{count} of {len(held)} resources in {seconds:.1f} s, {count / max(seconds, 0.1):.0f} per second"


async def verify(scene: Scene) -> str:
    """What somebody deletes or changes there is found, and repaired."""
    await scene.command("quiet", "verify", NAME, "--sample", "1")
    async with scene.service("quiet") as quiet:
        held = await quiet.held()
    lone = [key for key in held if key.startswith("CarePlan/")]
    for key in lone[:2]:
        await require(scene.there.delete(f"/{key}"))
    changed = await scene.find(lone[2]) or {}
    await require(scene.there.put(f"/{lone[2]}", json={**changed, "title": "changed there"}))
    found = await scene.command("quiet", "verify", NAME, code=1)
    if "2 missing" not in found or "1 different" not in found:
        raise Failed(f"verify did not find what was deleted and changed: {found}")
    await scene.command("quiet", "verify", NAME, "--repair", code=1)
    async with scene.service("quiet", {}) as quiet:
        await quiet.drain()
        held = await quiet.held()
    await scene.command("quiet", "verify", NAME, "--sample", "1")
    there = await scene.held()
    require_equal(held, {key: each for key, each in there.items() if key in held})
    return "two deletions and a change there are found, and put right"


# What the rounds are made of.


async def _calm(scene: Scene, here: Side) -> None:
    """The network does not fail any more, and what it kept back has arrived."""
    scene.proxy.rate = 0
    await scene.proxy.settle()
    await here.drain()


async def _become_equal(scene: Scene, here: Side) -> None:
    """Both sides hold the same as soon as what changed there last was pulled. Raises Failed where they do not."""

    async def are_equal() -> bool:
        try:
            require_equal(await here.held(), await scene.held())
        except Failed:
            return False
        return await here.is_drained()

    with suppress(Failed):
        await here.until(are_equal, "they do not hold the same")
    require_equal(await here.held(), await scene.held())


async def _change_both(scene: Scene, here: Side, reference: str, ours: Json, theirs: Json) -> None:
    """Ours first, and nothing goes over the network meanwhile."""
    scene.proxy.storm = True
    mine, other = await here.read(reference), await scene.find(reference) or {}
    await require(here.client.put(f"/fhir/{reference}", json={**mine, **ours}))
    await asyncio.sleep(0.05)
    await require(scene.there.put(f"/{reference}", json={**other, **theirs}))
    scene.proxy.storm = False


async def _agree(scene: Scene, here: Side, reference: str, wanted: Json) -> None:
    async def is_so() -> bool:
        both = (await here.read(reference), await scene.find(reference) or {})
        return all(wanted.items() <= one.items() for one in both)

    await here.until(is_so, f"{reference} did not become {wanted} on both sides")
    await here.drain()


async def _write_there(scene: Scene, name: str, count: int) -> dict[str, str]:
    """Patients and their Observations, written there; "Type/id" -> version."""
    found: dict[str, str] = {}
    for start in range(0, count // 2, 25):
        places = range(start, start + 25)
        made = [_put({**patient(meta={"tag": [TAG]}), "id": f"{name}-p{place}"}) for place in places]
        made += [
            _put({**observation(f"Patient/{name}-p{place}", meta={"tag": [TAG]}), "id": f"{name}-o{place}"})
            for place in places
        ]
        kind = "transaction" if scene.ways.is_strict else "batch"
        await require(scene.there.post("", json=bundle(*made, kind=kind)))
    held = await scene.held()
    found |= {key: each["meta"]["versionId"] for key, each in held.items() if f"/{name}-" in key}
    return found


async def _is_here(here: Side, count: int) -> bool:
    found = 0
    for kind in ("Patient", "Observation"):
        address = f"/fhir/{kind}?_tag={TAG['system']}%7C{TAG['code']}&_summary=count"
        found += (await require(here.client.get(address))).json()["total"]
    return bool(found == count)


async def _has_count(here: Side, count: int) -> bool:
    counts = [(await require(here.client.get(f"/fhir/{kind}?_summary=count"))).json()["total"] for kind in TYPES]
    return bool(sum(counts) == count)


async def _notified(scene: Scene, side: Side) -> str:
    """They tell us that something was written, and it is read at once although its turn would be tomorrow."""
    if not scene.ways.notifies:
        return "they notify nobody"
    channel = {
        "type": "rest-hook",
        "endpoint": f"{side.base}/sync/notifications/{NAME}",
        "header": [f"Authorization: Bearer {SECRET}"],
    }
    asked = {"resourceType": "Subscription", "status": "requested", "reason": "sync", "criteria": "Patient?"}
    made = _location(await require(scene.there.post("/Subscription", json={**asked, "channel": channel})))

    async def is_active() -> bool:
        return (await scene.find(made) or {}).get("status") == "active"

    await side.until(is_active, "their Subscription did not become active")
    await require(scene.there.put("/Patient/notified", json={**patient(), "id": "notified"}))

    async def has_come() -> bool:
        return (await side.client.get("/fhir/Patient/notified")).status_code == 200

    seconds = await side.until(has_come, "a notification did not have it read")
    await require(scene.there.delete(f"/{made}"))
    return f"notified, it read a new one {seconds:.1f} s after it was written"


def _put(resource: Json) -> Json:
    return entry(resource, method="PUT", url=f"{resource['resourceType']}/{resource['id']}")


def _location(answer: Any) -> str:
    """Type/id of what was created."""
    return str(answer.headers["location"]).partition("/fhir/")[2].partition("/_history")[0]
