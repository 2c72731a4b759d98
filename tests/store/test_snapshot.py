"""A snapshot shows what was committed when it was taken, and nothing that came or went later."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store import exporting, exports, feed
from app.store.database import Database
from app.store.snapshot import Snapshot, current, rebase, stamp, visible
from app.store.tables import Version


@pytest.fixture
async def database(bare_database_url: str) -> AsyncIterator[Database]:
    async with Database(bare_database_url) as database:
        await database.migrate()
        yield database


async def write(connection: AsyncConnection, name: str, version: int = 1) -> None:
    moment = await stamp(connection)
    own = (col(Version.id) == name, col(Version.until).is_(None))
    await connection.execute(update(Version).where(*own).values(until=moment))
    row = {"type": "Patient", "id": name, "version": version, "method": "PUT", "deleted": False, "last_updated": 0}
    await connection.execute(insert(Version).values(since=moment, indexed=True, **row))


async def seen(connection: AsyncConnection, snapshot: Snapshot | None) -> list[tuple[str, int]]:
    found = select(col(Version.id), col(Version.version)).where(visible(Version, snapshot)).order_by(col(Version.vid))
    return [(row.id, row.version) for row in await connection.execute(found)]


async def test_what_comes_and_goes_later_is_not_seen(database: Database) -> None:
    async with database.writing() as connection:
        await write(connection, "a")
    async with database.reading() as connection:
        before = await current(connection)
    async with database.writing() as connection:
        await write(connection, "a", 2)
        await write(connection, "b")

    async with database.reading() as connection:
        assert await seen(connection, Snapshot.parse(before.text)) == [("a", 1)]
        assert await seen(connection, await current(connection)) == [("a", 2), ("b", 1)]
        assert await seen(connection, None) == [("a", 2), ("b", 1)]


# SQLite has one writer at a time: no transaction is open beside another.
@pytest.mark.parametrize("bare_database_url", ["postgresql"], indirect=True)
async def test_a_transaction_that_was_open_then_is_not_seen_though_its_rows_were_numbered_before(
    database: Database,
) -> None:
    async with database.writing() as slow:
        await write(slow, "slow")
        async with database.writing() as quick:
            await write(quick, "quick")
        async with database.reading() as connection:
            before = await current(connection)

    async with database.reading() as connection:
        assert await seen(connection, before) == [("quick", 1)]
        assert await seen(connection, None) == [("slow", 1), ("quick", 1)]


async def test_a_write_transaction_sees_its_own_changes_in_its_snapshot(database: Database) -> None:
    async with database.writing() as connection:
        await write(connection, "a")
        own = await current(connection)
    async with database.writing() as connection:
        await write(connection, "b")

    async with database.reading() as connection:
        assert await seen(connection, own) == [("a", 1)]


# SQLite's numbers are its own rows: a copy carries them along.
@pytest.mark.parametrize("bare_database_url", ["postgresql"], indirect=True)
async def test_a_restored_copy_begins_anew(database: Database) -> None:
    async with database.writing() as connection:
        await write(connection, "a")
        await write(connection, "a", 2)
        await connection.execute(text("UPDATE version SET since = since + 1000000, until = until + 1000000"))

    async with database.writing() as connection:
        await rebase(connection)

    async with database.reading() as connection:
        assert await seen(connection, await current(connection)) == [("a", 2)]


WRONG = ["", "1", "1:2", "1:2:x", "a:b:", "1:2:,", "1:2:3,", "-1:2:", "1:2:" + "1," * 2000 + "1"]


@pytest.mark.parametrize("text", WRONG)
def test_other_texts_are_no_snapshots(text: str) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Snapshot.parse(text)


@pytest.mark.parametrize("bare_database_url", ["postgresql"], indirect=True)
async def test_exports_of_a_restored_copy_go_on_from_every_time_that_was_told(database: Database) -> None:
    """What was on its way when a transactionTime was told, and was written before it by the clock, is told again."""
    async with database.writing() as connection:
        held = await current(connection)
        await exporting.mark(connection, held, at=5_000)
        await exports.create(connection, "going-on", "{}", at=0)
        await connection.execute(text("UPDATE export_job SET state = 'active'"))
        await write(connection, "late")
        await exporting.mark(connection, await current(connection), at=9_000)
        await connection.execute(text("UPDATE version SET since = since + 1000000"))
        await connection.execute(text("UPDATE export_moment SET snapshot = '1000000:1000000:'"))
        await connection.execute(
            text("UPDATE export_moment SET snapshot = '9000000:9000000:' WHERE transaction_time = 9000")
        )

    async with database.writing() as connection:
        await feed.rebase(connection)

    async with database.reading() as connection:
        moments = [await exporting.moment_after(connection, each) for each in (0, 5_000, 6_000)]
        job = await exports.read(connection, "going-on")
    assert moments == [Snapshot(0, 0), Snapshot(0, 0), None]
    assert job is not None
    assert (job.state, "put back from a copy" in job.reason) == ("failed", True)
