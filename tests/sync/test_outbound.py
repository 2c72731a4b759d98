"""What goes out: to whom, signed in how, and what of an answer is read. Against servers that listen."""

import asyncio
import gzip
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.outbound import Guard, GuardedTransport, NoToken, Secrets, guarded, reason_of, tls
from app.outbound.addresses import parse_networks
from app.outbound.tokens import Registration, SmartAuth
from app.sync.answers import Meaning
from app.sync.client import Client

LOOPBACK = Guard(*parse_networks(["127.0.0.0/8", "::1/128"]))
KEY = RSAKey.generate_key(2048)
OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}'

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers every connection as told; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(head: str, body: bytes = b"") -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return serve


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\n\r\n")
    while True:
        writer.write(b" " * 1_000_000)
        await writer.drain()


async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


BOMB = gzip.compress(b" " * 50_000_000)
ANSWERS: list[tuple[Serve, str]] = [
    (answering("302 Found\r\nlocation: http://10.0.0.1/"), "302"),
    (answering("200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/fhir+json", BOMB), "packed"),
    (answering("200 OK\r\ncontent-type: text/html", b"<html>sign in</html>"), "200"),
    (endless, "larger"),
    (dripping, "within"),
]


@pytest.mark.parametrize(("serve", "told"), ANSWERS, ids=["redirect", "gzip bomb", "html", "endless", "drip"])
async def test_an_answer_that_cannot_be_used_is_bounded_and_named(serve: Serve, told: str) -> None:
    started = time.monotonic()
    async with listening(serve) as port, guarded(LOOPBACK) as http:
        client = Client(http, f"http://127.0.0.1:{port}", seconds=2)

        reply = await client.ask("GET", "Patient/1", "read")

    assert reply.meaning in (Meaning.LATER, Meaning.LOST, Meaning.TOO_MUCH)
    assert told in reply.reason
    assert time.monotonic() - started < 10


async def test_a_name_is_judged_by_what_it_stands_for_when_it_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(answering("200 OK", OUTCOME)) as port:
        loop = asyncio.get_running_loop()

        async def resolved(*_: Any, **__: Any) -> list[Any]:
            return [(2, 1, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(loop, "getaddrinfo", resolved)
        async with guarded(Guard()) as http:
            with pytest.raises(httpx.ConnectError) as refused:
                await http.get(f"http://harmless.example.org:{port}/")

    assert "no public address" in reason_of(refused.value)


async def test_a_private_host_that_is_allowed_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = Guard(*parse_networks(["partner.internal"]))
    async with listening(answering("200 OK", OUTCOME)) as port:
        loop = asyncio.get_running_loop()

        async def resolved(*_: Any, **__: Any) -> list[Any]:
            return [(2, 1, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(loop, "getaddrinfo", resolved)
        async with guarded(allowed) as http:
            answer = await http.get(f"http://partner.internal:{port}/")

    assert answer.status_code == 200


async def test_tls_names_who_we_are_and_takes_no_stranger() -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    own = authority.issue_cert("dermatome.example.org")
    chain, key = own.cert_chain_pems[0].bytes().decode(), own.private_key_pem.bytes().decode()
    ours = tls.context(authority.cert_pem.bytes().decode(), chain, key)
    theirs = tls.context(stranger.cert_pem.bytes().decode(), chain, key)

    async with listening(answering("200 OK", OUTCOME), context) as port:
        async with httpx.AsyncClient(transport=GuardedTransport(LOOPBACK, verify=ours)) as client:
            answer = await client.get(f"https://127.0.0.1:{port}/")
        async with httpx.AsyncClient(transport=GuardedTransport(LOOPBACK, verify=theirs)) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://127.0.0.1:{port}/")

    assert answer.status_code == 200


class SignIn:
    """An authorization server and the FHIR server it guards, by SMART Backend Services."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.seen: set[str] = set()
        self.valid: set[str] = set()
        routes = [
            Route("/fhir/.well-known/smart-configuration", self.configuration),
            Route("/token", self.token, methods=["POST"]),
            Route("/fhir/Patient/1", self.patient),
        ]
        self.app = Starlette(routes=routes)

    def client(self, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="https://fhir.test", auth=auth)

    async def configuration(self, _: Request) -> Response:
        return JSONResponse({"token_endpoint": "https://fhir.test/token"})

    async def token(self, request: Request) -> Response:
        form = dict(part.split("=", 1) for part in (await request.body()).decode().split("&"))
        assertion = jwt.decode(form["client_assertion"], KEY, algorithms=["RS384"])
        claims = assertion.claims
        assert assertion.header["kid"] == "one"
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("dermatome", "dermatome", "https://fhir.test/token")
        assert 0 < claims["exp"] - time.time() <= 300
        assert claims["jti"] not in self.seen
        self.seen.add(claims["jti"])
        self.given.append(f"token-{len(self.given)}")
        self.valid = {self.given[-1]}
        return JSONResponse({"access_token": self.given[-1], "token_type": "bearer", "expires_in": 300})

    async def patient(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return JSONResponse({"resourceType": "Patient"}, 200 if token in self.valid else 401)


def smart(server: SignIn, key: str = "") -> SmartAuth:
    own = Registration(
        "https://fhir.test/fhir",
        "dermatome",
        key or KEY.as_pem(private=True).decode(),
        "one",
        "RS384",
        "system/*.cruds",
    )
    return SmartAuth(lambda: own, server.client)


async def test_a_token_is_asked_for_once_and_anew_when_it_is_refused() -> None:
    server = SignIn()
    async with server.client(smart(server)) as client:
        first = await asyncio.gather(*(client.get("/fhir/Patient/1") for _ in range(5)))
        asked = len(server.given)
        server.valid.clear()
        again = await client.get("/fhir/Patient/1")

    assert [one.status_code for one in first] == [200] * 5
    assert (asked, again.status_code, len(server.given)) == (1, 200, 2)


async def test_a_key_that_is_none_is_told_without_it() -> None:
    server = SignIn()
    async with server.client(smart(server, "no key at all")) as client:
        with pytest.raises(NoToken) as told:
            await client.get("/fhir/Patient/1")

    assert "no key at all" not in str(told.value)


def test_secrets_are_read_by_name_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("of a file\n")
    secrets = Secrets(tmp_path, {"one": "of the environment", "two": "2"})

    assert [secrets.read(name) for name in ("one", "two")] == ["of a file", "2"]
    assert [secrets.has(name) for name in ("two", "three")] == [True, False]
    assert "environment" not in repr(secrets)


@pytest.mark.parametrize("name", ["10.0.0.0/8", "partner.internal", "fd00::/8"])
def test_private_networks_are_networks_or_hosts(name: str) -> None:
    networks, hosts = parse_networks([name])

    assert [str(one) for one in networks] + list(hosts) == [name]


@pytest.mark.parametrize("name", ["10.0.0.0/33", "300.1.1.1", "a b", "http://x"])
def test_what_is_no_network_and_no_host_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        parse_networks([name])


def test_ourselves_by_the_public_name_is_refused() -> None:
    guard = Guard(networks=(ipaddress.ip_network("10.0.0.0/8"),), own_base="https://dermatome.example.org")

    assert guard.problems("https://Dermatome.example.org./fhir") == ["It is this service itself."]
    assert guard.problems("https://10.1.1.1/fhir") == []
