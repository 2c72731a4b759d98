"""An export from kick-off to the last file. What fails for a while is tried again; what was read is not read again."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from app.export_command.folder import Damaged, Folder, Item
from app.outbound.bulk import BulkServer, Progress, Unanswered
from app.sync.again import LONGEST_ASKED, persistently


@dataclass(frozen=True, slots=True)
class Kickoff:
    """What is asked for. path: such as "Patient/$export"."""

    path: str
    query: Sequence[tuple[str, str]]
    is_lenient: bool = False


async def run(server: BulkServer, folder: Folder, kickoff: Kickoff, *, keeps: bool) -> None:
    """Leave every file of the export in the folder. keeps: the server's files stay there. Raises Unanswered, Damaged
    and Unfit; the next run goes on from there."""
    if not folder.place:
        folder.place = await persistently(
            lambda: server.kick_off(kickoff.path, kickoff.query, is_lenient=kickoff.is_lenient)
        )
        folder.save()
    with Bar(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()) as bar:
        await _wait(server, folder, bar)
    with Bar(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bar:
        for item in folder.items():
            if item.name not in folder.sums:
                await _fetched(server, folder, item, bar)
    folder.finish()
    if not keeps:
        await persistently(lambda: server.forget(folder.place))


async def _wait(server: BulkServer, folder: Folder, bar: Bar) -> None:
    """Until the server has made all of it."""
    if folder.manifest is not None:
        return
    task = bar.add_task("made", total=None)
    while isinstance(found := await persistently(lambda: server.look(folder.place)), Progress):
        told = f"made ({escape(found.told)})" if found.told else "made"
        bar.update(task, description=told, total=None if found.share is None else 1, completed=found.share or 0)
        await asyncio.sleep(min(found.after, LONGEST_ASKED))
    bar.update(task, description="made", total=1, completed=1)
    folder.manifest = found
    folder.save()


async def _fetched(server: BulkServer, folder: Folder, item: Item, bar: Bar) -> None:
    """Read a file; one that came damaged is read again, from its beginning."""
    task = bar.add_task(item.name, total=None)
    for is_last in (False, False, True):
        sha256 = await persistently(lambda: _read(server, folder, item, bar, task))
        try:
            await asyncio.to_thread(folder.keep, item, sha256)
            return
        except Damaged:
            if is_last:
                raise


async def _read(server: BulkServer, folder: Folder, item: Item, bar: Bar, task: TaskID) -> str:
    """Read what is not there yet of a file; answers the checksum that the server told. Raises Unanswered."""
    part = folder.part(item)
    held = part.stat().st_size if part.exists() else 0
    try:
        opened = await server.open(item.address, held)
    except Unanswered as error:
        if not held or error.is_passing:
            raise
        # Nothing lies beyond what is there, or what is there is of something else: from the beginning.
        part.unlink()
        opened = await server.open(item.address, 0)
    async with aclosing(opened.parts) as parts:
        with part.open("r+b" if part.exists() else "wb") as file:
            file.seek(opened.start)
            file.truncate()
            bar.update(task, total=opened.size, completed=opened.start)
            async for data in parts:
                await asyncio.to_thread(file.write, data)
                bar.update(task, advance=len(data))
    if opened.size is not None and part.stat().st_size != opened.size:
        raise Unanswered("the server broke off in a file", is_passing=True)
    return opened.sha256
