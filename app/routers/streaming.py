"""Files as answers, piece by piece: what is not read holds the next piece back, and for so long only."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

# Of the formats of zlib, gzip (RFC 1952).
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


class Streamed(StreamingResponse):
    """A body that is written as it is read. patience: the seconds after which a reader that takes nothing is left."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], status: int, headers: Mapping[str, str], *, patience: float
    ) -> None:
        super().__init__(content, status, headers)
        self._content, self._patience = content, patience

    async def stream_response(self, send: Send) -> None:
        async def sent(message: Message) -> None:
            try:
                async with asyncio.timeout(self._patience):
                    await send(message)
            except TimeoutError:
                # The file must not stay open for somebody who has gone to sleep.
                raise ClientDisconnect from None

        async with aclosing(self._content):
            await super().stream_response(sent)


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
