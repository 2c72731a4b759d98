"""Looking at everything that is stored, piece by piece, and putting right what is derived."""

from collections.abc import Callable

from app.store.database import Database
from app.store.index.state import unfinished
from app.store.kept import relations
from app.store.kept.contents import Checking, forget
from app.store.kept.found import Findings
from app.store.parameters import SearchParameters

Told = Callable[[int], None]


async def check(
    database: Database, parameters: SearchParameters, base: str, told: Told, *, repair: bool, contents: bool = True
) -> Findings:
    """All that does not fit together, in one state of the database. Others may write meanwhile.

    contents: whether every content is read, which takes longest. repair: search values that are wrong are made anew.
    """
    found, wrong = Findings(), list[int]()
    async with database.reading() as connection:
        found.unindexed = await unfinished(connection)
        checking = Checking(parameters, base, frozenset(found.unindexed))
        await relations.look(connection, found)
        after = 0
        while contents:
            after, more = await checking.look(connection, after, found)
            if not after:
                break
            wrong += more
            told(found.versions)
    if repair:
        await _repair(database, checking, found, wrong)
    return found


async def _repair(database: Database, checking: Checking, found: Findings, wrong: list[int]) -> None:
    for start in range(0, len(wrong), 100):
        async with database.writing() as connection:
            piece = wrong[start : start + 100]
            await checking.repair(connection, piece)
            found.repaired["wrong-values"] += len(piece)
    if not found.counts["extra-values"]:
        return
    while True:
        async with database.writing() as connection:
            vids = await relations.unwanted(connection, limit=500)
            await forget(connection, vids)
        if not vids:
            break
    found.repaired["extra-values"] = found.counts["extra-values"]
