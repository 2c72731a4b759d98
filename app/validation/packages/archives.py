"""Reads packages from disk: archives are read as a stream, nothing is ever unpacked to a file."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# The whole R4 core package has 41 MB in 4,600 files; what is far beyond is no package of definitions.
MAX_BYTES = 512 * 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILES = 50_000
FOLDER = "package"


class Unreadable(Exception):
    """A package that cannot be read; the text says why."""


def json_files_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the JSON files directly in a package's folder: package.json first where there is one.

    path: a .tgz as npm makes it, a folder (its `package/` if it has one), or one JSON file. Raises Unreadable.
    """
    files = _of_archive(path) if path.is_file() and path.suffix != ".json" else _of_folder(path)
    found = sorted(files, key=lambda file: (file[0] != "package.json", file[0]))
    yield from found


def _of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    try:
        files = [path] if path.is_file() else sorted(folder.glob("*.json"))
        _require_few(len(files))
        total = 0
        for file in files:
            if file.name.startswith("."):
                continue
            total += file.stat().st_size
            _require_small(file.name, file.stat().st_size, total)
            yield file.name, file.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    try:
        with gzip.open(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for count, member in enumerate(archive):
                _require_few(count)
                _require_safe(member)
                total += member.size
                _require_small(member.name, member.size, total)
                place = PurePosixPath(member.name)
                content = archive.extractfile(member) if _is_wanted(place) and member.isfile() else None
                if content:
                    yield place.name, content.read()
            _require_end(file)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise Unreadable(f"is no readable .tgz: {error}") from None


def _require_end(file: gzip.GzipFile) -> None:
    """Read on to the end: only there a truncated archive shows. An archive may be filled up with zeros."""
    rest = 0
    while chunk := file.read(1 << 20):
        rest += len(chunk)
        _require_small("", 0, rest)


def _is_wanted(place: PurePosixPath) -> bool:
    """Examples and other files lie in folders below, and files about the package begin with a dot."""
    return str(place.parent) == FOLDER and place.suffix == ".json" and not place.name.startswith(".")


def _require_safe(member: tarfile.TarInfo) -> None:
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts:
        raise Unreadable(f"holds {member.name[:100]!r}, a name that leads out of the package")
    if not (member.isfile() or member.isdir()):
        raise Unreadable(f"holds {member.name[:100]!r}, which is neither a file nor a folder")


def _require_few(count: int) -> None:
    if count > MAX_FILES:
        raise Unreadable(f"has more than {MAX_FILES} files")


def _require_small(name: str, size: int, total: int) -> None:
    if size > MAX_FILE_BYTES:
        raise Unreadable(f"holds {name[:100]!r} of {size} bytes; at most {MAX_FILE_BYTES} are read")
    if total > MAX_BYTES:
        raise Unreadable(f"has more than {MAX_BYTES} bytes unpacked")
