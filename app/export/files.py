"""Where the files of exports lie: whole or not at all, and nowhere but in their own place."""

import asyncio
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, ParamSpec, Protocol, TypeVar

# A part starts with a letter or a digit, so ".." and the partial files below cannot be named.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,3}")
_FULL = (errno.ENOSPC, errno.EDQUOT)
CHUNK = 262_144
P = ParamSpec("P")
T = TypeVar("T")


class FilesUnavailable(Exception):
    """The place cannot be written or read; the message says why in a sentence, without a path."""


class NoRoom(FilesUnavailable):
    """The place is full."""

    def __init__(self) -> None:
        super().__init__("There is no room left where export files are kept.")


class NoFile(Exception):
    """There is no file of this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no export file {name}.")


class Sink(Protocol):
    """Takes the bytes of one file in order."""

    async def write(self, data: bytes) -> None: ...


class Files(Protocol):
    """Files by names such as `<job>/<file>`. Every method raises ValueError for a name that could be no file's."""

    def writing(self, name: str) -> AbstractAsyncContextManager[Sink]:
        """A sink whose file is there, whole and on disk, after a clean exit; after an error nothing of it is left.
        One that was there is replaced at that moment. Raises FilesUnavailable and its kind NoRoom."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from start up to end, which is left out. Raises NoFile, FilesUnavailable."""

    async def size(self, name: str) -> int:
        """How many bytes it holds. Raises NoFile, FilesUnavailable."""

    async def remove(self, prefix: str) -> None:
        """Remove the file of this name, or every file below it (`<job>`); none is no error."""


def is_name(text: str) -> bool:
    """Whether a text can be the name of a file, or a part of one."""
    return bool(_NAME.fullmatch(text))


def checked(name: str) -> str:
    """The same name. Raises ValueError for one that could lead out of the place."""
    if not is_name(name):
        raise ValueError("not a name of an export file")
    return name


class FolderFiles:
    """Files in a folder, which is made when the first is written.

    What a killed process left half written lies under a name that cannot be asked for, until the file is written again
    or its folder is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[Sink]:
        path = self._folder / checked(name)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        file = await _threaded(_create, partial)
        try:
            yield _Open(file)
            await _threaded(_finish, file, partial, path)
        except BaseException:
            # Not awaited: a task that is being cancelled must leave nothing either.
            with suppress(OSError):
                file.close()
            partial.unlink(missing_ok=True)
            raise

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        file = await _named(name, _open, self._folder / checked(name), start)
        try:
            left = None if end is None else end - start
            while left is None or left > 0:
                data = await _threaded(file.read, CHUNK if left is None else min(CHUNK, left))
                if not data:
                    return
                left = None if left is None else left - len(data)
                yield data
        finally:
            file.close()

    async def size(self, name: str) -> int:
        return await _named(name, _size, self._folder / checked(name))

    async def remove(self, prefix: str) -> None:
        await _threaded(_remove, self._folder / checked(prefix))


class _Open:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        await _threaded(self._file.write, data)


async def _threaded(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with _told():
        return await asyncio.to_thread(do, *args, **kwargs)


async def _named(name: str, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same, of a file that should be there."""
    try:
        with _told():
            return await asyncio.to_thread(do, *args, **kwargs)
    except FilesUnavailable as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise NoFile(name) from None
        raise


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom from error
        why = os.strerror(error.errno or 0)
        raise FilesUnavailable(f"The folder of export files cannot be used: {why}.") from error


def _create(partial: Path) -> IO[bytes]:
    _make(partial.parent)
    # What is exported is about patients: nobody but the service and its group.
    return os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb")


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o750, exist_ok=True)
    _sync(folder.parent)


def _finish(file: IO[bytes], partial: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial.replace(path)
    # What a killed process left of it; one that is still at it has lost its job, and is told that it cannot go on.
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make names in a folder last: a rename is not on disk before its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _open(path: Path, start: int) -> IO[bytes]:
    file = path.open("rb")
    file.seek(start)
    return file


def _size(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise IsADirectoryError
    return status.st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
