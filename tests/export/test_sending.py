"""Which bytes of a file are sent, and how."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from random import Random

import pytest

from app.routers.sending import range_of, takes_gzip
from app.routers.streaming import Streamed, gzipped, pieces


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=0-", (0, 10)),
        ("bytes=9-9", (9, 10)),
        ("bytes=5-99", (5, 10)),
        ("Bytes = 2 - 3", (2, 4)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        # Of no byte: told as 416.
        ("bytes=10-", (10, 10)),
        ("bytes=-0", (10, 10)),
        # All of it is sent for what is malformed, in other units, or in several parts.
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=0-4", None),
        ("bytes=0-1,4-5", None),
        ("bytes=0-" + "9" * 40, None),
        ("bytes=٣-", None),
    ],
)
def test_a_range_of_ten_bytes(header: str, found: tuple[int, int] | None) -> None:
    assert range_of(header, 10) == found


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("*", True),
        ("gzip ; q=0.001", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
    ],
)
def test_gzip_is_given_to_who_takes_it(header: str, is_taken: bool) -> None:
    assert takes_gzip(header) is is_taken


class File:
    """A file that tells how much of it was read, and whether it was closed."""

    def __init__(self) -> None:
        self.read_bytes, self.is_closed = 0, False

    async def read(self, count: int) -> AsyncIterator[bytes]:
        noise = Random(7)
        try:
            for _ in range(count):
                self.read_bytes += 1000
                yield noise.randbytes(1000)
        finally:
            self.is_closed = True


async def test_what_is_packed_is_the_file() -> None:
    file = File()

    packed = [each async for each in gzipped(pieces(file.read(2_000)))]

    whole = b"".join([each async for each in File().read(2_000)])
    assert gzip.decompress(b"".join(packed)) == whole
    assert file.is_closed


@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_reader_that_stalls_is_left_with_the_file_closed_and_little_of_it_read(is_packed: bool) -> None:
    file, sent = File(), []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)
        if len(sent) == 3:
            await asyncio.Event().wait()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    plain = pieces(file.read(1_000_000))
    content = gzipped(plain) if is_packed else plain
    answer = Streamed(content, 200, {}, patience=0.05)

    async with asyncio.timeout(20):
        with pytest.raises(Exception) as left:
            await answer({"type": "http"}, receive, send)  # type: ignore[arg-type]

    assert type(left.value).__name__ == "ClientDisconnect"
    assert file.is_closed
    assert file.read_bytes <= (200_000 if is_packed else 3_000)
