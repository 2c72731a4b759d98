"""The real process under clients that want to fill its memory: what it takes more stays below a stated bound."""

import asyncio
import time
from pathlib import Path

import httpx

from tests.processes import Process, free_port

HELD = 32_000_000
# What bodies may hold, the body that is being read as text and as values, and what Python does not give back.
MOST_MORE = 3 * HELD + 100_000_000
SETTINGS = {
    "DERMATOME_MAX_BODIES_BYTES": str(HELD),
    "DERMATOME_MAX_CONNECTIONS": "200",
    "DERMATOME_HEADER_SECONDS": "2",
    "DERMATOME_UPLOAD_SECONDS": "4",
    "DERMATOME_UNREAD_SECONDS": "2",
}
_HEAD = b"POST /fhir/Patient HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/fhir+json\r\n"
_EMPTY = b"[" + b"{}," * 2_600_000 + b"{}]"
_DECIMALS = b"[" + b'{"a":1.5},' * 790_000 + b"{}]"
_DEEP = b"[" * 4_000_000 + b"]" * 4_000_000
_XML = b'<Patient xmlns="http://hl7.org/fhir">' + b"<a/>" * 1_900_000 + b"</Patient>"
_NESTED = b'<Patient xmlns="http://hl7.org/fhir">' + b"<a>" * 1_900_000


def rss(pid: int) -> int:
    """Bytes of memory a process holds."""
    fields = Path(f"/proc/{pid}/status").read_text().split("\n")
    return next(int(line.split()[1]) * 1024 for line in fields if line.startswith("VmRSS"))


async def holding(port: int, text: bytes, seconds: float) -> bytes:
    """Send, and then neither send nor read for a while."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    try:
        writer.write(text)
        await asyncio.sleep(seconds)
        return await asyncio.wait_for(reader.read(64), 10)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()


async def test_memory_stays_bounded_whatever_is_sent_and_left_unread(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORT": str(port), "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/d.db", **SETTINGS}
    with Process("serve", settings, log=tmp_path / "log") as process:
        most = before = rss(process.pid)
        under_attack: list[float] = []

        async def watch() -> None:
            nonlocal most
            async with httpx.AsyncClient(base_url=process.base, timeout=20) as client:
                while True:
                    most = max(most, rss(process.pid))
                    started = time.monotonic()
                    if (await client.get("/health/live")).status_code == 200:
                        under_attack.append(time.monotonic() - started)
                    await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        started = [_HEAD + b"x: " + b"a" * 60_000] * 100
        unfinished = [_HEAD + b"content-length: 8000000\r\n\r\n" + b" " * 4_000_000] * 60
        held = await asyncio.gather(*(holding(port, each, 3) for each in [*started, *unfinished]))
        async with httpx.AsyncClient(base_url=process.base, timeout=60) as client:
            json = {"Content-Type": "application/fhir+json"}
            xml = {"Content-Type": "application/fhir+xml"}
            bodies = [(each, json) for each in (_EMPTY, _DECIMALS, _DEEP)] + [(each, xml) for each in (_XML, _NESTED)]
            posts = [client.post("/fhir/Patient", content=text, headers=kind) for text, kind in bodies * 2]
            answers = await asyncio.gather(*posts)
        watching.cancel()
        after = httpx.get(f"{process.base}/fhir/metadata")

    statuses = [each.status_code for each in answers]
    assert set(statuses) <= {400, 413, 503}
    assert 413 in statuses
    assert b"HTTP/1.1 503" in {each[:12] for each in held}
    assert most - before < MOST_MORE, (most - before) // 1_000_000
    assert under_attack
    assert max(under_attack) < 5
    assert after.status_code == 200
