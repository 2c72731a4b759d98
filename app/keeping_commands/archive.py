"""The file of a backup: a zip of tables, each a line of JSON per row, and a manifest that says what must be in it."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

FORMAT = "dermatome-backup-1"
_MANIFEST = "manifest.json"
_LEVEL = 3
# A line is a row; the largest content is a request body, which operators may allow to be large.
_LONGEST_LINE = 2**30


class Damaged(Exception):
    """The file is no backup, or not all of one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table. sha256: of its lines as they stand there; digest: of its rows in any order."""

    columns: tuple[str, ...]
    rows: int
    sha256: str
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is. schema: revision of the tables; taken_at: when its state was true; release: who wrote it."""

    schema: str
    taken_at: str
    release: str
    database: str
    tables: Mapping[str, Part]
    format: str = FORMAT


@contextmanager
def writing(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new archive, which has its name only once it is whole and on disk. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(17, "is there already; a backup never overwrites another", str(path))
    unfinished = path.with_name(f"{path.name}.part")
    try:
        # Nobody else may read what is in it.
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        _sync_folder(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def put_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))


@contextmanager
def reading(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """An archive and its manifest. Raises Damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _manifest(archive)
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise Damaged(f"{path} is no whole backup: {error}") from None


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        made: dict[str, Any] = json.loads(archive.read(_MANIFEST))
        parts = {name: Part(**{**part, "columns": tuple(part["columns"])}) for name, part in made["tables"].items()}
        manifest = Manifest(**{**made, "tables": parts})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Damaged(f"its manifest cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise Damaged(f"its format is {manifest.format}, and this release reads {FORMAT}")
    return manifest


def name_of(table: str) -> str:
    """The file of a table in the archive."""
    return f"{table}.ndjson"


def lines(archive: zipfile.ZipFile, table: str, part: Part) -> Iterator[bytes]:
    """The lines of a table, one at a time. Raises Damaged if they are others than the manifest says."""
    found, count = hashlib.sha256(), 0
    with archive.open(name_of(table)) as file:
        while line := _line(file):
            found.update(line)
            count += 1
            yield line
    if count != part.rows or found.hexdigest() != part.sha256:
        raise Damaged(f"the table {table} is not what the manifest says: {count} rows of {part.rows}")


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(_LONGEST_LINE)
    if line and not line.endswith(b"\n"):
        raise Damaged("a row of it does not end")
    return line
