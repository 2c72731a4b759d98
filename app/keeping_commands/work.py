"""Backing up a database to a file, and filling one from a file."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from app import profiles
from app.fhir.instants import instant
from app.keeping_commands import archive as file
from app.keeping_commands.archive import Damaged, Manifest, Part
from app.main import clock
from app.store import schema
from app.store.database import Connection, Database
from app.store.kept import filling
from app.store.kept.rows import Counted, Kept, counted, lines, most_at_once, row, tables

Told = Callable[[str, int], None]
_NAME = "dermatome-%Y%m%dT%H%M%SZ.zip"


def place(given: Path) -> Path:
    """The file that is meant; in a folder one named by the time."""
    return given / datetime.now(UTC).strftime(_NAME) if given.is_dir() else given


async def back_up(database: Database, path: Path, told: Told) -> Manifest:
    """Write everything as it stands at one moment, while others go on writing. Raises OSError."""
    with file.writing(path) as archive:
        async with database.reading() as connection:
            schema, taken_at = await database.revision(connection), instant(clock())
            parts = {name: await _put(archive, connection, table, told) for name, table in tables().items()}
        kind = "sqlite" if database.is_sqlite else "postgresql"
        manifest = Manifest(schema, taken_at, profiles.package()["version"], kind, parts)
        file.put_manifest(archive, manifest)
    return manifest


async def _put(archive: zipfile.ZipFile, connection: Connection, table: Kept, told: Told) -> Part:
    found, sha256 = Counted(), hashlib.sha256()
    with archive.open(file.name_of(table.name), "w", force_zip64=True) as out:
        async for line in lines(connection, table):
            found.add(line)
            sha256.update(line)
            out.write(line)
    told(table.name, found.rows)
    return Part(tuple(column.name for column in table.c), found.rows, sha256.hexdigest(), found.digest)


async def restore(database: Database, path: Path, told: Told) -> Manifest:
    """Fill an empty database with a backup, and see that it holds what the backup says; else nothing of it is kept.

    A backup of an earlier schema is filled into the tables of then, which are brought to those of now.
    Raises Damaged, filling.NotEmpty and OSError.
    """
    with file.reading(path) as (archive, manifest):
        is_earlier = _is_earlier(manifest)
        await filling.begin(database, clock())
        async with database.writing() as connection:
            await filling.prepare(database, connection)
            held = await _earlier(connection, manifest) if is_earlier else tables()
            for name, part in manifest.tables.items():
                await _fill(connection, archive, held[name], part)
                told(name, part.rows)
            for name, part in manifest.tables.items():
                await _require_same(connection, held[name], part)
            if is_earlier:
                await connection.run_sync(schema.upgrade)
            await filling.finish(connection)
    return manifest


def _is_earlier(manifest: Manifest) -> bool:
    """Whether a backup has an earlier schema than this release. Raises Damaged for one that does not fit."""
    if not schema.is_known(manifest.schema):
        raise Damaged(
            f"it has the schema {manifest.schema}, and this release knows those to {schema.newest()}: restore it with "
            f"release {manifest.release}"
        )
    if manifest.schema != schema.newest():
        return True
    _require_fit(manifest, tables())
    return False


async def _earlier(connection: Connection, manifest: Manifest) -> Mapping[str, Kept]:
    """The tables as they were when the backup was made. Raises Damaged where it is none of then."""
    try:
        held = await connection.run_sync(schema.go_back, manifest.schema)
    except schema.NoWayBack:
        raise Damaged(f"it has the schema {manifest.schema}, of which there are no backups") from None
    _require_fit(manifest, held)
    return held


def _require_fit(manifest: Manifest, held: Mapping[str, Kept]) -> None:
    """Raises Damaged for a backup with other tables, or other columns, than those it is to be filled into."""
    wrong = [name for name in manifest.tables if name not in held]
    wrong += [name for name in manifest.tables if name in held and _columns(manifest, name) != {*held[name].c.keys()}]
    if manifest.schema == schema.newest():
        wrong += [name for name in held if name not in manifest.tables]
    if wrong:
        raise Damaged(f"its tables are not those of this release: {', '.join(sorted(set(wrong)))}")


def _columns(manifest: Manifest, name: str) -> set[str]:
    return {*manifest.tables[name].columns}


async def _fill(connection: Connection, archive: zipfile.ZipFile, table: Kept, part: Part) -> None:
    most, rows = most_at_once(table), []
    try:
        for line in file.lines(archive, table.name, part):
            rows.append(row(table, part.columns, line))
            if len(rows) == most:
                await filling.fill(connection, table, rows)
                rows = []
    except ValueError as error:
        raise Damaged(f"a row of {table.name} cannot be read: {error}") from None
    if rows:
        await filling.fill(connection, table, rows)


async def _require_same(connection: Connection, table: Kept, part: Part) -> None:
    found = await counted(connection, table, part.columns)
    if (found.rows, found.digest) != (part.rows, part.digest):
        raise Damaged(f"the database does not hold {table.name} as it was: {found.rows} rows of {part.rows}")
