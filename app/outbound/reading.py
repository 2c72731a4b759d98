"""Reading an answer, whatever comes: not unpacked, and no more of it than fits into memory."""

import httpx

# What a text takes when it is parsed is told by its values rather than its length: 32 MB of {"a":1.5}, are a GB. A
# page of 1,000 resources with 500 values each is as much as is asked for anywhere.
MOST_VALUES = 500_000
_BEFORE_A_VALUE = b",[{"


class Unread(Exception):
    """An answer that is not read to its end; the text says why, as a clause."""


class TooLong(Unread):
    """There is more of it than is read."""


async def bounded(response: httpx.Response, most: int) -> bytes:
    """The body as it comes over the wire. most: bytes. Raises Unread.

    Packed answers are not asked for, and so not unpacked: they may become of any size.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unread("its answer is packed, which was not asked for")
    found, values = bytearray(), 0
    async for part in response.aiter_raw():
        found += part
        values += sum(part.count(one) for one in _BEFORE_A_VALUE)
        if len(found) > most:
            raise TooLong(f"its answer is larger than {most} bytes")
        if values > MOST_VALUES:
            raise TooLong(f"its answer holds more than {MOST_VALUES} values")
    return bytes(found)
