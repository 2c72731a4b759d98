"""Who reads the rows of a view slowly, and for ever, is left; he can tell that he has not got all."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.builders import Json, bundle, entry, observation
from tests.processes import Process, free_port

SECONDS = 6.0
# Two pieces, each more than the system holds of what is not read yet.
OBSERVATIONS, CHARACTERS, COLUMNS = 15, 400_000, 5
COLUMN = {"path": "note.text.first()", "type": "string"}
VIEW: Json = {
    "resourceType": "ViewDefinition",
    "name": "notes",
    "status": "active",
    "resource": "Observation",
    "select": [{"column": [{**COLUMN, "name": f"c{number}"} for number in range(COLUMNS)]}],
}
END = b"\r\n0\r\n\r\n"


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Process]:
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_EXPORT_FILES": str(tmp_path / "exports"),
        "DERMATOME_VIEW_SECONDS": str(SECONDS),
    }
    with Process("serve", settings, log=tmp_path / "service.log") as process:
        many = [entry(observation(note=[{"text": "a" * CHARACTERS}])) for _ in range(OBSERVATIONS)]
        httpx.post(f"{process.base}/fhir", json=bundle(*many), timeout=60).raise_for_status()
        yield process


def test_rows_that_are_read_slowly_are_broken_off_and_are_not_whole(server: Process) -> None:
    whole = _read(server, [{"name": "_limit", "valueInteger": 2}])
    started = time.monotonic()

    slow = _read(server, [], slowly_until=started + SECONDS + 1)
    took = time.monotonic() - started

    assert slow.startswith(b"HTTP/1.1 200 ")
    assert not slow.endswith(END)
    assert len(slow) < OBSERVATIONS * CHARACTERS * COLUMNS
    assert took < 15 * SECONDS
    assert whole.endswith(END)
    assert len(whole) > 2 * CHARACTERS * COLUMNS


def _read(server: Process, more: list[Json], *, slowly_until: float = 0) -> bytes:
    """All that is answered until the connection ends."""
    parts = [{"name": "viewResource", "resource": VIEW}, {"name": "_format", "valueCode": "csv"}, *more]
    body = json.dumps({"resourceType": "Parameters", "parameter": parts}).encode()
    head = (
        "POST /fhir/$viewdefinition-run HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    got = bytearray()
    with socket.create_connection(("127.0.0.1", httpx.URL(server.base).port or 0), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        while piece := connection.recv(250_000):
            got += piece
            time.sleep(0.2 if time.monotonic() < slowly_until else 0)
    return bytes(got)
