"""Where export files lie: a folder and a bucket keep the same promises."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.export.files import Files, FilesUnavailable, FolderFiles, NoFile
from app.export.s3 import ACCESS_KEY, SECRET_KEY, S3Files, export_files
from app.outbound.secrets import Secrets
from app.settings import Settings, WrongSettings
from tests.export.buckets import BUCKET, bucket_server, objects, unfinished
from tests.processes import ROOT, free_port

SECRETS = Secrets(given={ACCESS_KEY: "any", SECRET_KEY: "any"})
# More than one part of an upload.
LARGE = bytes(range(256)) * 4096 * 20
OUTSIDE = (
    "../x",
    "/x",
    "a/../b",
    "a//b",
    "",
    "a/",
    ".x",
    "a/.x",
    "a\\b",
    "a\nb",
    "a/b/c/d/e",
    "a\x00b",
    "é",
    "a" * 200,
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bucket_server(tmp_path_factory.mktemp("weed")) as address:
        yield address


class Place:
    """Files, and what their place holds besides."""

    def __init__(self, files: Files, folder: Path, address: str) -> None:
        self.files, self._folder, self._address = files, folder, address

    def held(self) -> int:
        """How many files there are, whole or not."""
        if self._address:
            return objects(self._address) + len(unfinished(self._address))
        return sum(path.is_file() for path in self._folder.rglob("*"))


@pytest.fixture(params=["folder", "bucket"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    address = request.getfixturevalue("address") if request.param == "bucket" else ""
    where = {"export_files": f"s3://{BUCKET}/of/tests", "export_s3_endpoint": address} if address else {}
    files = export_files(Settings(**({"export_files": str(tmp_path / "files")} | where)), SECRETS)
    yield Place(files, tmp_path, address)
    await files.remove("job")
    await files.remove("job2")


async def write(files: Files, name: str, *parts: bytes) -> None:
    async with files.writing(name) as sink:
        for part in parts:
            await sink.write(part)


async def read(files: Files, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([data async for data in files.read(name, start, end)])


@pytest.mark.parametrize("parts", [(), (b"",), (b"one\n", b"two\n"), (LARGE[:5_000_000], LARGE[5_000_000:])])
async def test_what_is_written_is_read(place: Place, parts: tuple[bytes, ...]) -> None:
    await write(place.files, "job/a.ndjson", *parts)

    whole = b"".join(parts)
    assert await read(place.files, "job/a.ndjson") == whole
    assert await place.files.size("job/a.ndjson") == len(whole)
    assert place.held() == 1


@pytest.mark.parametrize(("start", "end"), [(0, 5), (3, None), (4, 4), (9, 99), (10, None), (50, 60), (0, 10)])
async def test_a_range_is_read_as_python_cuts(place: Place, start: int, end: int | None) -> None:
    await write(place.files, "job/a", b"0123456789")

    assert await read(place.files, "job/a", start, end) == b"0123456789"[start:end]


async def test_a_file_is_replaced_by_the_whole_next_one_only(place: Place) -> None:
    await write(place.files, "job/a", b"first")

    async with place.files.writing("job/a") as sink:
        await sink.write(LARGE)
        assert await read(place.files, "job/a") == b"first"

    assert await read(place.files, "job/a") == LARGE


@pytest.mark.parametrize("size", [10, len(LARGE)])
async def test_after_an_error_nothing_is_left(place: Place, size: int) -> None:
    async def failing() -> None:
        async with place.files.writing("job/a") as sink:
            await sink.write(LARGE[:size])
            raise KeyError

    with pytest.raises(KeyError):
        await failing()

    with pytest.raises(NoFile):
        await read(place.files, "job/a")
    assert place.held() == 0


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
async def test_a_cancelled_task_leaves_nothing(place: Place, after: float) -> None:
    async def endlessly() -> None:
        async with place.files.writing("job/a") as sink:
            while True:
                await sink.write(LARGE[:1_000_000])
                await asyncio.sleep(0)

    writing = asyncio.create_task(endlessly())
    await asyncio.sleep(after)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert place.held() == 0


async def test_what_lies_below_a_name_is_removed_and_nothing_else(place: Place) -> None:
    for name in ("job/a", "job/b", "job2/a"):
        await write(place.files, name, b"x")

    await place.files.remove("job")
    await place.files.remove("none")

    assert place.held() == 1
    await place.files.remove("job2/a")
    assert place.held() == 0


@pytest.mark.parametrize("name", OUTSIDE)
async def test_a_name_cannot_lead_outside(place: Place, name: str) -> None:
    for trying in (write(place.files, name), read(place.files, name), place.files.size(name), place.files.remove(name)):
        with pytest.raises(ValueError):
            await trying


@pytest.mark.parametrize("name", ["none/none", "job"])
async def test_a_missing_file_is_told(place: Place, name: str) -> None:
    await write(place.files, "job/a", b"x")

    for trying in (read(place.files, name), place.files.size(name)):
        with pytest.raises(NoFile) as missing:
            await trying
        assert missing.value.name == name


@pytest.mark.parametrize("is_written_again", [False, True])
async def test_what_a_killed_process_left_goes_with_its_file_or_its_job(tmp_path: Path, is_written_again: bool) -> None:
    script = """
import asyncio, os, sys, pathlib
from app.export.files import FolderFiles
async def main():
    async with FolderFiles(pathlib.Path(sys.argv[1])).writing("job/a") as sink:
        await sink.write(b"half")
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT, check=False)
    files = FolderFiles(tmp_path)

    assert killed.returncode == -9
    assert len(list(tmp_path.rglob("*.part"))) == 1
    with pytest.raises(NoFile):
        await files.size("job/a")
    if is_written_again:
        async with files.writing("job/a") as sink:
            await sink.write(b"whole")
        assert [path.name for path in (tmp_path / "job").iterdir()] == ["a"]
    await files.remove("job")
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """In a file system of 256 KiB, mounted where nobody else sees it."""
    script = f"""
import asyncio, pathlib
from app.export.files import FolderFiles, NoRoom
async def main():
    try:
        async with FolderFiles(pathlib.Path("{tmp_path}")).writing("job/a") as sink:
            for _ in range(100):
                await sink.write(b"x" * 10_000)
    except NoRoom as full:
        print(full)
asyncio.run(main())
print(sorted(path.name for path in pathlib.Path("{tmp_path}").rglob("*")))
"""
    mount = f"mount -t tmpfs -o size=256k tmpfs {tmp_path} || exit 99"
    command = ["unshare", "-Urm", "sh", "-c", f'{mount}; exec "$0" -c "$1"', sys.executable, script]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode == 99 or "unshare" in told.stderr:
        pytest.skip("no file system may be mounted here")

    assert told.stdout.splitlines() == ["There is no room left where export files are kept.", "['job']"]


@pytest.mark.parametrize("given", ["no server", "no bucket"])
async def test_a_bucket_that_cannot_be_used_is_told(address: str, given: str) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}" if given == "no server" else address
    files = export_files(Settings(export_files="s3://nowhere", export_s3_endpoint=endpoint), SECRETS)

    for trying in (write(files, "job/a", LARGE), write(files, "job/a"), files.remove("job")):
        with pytest.raises(FilesUnavailable) as told:
            await trying
        assert "127.0.0.1" not in str(told.value)


def test_a_bucket_needs_its_secrets() -> None:
    settings = Settings(export_files=f"s3://{BUCKET}")

    with pytest.raises(WrongSettings) as wrong:
        export_files(settings, Secrets(given={ACCESS_KEY: "any"}))

    assert "DERMATOME_SECRET_EXPORT_S3_SECRET_KEY" in str(wrong.value)
    assert isinstance(export_files(settings, SECRETS), S3Files)
