"""Export files in a bucket of an S3 server. The one place that knows the library for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from app.export.files import CHUNK, Files, FilesUnavailable, FolderFiles, NoFile, NoRoom, Sink, checked
from app.outbound.secrets import NoSecret, Secrets
from app.settings import S3_ADDRESS, Settings, WrongSettings

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Config

ACCESS_KEY, SECRET_KEY = "export-s3-access-key", "export-s3-secret-key"
# S3 takes 10,000 parts: files of up to 80 GB. Memory holds one that is filled and those that are sent.
_PART = 8_388_608
_AT_ONCE = 2
_SECONDS = timedelta(seconds=60)
_CLIENT: ClientConfig = {"allow_http": True, "timeout": _SECONDS, "connect_timeout": timedelta(seconds=5)}
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": _SECONDS}
_BEYOND = "416 Range Not Satisfiable"
_NO_BUCKET = "<Code>NoSuchBucket"
_FULL = re.compile("507 Insufficient Storage|<Code>(QuotaExceeded|XMinioStorageFull|InsufficientStorage)")


def export_files(settings: Settings, secrets: Secrets) -> Files:
    """Where the files of exports lie, by the settings. Raises WrongSettings where a secret for it is missing."""
    found = S3_ADDRESS.fullmatch(settings.export_files)
    if not found:
        return FolderFiles(Path(settings.export_files))
    try:
        keys = secrets.read(ACCESS_KEY), secrets.read(SECRET_KEY)
    except NoSecret as error:
        raise WrongSettings(
            f"DERMATOME_EXPORT_FILES: {settings.export_files} needs the secret {error.name}: a file of that name in "
            f"the folder DERMATOME_SECRETS, or the variable DERMATOME_SECRET_{error.name.upper().replace('-', '_')}"
        ) from None
    config: S3Config = {"access_key_id": keys[0], "secret_access_key": keys[1], "region": settings.export_s3_region}
    if settings.export_s3_endpoint:
        config["endpoint"] = settings.export_s3_endpoint
    return S3Files(
        S3Store(found["bucket"], config=config, prefix=found["prefix"], client_options=_CLIENT, retry_config=_RETRY)
    )


class S3Files:
    """Files as objects. A file is sent in parts while it is written, and its object appears when all are there.

    The parts of a process that is killed stay in the server until the bucket's rule for unfinished uploads takes them.
    """

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[Sink]:
        upload = _Upload(self._store, checked(name))
        try:
            yield upload
            await upload.finish()
        except BaseException:
            if await upload.is_there_after_all():
                await self.remove(name)
            raise

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and end <= start:
            return
        wanted: GetOptions = {"range": (start, end) if end is not None else {"offset": start}} if start or end else {}
        with _told(name):
            try:
                found = await obstore.get_async(self._store, checked(name), options=wanted)
            except BaseError as error:
                # Nothing lies beyond the end of a file, which this server calls an error.
                if _BEYOND in str(error):
                    return
                raise
            async for data in found.stream(min_chunk_size=CHUNK):
                yield bytes(data)

    async def size(self, name: str) -> int:
        with _told(name):
            return (await obstore.head_async(self._store, checked(name)))["size"]

    async def remove(self, prefix: str) -> None:
        with _told():
            below = [each["path"] async for page in obstore.list(self._store, checked(prefix)) for each in page]
            await obstore.delete_async(self._store, below or [prefix])


class _BrokenOff(Exception):
    """The file will not be whole: the library takes back what was sent of it."""


class _Upload:
    """A sink that hands on what is written to a task that sends it: cancelling the library would leave parts behind,
    an error of what it reads from does not."""

    def __init__(self, store: S3Store, name: str) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._is_broken = asyncio.Event()
        self._sending = asyncio.create_task(self._send(store, name))

    async def write(self, data: bytes) -> None:
        await self._hand_on(data)

    async def finish(self) -> None:
        """Until the object is there. Raises FilesUnavailable."""
        await self._hand_on(None)
        await asyncio.shield(self._sending)

    async def is_there_after_all(self) -> bool:
        """Break off, and tell whether that came too late."""
        self._is_broken.set()
        await asyncio.wait({self._sending})
        return self._sending.exception() is None

    async def _hand_on(self, data: bytes | None) -> None:
        if self._sending.done():
            self._sending.result()
        handing = asyncio.ensure_future(self._waiting.put(data))
        try:
            await asyncio.wait({handing, self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            handing.cancel()
        if self._sending.done():
            self._sending.result()

    async def _send(self, store: S3Store, name: str) -> None:
        with _told():
            await obstore.put_async(store, name, self._parts(), chunk_size=_PART, max_concurrency=_AT_ONCE)

    async def _parts(self) -> AsyncIterator[bytes]:
        broken = asyncio.create_task(self._is_broken.wait())
        try:
            while True:
                taking = asyncio.ensure_future(self._waiting.get())
                await asyncio.wait({taking, broken}, return_when=asyncio.FIRST_COMPLETED)
                if broken.done():
                    taking.cancel()
                    raise _BrokenOff
                data = taking.result()
                if data is None:
                    return
                yield data
        finally:
            broken.cancel()


@contextmanager
def _told(name: str = "") -> Iterator[None]:
    """What went wrong, in a sentence: the library tells addresses and what the server answered."""
    try:
        yield
    except FileNotFoundError as error:
        if name and _NO_BUCKET not in str(error):
            raise NoFile(name) from None
        raise FilesUnavailable("There is no such bucket for export files.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise FilesUnavailable("The bucket of export files refuses what was asked, or is not there.") from error
    except BaseError as error:
        if _FULL.search(str(error)):
            raise NoRoom from error
        raise FilesUnavailable("The server of export files cannot be reached, or failed.") from error
