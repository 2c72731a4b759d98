"""One server of others, a network before it that can fail, and services of ours beside it."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.fhir import json as lossless
from app.fhir.references import local, references
from app.sync.conflicts.likeness import alike, content
from tests.faults.proxy import KINDS, Proxy
from tests.faults.workload import TYPES
from tests.interop.servers import Server
from tests.processes import ROOT, Process, free_port, inherited

SECONDS = 120
NAME = "partner"
SECRET = "known-to-both"
# HAPI answers the same search from memory for a minute unless told not to.
_FRESH = {"Cache-Control": "no-cache"}
Everything = dict[str, dict[str, Any]]
# Fields of a sync target; what is not among them is as `settings` has it.
Target = Mapping[str, object]


class Failed(Exception):
    """What a round promised and did not keep."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What is known of a server that a round needs. tells_deletions: its history does; notifies: its Subscriptions
    act; is_strict: it refuses references that lead nowhere."""

    tells_deletions: bool
    notifies: bool
    is_strict: bool


@dataclass
class Scene:
    """A server of others and what surrounds it."""

    name: str
    server: Server
    ways: Ways
    folder: Path

    async def __aenter__(self) -> "Scene":
        self.proxy = Proxy(self.server.base.removesuffix("/fhir"), random.Random(6), 0.0, KINDS)
        self.there = httpx.AsyncClient(base_url=self.server.base, timeout=60, headers=_FRESH)
        await self.proxy.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.there.aclose()
        await self.proxy.__aexit__()

    @asynccontextmanager
    async def service(self, name: str, target: Target | None = None) -> AsyncIterator["Side"]:
        """A service of ours with its own database, and the server as its one target; without target it has none."""
        settings = {**self.settings(name, target), "PORT": str(free_port())}
        process = Process("serve", settings, log=self.folder / f"{name}.log")
        with process:
            async with httpx.AsyncClient(base_url=process.base, timeout=60) as client:
                yield Side(client, process.base)

    def settings(self, name: str, target: Target | None) -> dict[str, str]:
        """The settings of a service; those of one name share a database."""
        told = {"DERMATOME_SYNC_TARGETS": ""}
        if target is not None:
            path = self.folder / f"{name}.toml"
            block = {"name": NAME, "base_url": f"{self.proxy.base}/fhir", "types": TYPES, **target}
            # A JSON text, number or list of texts is TOML as well.
            path.write_text("[[target]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in block.items()))
            told = {"DERMATOME_SYNC_TARGETS": str(path)}
        if target and "notify_secret" in target:
            told["DERMATOME_SECRET_NOTIFY"] = SECRET
        return {
            "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/{name}.db",
            "DERMATOME_CACHE": str(self.folder / "cache"),
            **told,
        }

    async def command(self, name: str, *words: str, code: int = 0) -> str:
        """Run `dermatome sync`; answers what it printed. Raises Failed where it ends with another code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "sync", *words),
            cwd=ROOT,
            env=inherited() | self.settings(name, {}) | {"DERMATOME_LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            printed = (await asyncio.wait_for(process.communicate(), SECONDS))[0].decode()
        except TimeoutError:
            process.kill()
            raise Failed(f"dermatome sync {' '.join(words)} did not end in {SECONDS} s") from None
        if process.returncode != code:
            raise Failed(f"dermatome sync {' '.join(words)} ended with {process.returncode}: {printed[-3000:]}")
        return printed

    async def held(self) -> Everything:
        """Everything there of the types that are synced."""
        return await everything(self.there, "")

    async def find(self, reference: str) -> dict[str, Any] | None:
        """One resource there."""
        answer = await self.there.get(f"/{reference}")
        return lossless.parse_object(answer.content) if answer.status_code == 200 else None


@dataclass(frozen=True, slots=True)
class Side:
    """One running service of ours."""

    client: httpx.AsyncClient
    base: str

    async def read(self, reference: str) -> dict[str, Any]:
        return (await require(self.client.get(f"/fhir/{reference}"))).json()  # type: ignore[no-any-return]

    async def status(self) -> dict[str, Any]:
        """What /sync/status says of the one target."""
        found: dict[str, Any] = (await require(self.client.get("/sync/status"))).json()["targets"][0]
        return found

    async def is_drained(self) -> bool:
        """Whether nothing waits for the target; Failed if it refused something."""
        status = await self.status()
        if status["dead"]:
            raise Failed(f"dead letters: {(await self.client.get('/sync/dead-letters?_count=3')).text[:3000]}")
        return not status["pending"]

    async def drain(self) -> None:
        await self.until(self.is_drained, "the outbox did not drain")

    async def until(self, is_so: Callable[[], Awaitable[bool]], otherwise: str) -> float:
        """Wait; answers for how many seconds. Raises Failed."""
        started = time.monotonic()
        while not await is_so():
            if time.monotonic() > started + SECONDS:
                told = [(await self.client.get(f"/sync/{each}")).text[:2000] for each in ("status", "queue?_count=3")]
                raise Failed(f"{otherwise} in {SECONDS} s: {' '.join(told)}")
            await asyncio.sleep(0.2)
        return time.monotonic() - started

    async def held(self) -> Everything:
        """Everything here of the types that are synced."""
        return await everything(self.client, "/fhir")


def require_equal(here: Everything, there: Everything) -> None:
    """Raises Failed unless both have the same resources, alike, and each leads to what is there."""
    if missing := here.keys() ^ there.keys():
        counts = Counter(f"{key.partition('/')[0]} {'here' if key in here else 'there'} only" for key in missing)
        raise Failed(f"not on both sides: {dict(counts)}, such as {min(missing)}")
    for key, own in here.items():
        if not alike(own, there[key]):
            raise Failed(f"{key} differs: {content(own)} here, {content(there[key])} there")
    require_whole(there)


def require_whole(there: Everything) -> None:
    """Raises Failed where a resource refers to one that is not there."""
    for key, other in there.items():
        for link in references(other):
            target = local(link, "")
            if target and target[0] in TYPES and "/".join(target[:2]) not in there:
                raise Failed(f"{key} refers to {link}, which is not there")


async def everything(client: httpx.AsyncClient, path: str) -> Everything:
    """All resources of the types that are synced, "Type/id" -> resource."""
    found: Everything = {}
    for kind in TYPES:
        address = f"{path}/{kind}?_count=500"
        while address:
            page = lossless.parse_object((await require(client.get(address))).content)
            found |= {f"{kind}/{e['resource']['id']}": e["resource"] for e in page.get("entry", [])}
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


async def require(asking: Awaitable[httpx.Response]) -> httpx.Response:
    """The answer; Failed unless it is a success."""
    answer = await asking
    if not answer.is_success:
        raise Failed(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:1000]}")
    return answer
