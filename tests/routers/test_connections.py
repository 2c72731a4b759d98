"""Connections that are held for nothing: each ends, says why where it can, and takes no more memory than is stated."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.routers.connections import Bounds, Connection, look_at

BOUNDS = Bounds(head_bytes=8_192, head_seconds=0.4, reading_seconds=0.4, connections=8)
LARGE = 8_000_000
FINE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and answers its length; at /large, many bytes."""
    size, more = 0, scope["path"] != "/refused"
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = bytes(LARGE) if scope["path"] == "/large" else b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Listening:
    """A server of that application, and what its connections are."""

    def __init__(self, port: int, state: ServerState) -> None:
        self.port, self.state = port, state

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def let_go(self) -> None:
        """Until no connection is left: who is refused is listened to for two seconds more."""
        async with asyncio.timeout(10):
            while self.state.connections:
                await asyncio.sleep(0.01)


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening(BOUNDS) as made:
        yield made


@asynccontextmanager
async def listening(bounds: Bounds) -> AsyncIterator[Listening]:
    config = uvicorn.Config(application, log_config=None, log_level="critical", ws="none")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    made = partial(Connection, bounds, config, state, {})
    listener = await loop.create_server(made, "127.0.0.1", 0)

    async def look() -> None:
        while True:
            look_at(state.connections)
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    yield Listening(listener.sockets[0].getsockname()[1], state)
    looking.cancel()
    listener.close()
    for each in list(state.connections):
        each.transport.abort()


async def told(server: Listening, *pieces: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await server.open()
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


HEADS = {
    "a header without an end": (b"GET / HTTP/1.1\r\nx: ", *[b"a" * 1_000] * 20),
    "headers without an end": (b"GET / HTTP/1.1\r\n", *[b"x: %s\r\n" % (b"a" * 990)] * 20),
    "an address without an end": (b"GET /", *[b"a" * 1_000] * 20),
    "much more than is taken": (b"GET / HTTP/1.1\r\nx: ", *[b"a" * 100_000] * 50),
    "one long header at once": (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 10_000 + b"\r\n\r\n",),
}


@pytest.mark.parametrize("pieces", HEADS.values(), ids=HEADS)
async def test_a_head_that_is_too_long_is_refused(server: Listening, pieces: tuple[bytes, ...]) -> None:
    answer = await told(server, *pieces)

    assert answer.startswith(b"HTTP/1.1 431 ")
    await server.let_go()


ENDED = {
    "nothing is sent": (),
    "a head is begun": (b"GET / HTTP/1.1\r\nx: y",),
    "empty lines": (b"\r\n", b"\r\n"),
    "trailers without an end": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
        *[b"x: %s\r\n" % (b"a" * 990)] * 1_000,
    ),
    "the length of a chunk without an end": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;",
        *[b"a" * 1_000] * 1_000,
    ),
    "the rest of a body that was refused": (
        b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n",
        *[b"a"] * 20,
    ),
    "requests without a look at the answers": (FINE.replace(b"/", b"/large", 1), FINE * 100),
}


@pytest.mark.parametrize("pieces", ENDED.values(), ids=ENDED)
async def test_who_holds_a_connection_for_nothing_loses_it(server: Listening, pieces: tuple[bytes, ...]) -> None:
    started = time.monotonic()
    answer = await told(server, *pieces)

    assert time.monotonic() - started < 10
    assert answer.count(b"HTTP/1.1 200") <= 1
    await server.let_go()


async def test_a_head_that_comes_letter_by_letter_ends_in_its_time(server: Listening) -> None:
    reader, writer = await server.open()
    started = time.monotonic()

    while not reader.at_eof() and time.monotonic() - started < 20:
        writer.write(b"x")
        await asyncio.sleep(0.05)
        if server.state.connections == set():
            break

    assert time.monotonic() - started < 10
    writer.transport.abort()


async def test_a_client_that_does_not_read_is_left_and_its_answer_let_go(server: Listening) -> None:
    reader, writer = await server.open()
    # Of what a StreamReader is not asked for, it takes no more than twice its limit.
    assert not reader.at_eof()
    writer.write(FINE.replace(b"/", b"/large", 1))
    await asyncio.sleep(0.2)
    held = [each.transport.get_write_buffer_size() for each in server.state.connections]
    await asyncio.sleep(1)

    assert max(held) > 1_000_000
    await server.let_go()
    writer.transport.abort()


async def test_a_client_that_reads_slowly_gets_all(server: Listening) -> None:
    reader, writer = await server.open()
    writer.write(FINE.replace(b"/", b"/large", 1))
    got = 0

    while got < LARGE:
        got += len(await reader.read(2_000_000))
        await asyncio.sleep(0.02)

    assert got >= LARGE
    writer.transport.abort()


async def test_more_connections_than_there_is_room_for_are_told_so(server: Listening) -> None:
    opened = [await server.open() for _ in range(BOUNDS.connections)]
    await asyncio.sleep(0.05)

    answer = await told(server, FINE)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in answer
    for _, writer in opened:
        writer.transport.abort()


async def test_what_is_no_http_is_told_so(server: Listening) -> None:
    answer = await told(server, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"OperationOutcome" in answer


POSTED = b"POST / HTTP/1.1\r\nhost: x\r\n"
A_CHUNK = b"1\r\na\r\n0\r\n\r\n"
FRAMED = {
    "another coding": (b"transfer-encoding: gzip\r\n\r\n" + A_CHUNK, b"501"),
    "no coding by its old name": (b"transfer-encoding: identity\r\n\r\n" + A_CHUNK, b"501"),
    "another coding below": (b"transfer-encoding: gzip, chunked\r\n\r\n" + A_CHUNK, b"501"),
    "another coding in a header of its own": (
        b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n" + A_CHUNK,
        b"501",
    ),
    "a coding that ends like chunked": (b"transfer-encoding: xchunked\r\n\r\n" + A_CHUNK, b"501"),
    "a coding and nothing more": (b"transfer-encoding: gzip\r\n\r\n", b"501"),
    "a coding above": (b"transfer-encoding: chunked, identity\r\n\r\n" + A_CHUNK, b"400"),
    "chunked twice": (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n" + A_CHUNK, b"400"),
    "chunked, with a length": (b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n" + A_CHUNK, b"400"),
    "a length, and chunked": (b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n" + A_CHUNK, b"400"),
    "two lengths": (b"content-length: 1\r\ncontent-length: 2\r\n\r\na", b"400"),
    "a length that is none": (b"content-length: -1\r\n\r\na", b"400"),
    "a chunk without a length": (b"transfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
    "a chunk that is longer than it says": (b"transfer-encoding: chunked\r\n\r\n1\r\naaaa\r\n0\r\n\r\n", b"400"),
}


@pytest.mark.parametrize(("rest", "status"), FRAMED.values(), ids=FRAMED)
async def test_a_body_whose_end_cannot_be_told_is_refused(server: Listening, rest: bytes, status: bytes) -> None:
    answer = await told(server, POSTED + rest + FINE)

    assert answer.startswith(b"HTTP/1.1 %s " % status)
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"OperationOutcome") == 1
    assert b"connection: close" in answer
    await server.let_go()


async def test_a_body_that_goes_on_wrongly_is_refused_while_it_is_awaited(server: Listening) -> None:
    reader, writer = await server.open()
    writer.write(POSTED + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
    await asyncio.sleep(0.1)
    writer.write(b"zz\r\n")

    answer = await asyncio.wait_for(reader.read(), 5)

    assert answer.startswith(b"HTTP/1.1 400 ")
    await server.let_go()
    writer.transport.abort()


async def test_chunked_is_taken_however_it_is_written(server: Listening) -> None:
    reader, writer = await server.open()
    writer.write(POSTED + b"Transfer-Encoding:  Chunked \r\n\r\n" + A_CHUNK)

    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n1"), 5)

    assert answer.startswith(b"HTTP/1.1 200 ")
    writer.transport.abort()


async def test_a_client_as_others_are_is_served_again_and_again(server: Listening) -> None:
    reader, writer = await server.open()

    for _ in range(5):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n" + b"a" * 20_000)
        assert await reader.readuntil(b"20000")
        await asyncio.sleep(0.2)

    assert len(server.state.connections) == 1
    writer.transport.abort()
