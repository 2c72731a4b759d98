"""The hash chain over what was noted: made beside the writers, and broken by whatever is changed behind the service."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from app.store.audit import seals
from app.store.audit.rows import Agent, row, write
from app.store.audit.seals import Seal, Sealing, last_seal, verify
from app.store.database import Connection, Database
from tests.conftest import Templates, new_database
from tests.forked import Forked

_AGENT = Agent("dr", "1")


def noted(count: int) -> list[dict[str, Any]]:
    return [row(1_780_000_000_000_000 + each, _AGENT, "GET", "Patient", str(each)) for each in range(count)]


async def note(database: Database, count: int) -> None:
    async with database.writing() as connection:
        await write(connection, noted(count))


async def sealed(database: Database, *, rounds: int = 2) -> Seal:
    """Two rounds, as PostgreSQL seals in the second what it saw drawn in the first."""
    sealing = Sealing(database, lambda: 1_790_000_000_000_000)
    for _ in range(rounds):
        while await sealing.work():
            pass
    async with database.reading() as connection:
        return await last_seal(connection)


async def problems(database: Database, expected: str = "") -> list[str]:
    async with database.reading() as connection:
        return (await verify(connection, expected)).problems


@asynccontextmanager
async def tampering(database: Database) -> AsyncIterator[Connection]:
    """What somebody can do who has the database: the triggers are taken away."""
    async with database.writing() as connection:
        if database.is_sqlite:
            for name in ("audit_update", "audit_delete", "audit_seal_update", "audit_seal_delete"):
                await connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection


async def test_what_is_noted_is_sealed_once(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await note(database, 30)
        first = await sealed(database)
        again = await sealed(database)
        await note(database, 5)
        second = await sealed(database)

        assert (first.number, first.count) == (1, 30)
        assert again == first
        assert (second.number, second.count) == (2, 5)
        assert second.last > first.last
        assert await problems(database, first.text) == []


async def test_a_large_lot_is_sealed_in_pieces(bare_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "_MOST", 7)
    monkeypatch.setattr(seals, "_PIECE", 3)
    async with Database(bare_database_url) as database:
        await note(database, 20)
        # Of PostgreSQL each round seals what was drawn before.
        await sealed(database, rounds=5)
        async with database.reading() as connection:
            found = await verify(connection)

    assert (found.seals, found.rows, found.unsealed, found.problems) == (3, 20, 0, [])


TAMPERED = {
    "a row changed": "UPDATE audit SET actor = 'nobody' WHERE id = '3'",
    "a row removed": "DELETE FROM audit WHERE id = '3'",
    "the last row removed": "DELETE FROM audit WHERE id = '29'",
    "a row in another place": "UPDATE audit SET aid = -aid WHERE id = '3'",
    "two rows swapped": "UPDATE audit SET id = CASE id WHEN '3' THEN '4' ELSE '3' END WHERE id IN ('3', '4')",
    "a seal changed": "UPDATE audit_seal SET digest = 'x' WHERE number = 1",
    "a seal removed": "DELETE FROM audit_seal WHERE number = 1",
    "a seal moved": "UPDATE audit_seal SET last = last - 1 WHERE number = 1",
    "the time of a seal": "UPDATE audit_seal SET at = at - 1 WHERE number = 2",
}


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED.keys())
async def test_what_was_changed_behind_the_service_is_found(bare_database_url: str, statement: str) -> None:
    async with Database(bare_database_url) as database:
        await note(database, 30)
        first = await sealed(database)
        with suppress(ZeroDivisionError):
            async with database.writing() as connection:
                # A number that is drawn and never seen.
                await write(connection, noted(1))
                raise ZeroDivisionError
        await note(database, 10)
        await sealed(database)
        assert await problems(database, first.text) == []
        async with tampering(database) as connection:
            if "slipped" in statement or "max(aid)" in statement:
                await connection.execute(
                    text("DELETE FROM audit WHERE aid = (SELECT last FROM audit_seal WHERE number=1)")
                )
            await connection.execute(text(statement))

        assert await problems(database)


async def test_seals_that_were_made_anew_are_found_by_one_kept_elsewhere(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await note(database, 30)
        kept = await sealed(database)
        async with tampering(database) as connection:
            await connection.execute(text("DELETE FROM audit WHERE id = '3'"))
            await connection.execute(text("DELETE FROM audit_seal"))
        await sealed(database)

        assert await problems(database) == []
        assert await problems(database, kept.text) == [
            "The seal that was expected is not there: seals were removed, or made anew."
        ]


async def test_a_row_that_is_committed_late_is_in_no_seal_before(postgres: URL, templates: Templates) -> None:
    """SQLite has one writer at a time, so that nothing is committed late there."""
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    template = templates.of("postgresql", is_bare=True)
    async with new_database(postgres, template, name) as url, Database(url) as database:
        sealing = Sealing(database, lambda: 1)
        async with database.writing() as slow:
            await write(slow, noted(3))
            await note(database, 5)
            for _ in range(4):
                await sealing.work()
            async with database.reading() as connection:
                assert (await last_seal(connection)).number == 0
        for _ in range(2):
            await sealing.work()
        async with database.reading() as connection:
            found = await verify(connection)

    assert (found.rows, found.unsealed, found.problems) == (8, 0, [])


async def test_writers_and_sealers_at_once(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        sealers = [Sealing(database, lambda: 1) for _ in range(3)]

        async def writer() -> None:
            for _ in range(15):
                await note(database, 3)

        async def sealer(own: Sealing) -> None:
            for _ in range(20):
                await own.work()
                await asyncio.sleep(0.005)

        await asyncio.gather(*(writer() for _ in range(4)), *(sealer(each) for each in sealers))
        await sealed(database, rounds=3)
        async with database.reading() as connection:
            found = await verify(connection)

    assert (found.rows, found.unsealed, found.problems) == (180, 0, [])


async def test_the_command_tells(bare_database_url: str, tmp_path: Path) -> None:
    async with Database(bare_database_url) as database:
        await note(database, 30)
        seal = await sealed(database)

    def verified(*words: str) -> tuple[int, str]:
        log = tmp_path / "log"
        log.write_text("")
        environment = {**os.environ, "DERMATOME_DATABASE_URL": bare_database_url}
        code = Forked("app", ["audit", "verify", *words], environment, log, tmp_path).wait()
        return code, log.read_text()

    assert verified("--expect", seal.text) == (
        0,
        f"1 seals over 30 rows computed again; the newest is {seal.text}\n",
    )
    assert verified("--expect", "1:other")[0] == 1
    async with Database(bare_database_url) as database, tampering(database) as connection:
        await connection.execute(text("UPDATE audit SET actor = 'nobody'"))
    code, told = verified()
    assert code == 1
    assert "Seal 1, over the rows 1 to 30: a row is not what was sealed" in told
