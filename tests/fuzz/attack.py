"""Several clients at once against one server, for a time; then everything acknowledged is read again."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fuzz.http import Answer, Connection, Request
from tests.fuzz.judge import complaints
from tests.fuzz.ledger import Key, Ledger, Written, differs
from tests.fuzz.making import put
from tests.fuzz.material import Material
from tests.fuzz.measures import Measures, resident_mb
from tests.fuzz.requests import draw
from tests.fuzz.servers import HOST, Server
from tests.fuzz.world import Served, World

CLIENTS = 8
_READINGS = 2.0
# How often what was refused is tried again: what it refers to may be there by then.
_ROUNDS = 3
# Enough of each kind to see what it is; all of them are in the file.
_MOST_TOLD = 5


@dataclass
class Findings:
    """What was wrong, counted by its kind, with the requests in a file that is replayed."""

    file: Path
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, request: Request, answer: Answer, said: str) -> None:
        """One complaint about one answer."""
        self.add(said, f"{request.kind}: {request.method} {request.url[:200]} -> {answer.status} {answer.body[:300]!r}")
        with self.file.open("a", encoding="utf-8") as file:
            file.write(request.as_line() + "\n")

    def add(self, said: str, example: str) -> None:
        """One thing that was wrong, whatever it is about."""
        kind = said.partition(":")[0]
        self.counts[kind] += 1
        told = self.examples.setdefault(kind, [])
        if len(told) < _MOST_TOLD:
            told.append(f"{said}: {example}")


@dataclass
class Attack:
    """One server under attack. The same seed draws the same requests, as far as the answers are the same."""

    server: Server
    seed: int
    findings: Findings
    material: Material
    ledger: Ledger = field(default_factory=Ledger)
    measures: Measures = field(default_factory=Measures)

    async def run(self, seconds: float) -> None:
        """Attack for that long, then read everything that was acknowledged."""
        served = await self._served()
        await self._prepare()
        over = asyncio.Event()
        watching = asyncio.create_task(self._watch())
        clients = [asyncio.create_task(self._client(number, served, over)) for number in range(CLIENTS)]
        # A client that ends early has met an error of this program.
        await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        over.set()
        await asyncio.gather(*clients)
        watching.cancel()
        await self._read_again()

    def _connection(self) -> Connection:
        return Connection(HOST, self.server.port, self.server.token)

    async def _served(self) -> Served:
        connection = self._connection()
        statement = (await connection.send(Request("GET", "/fhir/metadata"))).json()
        openapi = (await connection.send(Request("GET", "/openapi.json"))).json()
        connection.close()
        return Served.of(statement, openapi)

    async def _client(self, number: int, served: Served, over: asyncio.Event) -> None:
        connection = self._connection()
        there = [f"{type_}/{identifier}" for type_, identifier in self.ledger.versions]
        world = World(random.Random(f"{self.seed}/{number}"), f"c{number}", self.material, served, there)
        while not over.is_set():
            request = draw(world)
            answer = await connection.send(request)
            self._judge(request, answer)
            _learn(world, request, answer, self.ledger.note(request, answer))
        connection.close()

    async def _prepare(self) -> None:
        """What the material refers to is there: each resource of it under its own id, as far as it is taken."""
        connection = self._connection()
        waiting = [put(one) for type_ in self.material.types for one in self.material.resources[type_] if "id" in one]
        for _ in range(_ROUNDS):
            refused = []
            for request in waiting:
                answer = await connection.send(request)
                self._judge(request, answer)
                refused += [] if self.ledger.note(request, answer) else [request]
            waiting = refused
        connection.close()

    def _judge(self, request: Request, answer: Answer) -> None:
        self.measures.note(request, answer)
        for said in complaints(request, answer):
            self.findings.note(request, answer, said)

    async def _watch(self) -> None:
        while True:
            self.measures.memory.append(resident_mb(self.server.pid))
            await asyncio.sleep(_READINGS)

    async def _read_again(self) -> None:
        """Every acknowledged version is in the history; the last one, or a later one, is what is read."""
        keys = iter(list(self.ledger.versions))
        await asyncio.gather(*(self._reader(keys) for _ in range(CLIENTS)))

    async def _reader(self, keys: Iterator[Key]) -> None:
        connection = self._connection()
        for key in keys:
            for said in await _missing(connection, key, self.ledger.versions[key]):
                self.findings.add(f"lost: {said}", f"{key[0]}/{key[1]}")
        connection.close()


def _learn(world: World, request: Request, answer: Answer, written: list[str]) -> None:
    for reference in written:
        world.learn(reference)
    if not 200 <= answer.status < 300:
        return
    if request.method == "POST" and request.url.startswith("/pain/"):
        if identifier := answer.headers.get("location", "").rpartition("/")[2]:
            world.learn_record(f"{request.url.partition('?')[0]}/{identifier}")
    elif answer.status == 202:
        world.learn_link(urlsplit(answer.headers.get("content-location", "")).path)
    elif request.method == "GET" and isinstance(body := answer.json(), dict):
        for link in _links(body):
            world.learn_link(link)


def _links(body: Mapping[str, Any]) -> Iterator[str]:
    for link in body.get("link", ()) if isinstance(body.get("link"), list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            split = urlsplit(link["url"])
            yield f"{split.path}?{split.query}"


async def _missing(connection: Connection, key: Key, written: Mapping[int, Written]) -> list[str]:
    """What of the acknowledged versions of one resource is not there."""
    address = f"/fhir/{key[0]}/{key[1]}"
    current = await connection.send(Request("GET", address))
    last = max(written)
    found = _version(current)
    said = []
    if found < last:
        said.append(f"version {last} was acknowledged, {found or current.status} is here")
    elif found == last and (current.status == 410) != written[last].is_deletion:
        said.append(f"version {last} is {current.status}, acknowledged was {written[last]}")
    for version, one in written.items():
        answer = await connection.send(Request("GET", f"{address}/_history/{version}"))
        if answer.status != (410 if one.is_deletion else 200):
            said.append(f"version {version} answers {answer.status}")
        elif one.sent and differs(one.sent, answer.body):
            said.append(f"version {version} is not what was sent")
    return said


def _version(answer: Answer) -> int:
    etag = answer.headers.get("etag", "")
    return int(etag.strip('W/"')) if answer.status in (200, 410) and etag else 0
