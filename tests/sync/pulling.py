"""Two servers and the wire between them, of which one is pulled from."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal

import httpx
from sqlalchemy import text

from app.service import Service
from app.store import ledger, quarantine
from app.store.ledger import Held
from app.store.pulls import request, rows
from app.store.tables import Pull as Row
from app.sync.capabilities import Plan, plan
from app.sync.conflicts.settling import Conflicts
from app.sync.pull.job import Pull
from app.sync.pull.pulling import Puller
from app.sync.pull.remote import Getter
from tests.conftest import serving

PARTNER = "http://partner.test/fhir"
Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Policy:
    default: Literal["ours", "theirs", "newest", "manual"] = "newest"
    elements: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Partner:
    """A target as pull sees it."""

    name: str = "partner"
    base_url: str = PARTNER
    direction: str = "both"
    types: tuple[str, ...] = ("Patient", "Observation")
    filters: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    ids: Literal["same", "identifier"] = "same"
    page_size: int = 3
    pull_seconds: float = 3600
    overlap_seconds: float = 300
    delivery: Literal["transaction", "batch", "single"] = "transaction"
    batch_size: int = 50
    conflict: Policy = Policy()

    @property
    def chosen_types(self) -> tuple[str, ...]:
        return self.types


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to the partner. answers: given instead, in turn; asked: the addresses that were asked for."""

    def __init__(self, partner: httpx.AsyncClient) -> None:
        self._partner = partner
        self.answers: list[httpx.Response | None] = []
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        given = self.answers.pop(0) if self.answers else None
        if given is not None:
            return given
        answer = await self._partner.get(str(request.url), headers={"Accept": request.headers["accept"]})
        # Every server over a network tells its time.
        headers = {**answer.headers, "date": formatdate(usegmt=True)}
        return httpx.Response(answer.status_code, headers=headers, stream=httpx.ByteStream(answer.content))


class Sides:
    """Here, the partner, and the wire."""

    def __init__(self, here: httpx.AsyncClient, partner: httpx.AsyncClient, service: Service) -> None:
        self.here, self.partner, self.service = here, partner, service
        self.wire = Wire(partner)
        self.puller = Puller(service.intake, Conflicts(service.intake), service.validator.resource_types)

    @asynccontextmanager
    async def job(self, target: Partner, *, without: str = "", owner: str = "one") -> AsyncIterator[Pull]:
        """The job that pulls. without: an interaction the partner is taken not to have."""
        async with httpx.AsyncClient(transport=self.wire) as http:
            stated = (await self.partner.get(f"{PARTNER}/metadata")).json()
            for each in stated["rest"][0]["resource"]:
                each["interaction"] = [one for one in each["interaction"] if one["code"] != without]

            async def read() -> Plan:
                return plan(stated, target)

            async with self.puller.open(target, Getter(http, 5), read, owner) as job:
                yield job

    async def pull(self, target: Partner | None = None, *, without: str = "", steps: int = 60) -> None:
        """Pull for one round, until there is nothing to be done for a while."""
        async with self.service.database.writing() as connection:
            await request(connection, "partner")
        async with self.job(target or Partner(), without=without) as job:
            for _ in range(steps):
                if await job.step():
                    return
        raise AssertionError(f"not at an end after {steps} steps: {await self.rows()}")

    async def steps(self, count: int, target: Partner) -> Row:
        """So many pages; answers where the first read stands."""
        async with self.job(target) as job:
            for _ in range(count + 1):  # the first one finds out what there is to read
                await job.step()
        return (await self.rows())[-1]

    async def rows(self) -> list[Row]:
        async with self.service.database.reading() as connection:
            return await rows(connection, "partner")

    async def refused(self) -> list[dict[str, Any]]:
        async with self.service.database.reading() as connection:
            return await quarantine.listed(connection)

    async def due(self, read: str) -> None:
        """The read need not wait any longer."""
        async with self.service.database.writing() as connection:
            await connection.execute(text("UPDATE pull SET not_before = 0 WHERE type = :type"), {"type": read})

    async def held(self, type_: str, *ids: str) -> list[Held]:
        async with self.service.database.reading() as connection:
            found = await ledger.read(connection, "partner", [(type_, each) for each in ids])
        return [found[type_, each] for each in ids]

    async def queue(self) -> list[str]:
        """What the partner is still to be told."""
        return [one["reference"] for one in (await self.here.get("/sync/queue")).json()["items"]]

    async def count(self, type_: str) -> int:
        return int((await self.here.get(f"/fhir/{type_}?_summary=count")).json()["total"])


@asynccontextmanager
async def both(here: Any, partner: Any) -> AsyncIterator[Sides]:
    """Two services with these settings."""
    ours = serving(here)
    async with ours as client, serving(partner) as other:
        yield Sides(client, other, ours.app.state.service)


def told(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """An answer given in the partner's place."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
