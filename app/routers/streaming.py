"""Files as answers, piece by piece: what is not read holds the next piece back, and for so long only."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

# Of the formats of zlib, gzip (RFC 1952).
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6
_log = structlog.get_logger()


class Streamed(StreamingResponse):
    """A body that is written as it is read. patience: the seconds after which a reader that takes nothing is left.

    until: when it is broken off (time of the loop), however much of it was read. What is broken off has no last chunk:
    the client is told that it is not whole.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        status: int,
        headers: Mapping[str, str],
        *,
        patience: float,
        until: float | None = None,
    ) -> None:
        super().__init__(content, status, headers)
        self._content, self._patience, self._until = content, patience, until

    async def stream_response(self, send: Send) -> None:
        async def sent(message: Message) -> None:
            try:
                async with asyncio.timeout(self._patience):
                    await send(message)
            except TimeoutError:
                # The file must not stay open for somebody who has gone to sleep.
                raise ClientDisconnect from None

        async with aclosing(self._content):
            try:
                async with asyncio.timeout_at(self._until):
                    await super().stream_response(sent)
            except TimeoutError:
                _log.warning("an answer was broken off: it took too long to make and to read")
                raise ClientDisconnect from None


async def gzipped(plain: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same compressed, in a thread: a large one takes as long as many small requests."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    async with aclosing(plain):
        async for piece in plain:
            if packed := await asyncio.to_thread(packer.compress, piece):
                yield packed
    yield packer.flush()


async def pieces(read: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """What is read of a file, as what can be closed. The first piece is read when it is asked for."""
    try:
        async for piece in read:
            yield piece
    finally:
        if isinstance(read, AsyncGenerator):
            await read.aclose()
