"""The targets there are: those of the operator's file, and those made by the admin API; one table for all processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from app.fhir.outcomes import Conflict, Issue, NotFound
from app.intake.accept import TargetsOf
from app.store import instance, sync_state, sync_targets
from app.store.database import Connection, Database
from app.store.sync_targets import Mark
from app.sync.targets import Target

FILE, API = "file", "api"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Registered:
    """A target, and where it comes from: "file" or "api". updated_at: microseconds since 1970."""

    target: Target
    origin: str
    updated_at: int


class Registry:
    """The targets of the table, as of the last look. ring: wakes the workers, which then look."""

    def __init__(self, database: Database, of_file: Sequence[Target], ring: Callable[[], None]) -> None:
        self._database, self._of_file, self._ring = database, tuple(of_file), ring
        self._mark: Mark | None = None
        self._registered: tuple[Registered, ...] = ()

    async def prepare(self, *, is_whole: bool) -> None:
        """Bring the targets of the file into the table, if they are not there as they are.

        is_whole: others that came from a file before are forgotten. A worker may be started without the file.
        """
        wanted = {target.name: target.model_dump_json() for target in self._of_file}
        async with self._database.reading() as connection:
            if self._is_there(await self._look(connection), wanted, is_whole=is_whole):
                return
        async with self._database.writing() as connection:
            await sync_targets.hold(connection)
            held = {one.target.name: one for one in await self._look(connection)}
            for name, definition in wanted.items():
                if _text(held.get(name)) != (definition, FILE):
                    await sync_targets.put(connection, name, definition, FILE)
            gone = [name for name, one in held.items() if one.origin == FILE and name not in wanted]
            if is_whole and gone:
                await sync_targets.remove(connection, gone)
        self._ring()

    async def current(self) -> Sequence[Target]:
        """The targets of now."""
        return [one.target for one in await self.registered()]

    async def registered(self) -> Sequence[Registered]:
        """The targets of now, with where they come from."""
        async with self._database.reading() as connection:
            return await self._look(connection)

    async def get(self, name: str) -> Target | None:
        """One target, None where there is none of that name."""
        return next((one for one in await self.current() if one.name == name), None)

    def origin_of(self, name: str) -> str:
        """Where a target came from when it was last looked at; "api" for one that is not known."""
        return next((one.origin for one in self._registered if one.target.name == name), API)

    async def instance(self) -> str:
        """Our own name among all that write to one target."""
        async with self._database.reading() as connection:
            return await instance.name(connection)

    async def find(self, name: str) -> Registered:
        """One target. Raises NotFound."""
        found = next((one for one in await self.registered() if one.target.name == name), None)
        if found is None:
            raise NotFound([Issue("not-found", f"There is no sync target {name[:64]}.", "name")])
        return found

    async def telling(self, connection: Connection) -> TargetsOf:
        """Which targets are told of a type, for a write transaction. Its own look holds them until it ends."""
        targets = [one.target for one in await self._look(connection)]
        return lambda resource_type: [target.name for target in targets if target.is_told_of(resource_type)]

    async def create(self, target: Target, *, backfill: bool) -> None:
        """A new target. Raises Conflict if there is one of that name.

        backfill: it is told of what is here already (push/backfill.py), not only of what is written from now on.
        """
        async with self._database.writing() as connection:
            await sync_targets.hold(connection)
            if any(one.target.name == target.name for one in await self._look(connection)):
                told = f"There is a sync target {target.name} already: PUT /sync/targets/{target.name} changes it."
                raise Conflict([Issue("duplicate", told, "name")])
            await sync_targets.put(connection, target.name, target.model_dump_json(), API)
            if backfill and target.is_pushed:
                await sync_state.change(connection, target.name, backfill=0)
        self._ring()

    async def change(self, target: Target) -> None:
        """Another definition for a target. Raises NotFound, and Conflict for one of the file."""
        async with self._database.writing() as connection:
            await sync_targets.hold(connection)
            self._require_own(await self._look(connection), target.name)
            await sync_targets.put(connection, target.name, target.model_dump_json(), API)
        self._ring()

    async def remove(self, name: str, *, force: bool) -> None:
        """Take a target away. Raises NotFound, and Conflict for one of the file, or while something waits for it.

        force: what waits for it is given up.
        """
        async with self._database.writing() as connection:
            await sync_targets.hold(connection)
            self._require_own(await self._look(connection), name)
            count = await sync_targets.waiting(connection, name)
            if count and not force:
                told = f"{count} resources wait for {name}. With ?force=true they are given up: {name} never gets them."
                raise Conflict([Issue("conflict", told, "name")])
            await sync_targets.strike(connection, name)
            await sync_state.forget(connection, name)
            await sync_targets.remove(connection, [name])
        self._ring()

    def _require_own(self, registered: Sequence[Registered], name: str) -> None:
        found = next((one for one in registered if one.target.name == name), None)
        if found is None:
            raise NotFound([Issue("not-found", f"There is no sync target {name[:64]}.", "name")])
        if found.origin == FILE:
            told = f"{name} stands in the file of DERMATOME_SYNC_TARGETS, and is changed there."
            raise Conflict([Issue("conflict", told, "name")])

    def _is_there(self, registered: Sequence[Registered], wanted: dict[str, str], *, is_whole: bool) -> bool:
        held = {one.target.name: one for one in registered}
        same = all(_text(held.get(name)) == (definition, FILE) for name, definition in wanted.items())
        return same and not (
            is_whole and any(one.origin == FILE for one in registered if one.target.name not in wanted)
        )

    async def _look(self, connection: Connection) -> Sequence[Registered]:
        mark = await sync_targets.mark(connection)
        if mark != self._mark:
            rows = await sync_targets.read(connection)
            read = [_registered(row.definition, row.origin, row.updated_at, row.name) for row in rows]
            found = tuple(one for one in read if one)
            # Another reader may have seen more by now; what is kept belongs to its mark.
            self._mark, self._registered = tuple((row.name, row.updated_at) for row in rows), found
            return found
        return self._registered


def _registered(definition: str, origin: str, updated_at: int, name: str) -> Registered | None:
    try:
        return Registered(Target.model_validate_json(definition), origin, updated_at)
    except ValidationError:
        # Written by another release: nothing is sent by a definition that is not understood here.
        _log.error("sync target cannot be read", target=name)
        return None


def _text(one: Registered | None) -> tuple[str, str] | None:
    return (one.target.model_dump_json(), one.origin) if one else None
