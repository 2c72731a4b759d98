"""What servers may do to whoever calls them: to sign in to, to read from and to keep, as bad as it comes."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import ECKey

from app.main import make_service
from app.outbound import Guard, NoToken, NotPem, guarded, tls
from app.outbound.addresses import parse_networks
from app.outbound.tokens import FixedAuth, Registration, SmartAuth, assertion, bearer
from app.settings import Settings
from app.sync.answers import Meaning
from app.sync.client import Client
from app.sync.pull.pages import UnusablePage
from app.sync.pull.remote import Got, Source
from app.sync.targets import Target
from tests.sync.test_outbound import KEY, OUTCOME, answering, listening

LOOPBACK = Guard(*parse_networks(["127.0.0.0/8"]))


async def many_values(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"resourceType":"Patient","x":[')
    while True:
        writer.write(b'{"a":1.5},' * 10_000)
        await writer.drain()


async def test_an_answer_of_many_values_is_not_parsed() -> None:
    started = time.monotonic()
    async with listening(many_values) as port, guarded(LOOPBACK) as http:
        reply = await Client(http, f"http://127.0.0.1:{port}", seconds=30).ask("GET", "Patient/1", "read")

    assert (reply.meaning, reply.reason) == (Meaning.TOO_MUCH, "its answer holds more than 500000 values")
    assert time.monotonic() - started < 10


async def test_no_cookie_is_kept() -> None:
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        await answering(f"200 OK\r\nconnection: close\r\nset-cookie: a{len(heads)}=x; Path=/", OUTCOME)(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server, guarded(LOOPBACK) as http:
        for _ in range(2):
            await http.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert len(heads) == 2
    assert "cookie:" not in heads[1]


NOWHERE = [
    *("http://168.63.129.16/", "http://192.0.0.192/", "http://[5f00::1]/", "http://[3fff::1]/"),
    *("http://[::ffff:0:10.0.0.5]/", "http://127。0。0。1/", "http://①②⑦.0.0.1/", "http://x.org\n.y.org/"),
]


@pytest.mark.parametrize("url", NOWHERE)
def test_what_is_no_public_address_whoever_says_so_is_refused(url: str) -> None:
    assert Guard().problems(url)


def pem(key: Any, password: bytes = b"") -> str:
    """A private key as a secret holds it."""
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode())


AUTHORITY = trustme.CA()
CA = AUTHORITY.cert_pem.bytes().decode()
OWN, OTHER = AUTHORITY.issue_cert("dermatome.example.org"), AUTHORITY.issue_cert("other.example.org")
CHAIN, OWN_KEY = OWN.cert_chain_pems[0].bytes().decode(), OWN.private_key_pem.bytes().decode()
LOCKED = pem(serialization.load_pem_private_key(OWN.private_key_pem.bytes(), None), b"word")
NO_TLS = {
    "no certificates": ("none", "", ""),
    "letters of no certificate": ("ä", "", ""),
    "no certificate": ("", "none", OWN_KEY),
    "no key": ("", CHAIN, "none"),
    "the key of another": ("", CHAIN, OTHER.private_key_pem.bytes().decode()),
    # The library asks for the password at the terminal, and the whole service waits for an answer.
    "a key with a password": ("", CHAIN, LOCKED),
}


@pytest.mark.parametrize("given", NO_TLS.values(), ids=NO_TLS)
def test_certificates_that_cannot_be_used_are_refused_without_a_word_of_them(given: tuple[str, str, str]) -> None:
    with pytest.raises(NotPem) as told:
        tls.context(*given)

    assert "tls." in str(told.value)
    assert "BEGIN" not in str(told.value)


def test_certificates_may_have_remarks_in_any_script() -> None:
    assert tls.context(f"# Zürich\n{CA}").get_ca_certs()


SHORT = pem(rsa.generate_private_key(65_537, 1024))
NO_KEYS = {
    "too short": (SHORT, "RS384"),
    "of another kind": (KEY.as_pem(private=True).decode(), "ES384"),
    "of another curve": (ECKey.generate_key("P-256").as_pem(private=True).decode(), "ES384"),
    "public": (KEY.as_pem(private=False).decode(), "RS384"),
    "deep": ('{"a":' * 50_000, "RS384"),
}


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("given", NO_KEYS.values(), ids=NO_KEYS)
def test_a_key_that_cannot_sign_is_refused(given: tuple[str, str]) -> None:
    key, algorithm = given

    with pytest.raises(NoToken) as told:
        assertion(Registration("https://x.org", "us", key, "", algorithm), "https://x.org/token", 0)

    assert "private key" in str(told.value)


@pytest.mark.parametrize("secret", ["", "two words", "two\nlines", "tökén"])
async def test_a_token_that_no_header_can_hold_is_named_without_it(secret: str) -> None:
    async with listening(answering("200 OK", OUTCOME)) as port, guarded(LOOPBACK) as http:
        http.auth = FixedAuth(lambda: bearer(secret))
        reply = await Client(http, f"http://127.0.0.1:{port}", seconds=5).ask("GET", "Patient/1", "read")

    assert reply.meaning is Meaning.LATER
    assert "The bearer token is none" in reply.reason
    assert not secret or secret not in reply.reason


def token(**told: Any) -> bytes:
    return json.dumps({"access_token": "t", "token_type": "bearer", **told}).encode()


TOKENS: dict[str, tuple[bytes, str]] = {
    "lasts beyond all numbers": (token(expires_in=10**400), ""),
    "lasts for no number": (b'{"access_token":"t","token_type":"bearer","expires_in":NaN}', ""),
    "is over": (token(expires_in=-5), ""),
    "ends the header": (token(access_token="a\r\nx: y"), "bearer token is none"),
    "is no ASCII": (token(access_token="tö"), "bearer token is none"),
    "is deep": (b"[" * 90_000, "no JSON object"),
}


@pytest.mark.parametrize("given", TOKENS.values(), ids=TOKENS)
async def test_whatever_a_token_endpoint_gives_a_request_is_answered_or_refused(given: tuple[bytes, str]) -> None:
    body, why = given
    close = "200 OK\r\nconnection: close"
    async with listening(answering(close, body)) as token_port, listening(answering(close, OUTCOME)) as port:
        url = f"http://127.0.0.1:{token_port}/token"
        own = Registration(f"http://127.0.0.1:{port}", "us", KEY.as_pem(private=True).decode(), token_url=url)
        async with guarded(LOOPBACK) as http:
            http.auth = SmartAuth(lambda: own, lambda: guarded(LOOPBACK))
            reply = await Client(http, own.base_url, seconds=5).ask("GET", "Patient/1", "read")

    assert reply.meaning is (Meaning.LATER if why else Meaning.DONE)
    assert why in reply.reason


def page(number: int, padding: int = 0) -> bytes:
    patient = {"resourceType": "Patient", "id": f"p{number}", "language": "x" * padding}
    link = {"relation": "next", "url": f"https://x.org/fhir/Patient?page={number + 1}"}
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "link": [link], "entry": [{"resource": patient}]}
    ).encode()


@pytest.mark.parametrize(("padding", "told"), [(0, "without an end"), (2_000_000, "larger than")])
async def test_a_search_that_leads_on_and_on_is_given_up(padding: int, told: str) -> None:
    asked: list[str] = []

    async def get(address: str) -> Got:
        asked.append(address)
        return Got(200, page(len(asked), padding))

    with pytest.raises(UnusablePage) as refused:
        await Source("https://x.org/fhir", get).search("Patient", [("name", "a")])

    assert told in str(refused.value)
    assert len(asked) < 100


@dataclass
class Partner:
    """A server behind TLS that asks who we are, twice: by certificate, and by SMART Backend Services."""

    key: ECKey
    port: int = 0
    assertions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self.port}/fhir"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        status, told = self.answer(head, (await reader.readexactly(length)).decode())
        await answering(f"{status} x\r\nconnection: close", json.dumps(told).encode())(reader, writer)
        writer.close()

    def answer(self, head: str, body: str) -> tuple[int, dict[str, Any]]:
        path = head.split(" ")[1]
        if path == "/fhir/.well-known/smart-configuration":
            return 200, {"token_endpoint": f"https://127.0.0.1:{self.port}/token"}
        if path == "/token":
            made = jwt.decode(parse_qs(body)["client_assertion"][0], self.key, algorithms=["ES384"])
            self.assertions.append({**made.header, **made.claims})
            return 200, {"access_token": f"t{len(self.assertions)}", "token_type": "Bearer", "expires_in": 300}
        is_known = f"Bearer t{len(self.assertions)}\r\n" in head
        return (200, {"resourceType": "Patient", "id": "1"}) if is_known else (401, {})


@asynccontextmanager
async def partner(key: ECKey) -> AsyncIterator[Partner]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    there = Partner(key)
    server = await asyncio.start_server(there.handle, "127.0.0.1", 0, ssl=context)
    there.port = server.sockets[0].getsockname()[1]
    async with server:
        yield there


TLS = {"ca": "ca", "certificate": "chain", "key": "key"}
AUTH = {"kind": "smart", "client_id": "us", "key": "smart", "kid": "one", "algorithm": "ES384"}


def target_at(base_url: str, **more: Any) -> Target:
    return Target.model_validate({"name": "one", "base_url": base_url, "tls": TLS, "auth": AUTH, **more})


async def test_a_target_is_called_with_all_that_its_definition_says(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-384")
    secrets = {"ca": CA, "chain": CHAIN, "key": OWN_KEY, "smart": key.as_pem(private=True).decode()}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db", secrets=tmp_path, log_level="error")
    service = make_service(settings, works=True)

    async with partner(key) as there, service.database:
        await service.database.migrate()
        await service.registry.prepare(is_whole=True)
        target = target_at(there.base, requests_per_second=50)
        async with service.clients.open(target) as opened, service.clients.open(target) as again:
            replies = await asyncio.gather(*(opened.client.ask("GET", "Patient/1", "read") for _ in range(4)))
            limits = opened.client.limiter, again.client.limiter
        async with service.clients.open(target_at(there.base, tls={"ca": "ca"})) as opened:
            stranger = await opened.client.ask("GET", "Patient/1", "read")
        async with service.clients.open(target_at(there.base, tls={**TLS, "key": "smart"})) as opened:
            broken = await opened.client.ask("GET", "Patient/1", "read")

    assert [reply.meaning for reply in replies] == [Meaning.DONE] * 4
    assert limits[0] is limits[1] is not None
    said = there.assertions[0]
    assert len(there.assertions) == 1
    assert (said["alg"], said["kid"], said["iss"], said["aud"]) == ("ES384", "one", "us", f"{there.base[:-5]}/token")
    assert 0 < said["exp"] - time.time() <= 300
    assert stranger.meaning is Meaning.LATER
    assert "tls.key cannot be used" in broken.reason
