"""This server, another one, and the wire between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from app.main import create_app
from app.settings import Settings
from app.store.database import Connection
from app.store.outbox import Item
from app.store.repository import Key
from app.sync.client import Client
from app.sync.conflicts.rules import Rule
from app.sync.conflicts.settling import Conflicts
from app.sync.push.job import Push
from tests.conftest import BASE as HERE
from tests.conftest import serving
from tests.sync.wire import BASE, Wire


@dataclass(frozen=True)
class Policy:
    default: Rule = "newest"
    elements: dict[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What push is told of a target."""

    name: str = "partner"
    base_url: str = BASE
    delivery: Literal["transaction", "batch", "single"] = "transaction"
    ids: Literal["same", "identifier"] = "same"
    batch_size: int = 10
    references: Literal["send", "keep"] = "send"
    read_capabilities: bool = True
    direction: str = "push"
    conflict: Policy = Policy()


TARGET = Target()


async def wants_all(_: Connection, items: object) -> set[Key]:
    assert isinstance(items, list)
    return {item.key for item in items if isinstance(item, Item)}


class Sides:
    """This server and its outbox, the partner, and the wire between them."""

    def __init__(self, here: httpx.AsyncClient, service: Any, wire: Wire) -> None:
        self.here, self.service, self.wire = here, service, wire
        self.conflicts = Conflicts(service.intake)

    def push(self, target: Target = TARGET, *, owner: str = "one", lease_seconds: float = 60) -> Push:
        client = Client(self.wire.client(), BASE, seconds=20)
        return Push(self.service.database, target, client, self.conflicts, wants_all, owner, lease_seconds)

    async def deliver(self, target: Target = TARGET, *, rounds: int = 1) -> list[float]:
        """So many steps; what each says to wait."""
        push = self.push(target)
        return [await push.step() for _ in range(rounds)]

    async def rows(self) -> dict[str, tuple[str, int, str]]:
        """What is in the outbox: reference -> (state, attempts, reason)."""
        async with self.service.database.reading() as connection:
            rows = await connection.exec_driver_sql("SELECT type, id, state, attempts, reason FROM outbox ORDER BY oid")
            return {f"{type_}/{id_}": (state, attempts, reason) for type_, id_, state, attempts, reason in rows}

    async def ledger(self) -> dict[str, Any]:
        """What the partner is known to have: reference -> row."""
        async with self.service.database.reading() as connection:
            rows = await connection.exec_driver_sql("SELECT * FROM ledger")
            return {f"{row.type}/{row.id}": row for row in rows}

    async def let_pass(self) -> None:
        """All waits are over."""
        async with self.service.database.writing() as connection:
            await connection.exec_driver_sql("UPDATE outbox SET not_before = 0")
            await connection.exec_driver_sql("UPDATE sync_state SET open_until = 0")

    async def versions(self, reference: str) -> int:
        """How many versions the partner has."""
        answer = await self.wire.partner.get(f"/fhir/{reference}/_history")
        return int(answer.json()["total"]) if answer.status_code == 200 else 0

    async def there(self, reference: str) -> dict[str, Any]:
        """What the partner answers, {} for what it does not have."""
        answer = await self.wire.partner.get(f"/fhir/{reference}")
        return dict(answer.json()) if answer.status_code == 200 else {}


@asynccontextmanager
async def two_sides(url: str, other_url: str, folder: Path) -> AsyncIterator[Sides]:
    """Both servers, with one target in the file of this one, and no worker running."""
    targets = folder / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{BASE}"\n')
    app = create_app(Settings(database_url=url, log_level="error", sync_targets=targets, worker="separate"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE) as here,
        serving(Settings(database_url=other_url, log_level="error")) as partner,
    ):
        yield Sides(here, app.state.service, Wire(partner))
