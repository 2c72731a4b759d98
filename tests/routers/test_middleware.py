"""What is put right in every request before it is looked at."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.routers.middleware import Envelope


@pytest.mark.parametrize(
    ("path", "query", "seen"),
    [
        ("/fhir/Patient/", b"name=x", ("/fhir/Patient", b"name=x")),
        ("/", b"", ("/", b"")),
        ("/fhir/Patient", "name=Ångström".encode(), ("/fhir/Patient", b"name=%C3%85ngstr%C3%B6m")),
        ("/fhir/Patient", b"name=%C3%85&date=2026-05-01T09:30:00+02:00", None),
    ],
)
async def test_habits_of_clients_are_mended(path: str, query: bytes, seen: tuple[str, bytes] | None) -> None:
    found = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append((scope["path"], scope["query_string"]))
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        pass

    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
    await Envelope(app)(scope, receive, send)

    assert found == [seen or (path, query)]
