"""The feed: every version once, in pieces, whoever writes meanwhile and wherever a reader stops."""

from sqlalchemy import text

from app.store import feed
from app.store.database import Database
from app.store.feed import START, Cursor
from app.store.snapshot import Snapshot, stamp

_INSERT = text(
    "INSERT INTO version (type, id, version, method, deleted, last_updated, since, indexed) "
    "VALUES (:type, :id, 1, 'POST', false, 1, :since, true)"
)


async def test_pieces_hold_everything_once(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await _write(database, [f"a{n}" for n in range(5)])
        first = await _read(database, START, 3)
        async with database.writing() as connection:
            assert await feed.move(connection, "reader", START, first.end)
            assert not await feed.move(connection, "reader", START, first.end)
        await _write(database, ["b"])
        second = await _read(database, Cursor.parse(first.end.text), 3)
        third = await _read(database, second.upto(1).end, 3)
        last = await _read(database, third.end, 3)

    assert [row.id for row in first.rows] == ["a0", "a1", "a2"]
    assert [row.id for row in second.rows] == ["a3", "a4"]
    assert [row.id for row in third.rows] == ["a4"]
    assert [row.id for row in last.rows] == ["b"]


async def test_after_the_order_began_anew_what_was_not_read_is_read(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await _write(database, ["read", "half"])
        async with database.writing() as connection:
            whole = await feed.piece(connection, START, limit=9)
            await feed.move(connection, "reader", START, whole.upto(1).end)
            # As in a copy whose database counts from a lower number.
            await connection.execute(text("UPDATE version SET since = since + 1000000"))
            far = Snapshot(whole.end.before.lowest + 1_000_000, whole.end.before.next + 1_000_000)
            moved = Cursor(Snapshot(0, 0), far, whole.rows[0].vid)
            await feed.move(connection, "reader", whole.upto(1).end, moved)
            await feed.rebase(connection)
            at = await feed.read(connection, "reader")
        left = await _read(database, at, 9)

    if bare_database_url.startswith("postgresql"):
        assert at == Cursor(Snapshot(1, 1))
    assert [row.id for row in left.rows] == ["half"]


async def _write(database: Database, ids: list[str]) -> None:
    async with database.writing() as connection:
        since = await stamp(connection)
        for id_ in ids:
            await connection.execute(_INSERT, {"type": "Patient", "id": id_, "since": since})


async def _read(database: Database, cursor: Cursor, limit: int) -> feed.Piece:
    async with database.reading() as connection:
        return await feed.piece(connection, cursor, types=["Patient"], limit=limit)
