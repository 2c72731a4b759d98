"""What is refused at the door: it reaches nothing behind it, and counts among the requests of whoever sent it."""

import time
import uuid
from pathlib import Path

import httpx
from starlette.types import Receive, Scope, Send

from app.outbound import Guard, Secrets
from app.routers.access import Access, Gate
from app.routers.limits import Turns
from app.security.authority import load_authority
from app.settings import Settings
from tests.security.sides import clients_file

BURST = 5


async def test_those_who_are_refused_are_counted(tmp_path: Path) -> None:
    reached = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    clients = clients_file(tmp_path, {"ehr": "system/*.rs"})
    settings = Settings(
        auth="smart", clients=clients, keys=tmp_path / "keys", requests_per_second=0.01, request_burst=BURST
    )
    authority = load_authority(settings, Secrets(), Guard(), lambda: time.time_ns() // 1_000, lambda: uuid.uuid4().hex)
    doors = Access(Turns(Gate(behind), settings), authority)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=doors), base_url="http://127.0.0.1:8000") as client:
        found = [(await client.get("/fhir/Patient")).status_code for _ in range(BURST + 3)]

    assert found == [401] * BURST + [429] * 3
    assert reached == []
