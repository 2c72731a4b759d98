"""What a careful client does when the network or the server fails: the same request again, until it is acknowledged."""

import asyncio
from typing import Any

import httpx

_BUSY = (429, 503, 507)


async def acknowledged(
    client: httpx.AsyncClient, method: str, address: str, body: Any, *, key: str = "", pause: float = 0.05
) -> httpx.Response:
    """The answer that says it is done. key: the Idempotency-Key; a deletion or a read may find it done before (410)."""
    headers = {"Idempotency-Key": key} if key else {}
    while True:
        try:
            answer = await client.request(method, address, json=body, headers=headers)
        except httpx.HTTPError:
            await asyncio.sleep(pause)
            continue
        if answer.status_code in _BUSY:
            await asyncio.sleep(2 * pause)
            continue
        is_gone = answer.status_code == 410 and method in ("GET", "DELETE")
        assert answer.is_success or is_gone, f"{method} {address}: {answer.status_code} {answer.text[:500]}"
        return answer
