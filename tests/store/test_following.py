"""Places in the feed that clients keep: nothing is left out after them, and what cannot be gone on with is told."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from app.store import feed, following
from app.store.database import Connection, Database
from app.store.following import BEGINNING, Place
from app.store.snapshot import stamp

_INSERT = text(
    "INSERT INTO version (type, id, version, method, deleted, last_updated, since, indexed) "
    "VALUES (:type, :id, 1, 'POST', false, :at, :since, true) RETURNING vid"
)
_CONTENT = text("INSERT INTO content (vid, text) VALUES (:vid, :text)")
LARGE = 1_000_000


async def test_pages_hold_everything_once_and_end_where_they_would_be_too_large(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        assert await _follow(database, BEGINNING) == ([], BEGINNING)
        await _write(database, [f"a{n}" for n in range(60)])
        first, place = await _follow(database, BEGINNING, most_bytes=1_000)
        rest, place = await _follow(database, place)
        # A clock that is set back changes nothing.
        await _write(database, ["later"], at=-(10**9))
        later, place = await _follow(database, place)
        none, _ = await _follow(database, place)

    assert (len(first), len(rest), later, none) == (10, 50, ["later"], [])
    assert first + rest == [f"a{n}" for n in range(60)]


async def test_what_is_larger_than_a_page_is_a_page(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await _write(database, ["a", "b"])

        first, place = await _follow(database, BEGINNING, most_bytes=1)

        assert first == ["a"]
        assert (await _follow(database, place, most_bytes=1))[0] == ["b"]


@pytest.mark.parametrize("bare_database_url", ["postgresql"], indirect=True)
async def test_who_commits_late_is_not_left_out(bare_database_url: str) -> None:
    """The transaction that began first ends last; its rows have the lower numbers."""
    async with Database(bare_database_url) as database:
        async with database.writing() as slow:
            await _insert(slow, ["slow-1"])
            await _write(database, ["fast"])
            seen, place = await _follow(database, BEGINNING, count=1)
            nothing, place = await _follow(database, place)
            await _insert(slow, ["slow-2"])
            during, place = await _follow(database, place)
        after, place = await _follow(database, place)

    assert (seen, nothing, during, after) == (["fast"], [], [], ["slow-1", "slow-2"])


async def test_a_page_is_empty_only_where_there_is_nothing(bare_database_url: str) -> None:
    """The first page ends with the last version there was when it was read."""
    async with Database(bare_database_url) as database:
        await _write(database, ["a", "b"])
        first, place = await _follow(database, BEGINNING, count=2)
        await _write(database, ["c"])
        second, place = await _follow(database, place, count=2)
        none, _ = await _follow(database, place, count=2)

    assert (first, second, none) == (["a", "b"], ["c"], [])


async def test_writers_at_once_are_all_met_once_whenever_one_looks(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        writing = asyncio.gather(*(_write_often(database, writer) for writer in range(16)))
        met, place = list[str](), BEGINNING
        while not writing.done():
            found, place = await _follow(database, place, count=7)
            met += found
            await asyncio.sleep(0)
        await writing
        while found := (await _follow(database, place))[0]:
            met += found
            place = (await _follow(database, place))[1]

    assert sorted(met) == sorted(f"{writer}-{turn}-{n}" for writer in range(16) for turn in range(6) for n in range(3))
    for writer in range(16):
        own = [each for each in met if each.startswith(f"{writer}-")]
        assert own == sorted(own)


async def test_a_place_is_for_its_types_and_its_database(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        async with database.reading() as connection:
            of_all, of_patients = await following.name(connection, []), await following.name(connection, ["Patient"])
            sealed = following.sealed(BEGINNING, of_patients)

        assert following.unsealed(sealed, of_patients) == BEGINNING
        for strange, bound_to in ((sealed, of_all), (sealed[:-1], of_patients), ("", of_patients), ("é", of_patients)):
            with pytest.raises(following.Strange):
                following.unsealed(strange, bound_to)


@pytest.mark.parametrize("change", ["rebased", "put back", "put back and written on"])
async def test_a_place_of_a_past_that_never_was_is_told(bare_database_url: str, change: str) -> None:
    async with Database(bare_database_url) as database:
        await _write(database, ["kept", "also kept"])
        _, early = await _follow(database, BEGINNING, types=["Patient"])
        await _write(database, ["lost"], type_="Observation")
        # Of the type that is followed nothing was lost; but what is written next has numbers that were read.
        _, late = await _follow(database, early, types=["Patient"])
        async with database.writing() as connection:
            if change == "rebased":
                await connection.execute(text("UPDATE version SET since = since + 1000000"))
                await feed.rebase(connection)
                await connection.execute(text("UPDATE version SET since = 0"))
            else:
                await connection.execute(text("DELETE FROM content WHERE vid = (SELECT max(vid) FROM version)"))
                await connection.execute(text("DELETE FROM version WHERE vid = (SELECT max(vid) FROM version)"))
        if change == "put back and written on":
            await _write(database, ["new", "newer"], at=7)

        with pytest.raises(following.Lost):
            await _follow(database, late, types=["Patient"])
        assert (await _follow(database, BEGINNING, types=["Patient"]))[0][:2] == ["kept", "also kept"]
        if change == "put back and written on":
            assert (await _follow(database, early, types=["Patient"]))[0] == ["new", "newer"]


async def _write_often(database: Database, writer: int) -> None:
    for turn in range(6):
        async with database.writing() as connection:
            for n in range(3):
                await _insert(connection, [f"{writer}-{turn}-{n}"])
                await asyncio.sleep(0)


async def _write(database: Database, ids: Sequence[str], *, type_: str = "Patient", at: int = 1) -> None:
    async with database.writing() as connection:
        await _insert(connection, ids, type_=type_, at=at)


async def _insert(connection: Connection, ids: Sequence[str], *, type_: str = "Patient", at: int = 1) -> None:
    since = await stamp(connection)
    for id_ in ids:
        vid = await connection.scalar(_INSERT, {"type": type_, "id": id_, "at": at, "since": since})
        await connection.execute(_CONTENT, {"vid": vid, "text": b"x" * 100})


async def _follow(
    database: Database, place: Place, *, types: Sequence[str] = (), count: int = 1_000, most_bytes: int = LARGE
) -> tuple[list[str], Place]:
    """The ids of a page, and the place after it, by way of its text."""
    async with database.reading() as connection:
        found = await following.page(connection, place, types=types, count=count, most_bytes=most_bytes)
    return [each.id for each in found.versions], following.unsealed(following.sealed(found.end, "it"), "it")
