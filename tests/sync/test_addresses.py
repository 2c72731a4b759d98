"""Which addresses are called that others have named, however they are written, and where a target may lead further."""

import asyncio
import base64
import gzip
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app, make_service
from app.outbound import Guard, NoToken, guarded
from app.outbound.addresses import parse_networks
from app.outbound.tokens import Registration, SmartAuth
from app.settings import Settings, WrongSettings
from app.sync.answers import Meaning
from app.sync.targets import Target
from tests.sync.test_outbound import KEY, OUTCOME, Serve, answering, endless, listening

PORT = 8000
LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])
# Listens on the machine, may call the machine, but for itself.
AT_HOME = Guard(*LOOPBACK, own_ports=frozenset({PORT}), own_base="https://clinic.example.org/pain")

NOT_HTTP = ["", "registry", "ftp://x.org/fhir", "file:///etc/passwd", "http://", "http://x.org:99999/", "http://[::1/"]
PRIVATE = [
    "http://10.0.0.5/fhir",
    "http://172.16.0.1/fhir",
    "http://192.168.1.1/fhir",
    "http://100.64.0.1/fhir",
    "http://169.254.169.254/latest",
    "http://0.0.0.0/fhir",
    "http://224.0.0.1/fhir",
    "http://255.255.255.255/fhir",
    "http://127.0.0.1/fhir",
    "http://127.1/fhir",
    "http://2130706433/fhir",
    "http://0x7f000001/fhir",
    "http://0177.0.0.1/fhir",
    "http://012.0.0.5/fhir",
    "http://localhost/fhir",
    "http://LOCALHOST./fhir",
    "http://here.localhost/fhir",
    "http://[::]/fhir",
    "http://[::1]/fhir",
    "http://[::ffff:10.0.0.5]/fhir",
    "http://[::10.0.0.5]/fhir",
    "http://[64:ff9b::10.0.0.5]/fhir",
    "http://[64:ff9b:1::1]/fhir",
    "http://[2002:a00:5::1]/fhir",
    "http://[fe80::1]/fhir",
    "http://[fec0::1]/fhir",
    "http://[fc00::1]/fhir",
    "http://[ff02::1]/fhir",
]
OURSELVES = [
    "http://127.0.0.1:8000/fhir",
    "http://127.1:8000/fhir",
    "http://127.8.8.8:8000/fhir",
    "http://2130706433:8000/fhir",
    "http://localhost.:8000/fhir",
    "http://[::1]:8000/fhir",
    "http://[::ffff:127.0.0.1]:8000/fhir",
    "http://0.0.0.0:8000/fhir",
    "https://clinic.example.org/pain/fhir",
    "https://CLINIC.example.org.:443/pain/fhir",
]


def test_who_is_named_by_others_is_reached_by_http_and_in_public() -> None:
    nobodys = Guard()

    refused = {url: nobodys.problems(url) for url in NOT_HTTP + PRIVATE}

    assert [url for url, why in refused.items() if not why] == []
    assert all("no public address" in refused[url][0] for url in PRIVATE)
    assert nobodys.problems("https://user:word@x.org/fhir")[0].startswith("It must not hold")
    for url in ("https://registry.example.org/fhir", "http://9.9.9.9:8080/fhir", "http://[2620:fe::fe]/fhir"):
        assert nobodys.problems(url) == []


def test_this_service_is_no_target_of_itself_whatever_it_is_called() -> None:
    assert [url for url in OURSELVES if AT_HOME.problems(url) != ["It is this service itself."]] == []
    assert [url for url in OURSELVES if AT_HOME.own(url) != ["It is this service itself."]] == []
    assert AT_HOME.problems("http://localhost:8001/fhir") == []
    # By the public name another service may be reached too; who says so must be the operator.
    assert AT_HOME.problems("https://clinic.example.org/hapi/fhir") == ["It is this service itself."]
    assert AT_HOME.own("https://clinic.example.org/hapi/fhir") == []


def test_this_service_is_known_by_the_address_of_its_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has the loopback interface only")
        own: str = probe.getsockname()[0]
    everywhere = Guard(*parse_networks(["0.0.0.0/0"]), own_ports=frozenset({PORT}))

    assert everywhere.problems(f"http://{own}:{PORT}/fhir") == ["It is this service itself."]
    assert everywhere.problems(f"http://{own}:{PORT + 1}/fhir") == []


FILE = '[[target]]\nname = "one"\nbase_url = "{url}"\n{more}'
WRONG_FILES = [
    ("http://127.0.0.1:8000/fhir", "", "one: base_url: It is this service itself."),
    ("https://clinic.example.org/pain/fhir", "", "one: base_url: It is this service itself."),
    ("http://10.0.0.5/fhir", 'filters = ["Observation?colour=red"]', "one: filters[0]:"),
    ("http://10.0.0.5/fhir", 'auth = {kind = "bearer", secret = "no-such"}', "one: auth.secret: There is no secret"),
]


@pytest.mark.parametrize(("url", "more", "told"), WRONG_FILES)
def test_a_file_that_cannot_be_worked_with_is_refused_at_the_start(
    tmp_path: Path, url: str, more: str, told: str
) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(FILE.format(url=url, more=more))
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db",
        sync_targets=file,
        public_url="https://clinic.example.org/pain",
        log_level="error",
    )

    with pytest.raises(WrongSettings) as wrong:
        create_app(settings)

    assert told in str(wrong.value)


async def test_a_name_of_two_families_is_called_by_the_one_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(answering("200 OK", OUTCOME)) as port:

        async def resolved(*_: Any, **__: Any) -> list[Any]:
            return [(10, 1, 6, "", ("::1", port, 0, 0)), (2, 1, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        async with guarded(Guard(*LOOPBACK)) as http:
            answer = await http.get(f"http://partner.example.org:{port}/")

    assert answer.status_code == 200


def smart(base_url: str, guard: Guard, token_url: str = "") -> SmartAuth:
    key = KEY.as_pem(private=True).decode()
    own = Registration(base_url, "dermatome", key, token_url=token_url)
    return SmartAuth(lambda: own, lambda: guarded(guard))


async def test_where_a_target_of_the_operator_leads_for_a_token_is_guarded() -> None:
    told = b'{"token_endpoint": "http://169.254.169.254/token"}'
    async with listening(answering("200 OK", told)) as port:
        base = f"http://127.0.0.1:{port}/fhir"
        guard = Guard().allowing(base)
        async with httpx.AsyncClient(auth=smart(base, guard)) as client:
            with pytest.raises(httpx.ConnectError) as refused:
                await client.get(f"{base}/Patient/1")

    assert "no public address" in str(refused.value)


TOKENS: list[tuple[str, Serve]] = [
    ("302", answering("302 Found\r\nlocation: http://10.0.0.1/")),
    ("packed", answering("200 OK\r\ncontent-encoding: gzip", gzip.compress(b" " * 50_000_000))),
    ("larger than", endless),
    ("no JSON", answering("200 OK", b"[]")),
    ("no bearer", answering("200 OK", b'{"access_token": 5, "token_type": "bearer"}')),
    ("no bearer", answering("200 OK", b'{"access_token": "x", "token_type": "mac"}')),
]


@pytest.mark.parametrize(("told", "serve"), TOKENS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_token_endpoint_that_gives_none_is_named(told: str, serve: Serve) -> None:
    async with listening(serve) as port:
        auth = smart("https://registry.example.org/fhir", Guard(*LOOPBACK), f"http://127.0.0.1:{port}/token")
        async with httpx.AsyncClient(auth=auth) as client:
            with pytest.raises(NoToken) as refused:
                await client.get("https://registry.example.org/fhir/Patient/1")

    assert told in str(refused.value)


BOMBS: list[Callable[[], Serve]] = [
    lambda: endless_401,
    lambda: answering("401 Unauthorized\r\ncontent-encoding: gzip", gzip.compress(b" " * 60_000_000)),
]


async def endless_401(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    while True:
        writer.write(b" " * 1_000_000)
        await writer.drain()


@pytest.mark.parametrize("bomb", BOMBS, ids=["endless", "gzip"])
async def test_of_an_answer_that_refuses_a_token_nothing_is_read(bomb: Callable[[], Serve]) -> None:
    token = answering("200 OK", b'{"access_token": "x", "token_type": "bearer", "expires_in": 300}')
    async with listening(bomb()) as port, listening(token) as token_port:
        base = f"http://127.0.0.1:{port}/fhir"
        auth = smart(base, Guard(*LOOPBACK), f"http://127.0.0.1:{token_port}/token")
        tracemalloc.start()
        try:
            async with (
                asyncio.timeout(20),
                guarded(Guard(*LOOPBACK)) as client,
                client.stream("GET", f"{base}/Patient/1", auth=auth) as answer,
            ):
                status, (_, most) = answer.status_code, tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert status == 401
    assert most < 20_000_000


async def test_the_operator_may_name_a_private_address_the_api_may_not_and_secrets_are_renewed(tmp_path: Path) -> None:
    told: list[str] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        told.extend(line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("authorization"))
        await answering("200 OK", OUTCOME)(reader, writer)
        writer.close()

    server = await asyncio.start_server(noting, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    file, secret = tmp_path / "targets.toml", tmp_path / "word"
    auth = 'auth = {kind = "basic", username = "us", secret = "word"}'
    file.write_text(FILE.format(url=url, more=auth))
    secret.write_text("old\n")
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db",
        sync_targets=file,
        secrets=tmp_path,
        worker="separate",
        HOST="0.0.0.0",
        trusted_network=True,
        log_level="error",
    )

    service = make_service(settings, works=True)
    async with server, service.database:
        await service.database.migrate()
        await service.registry.prepare(is_whole=True)
        await service.registry.create(Target(name="two", base_url=url), backfill=False)
        one, two = await service.registry.current()
        async with service.clients.open(one) as opened:
            replies = [await opened.client.ask("GET", "Patient/1", "read")]
            secret.write_text("new\n")
            replies.append(await opened.client.ask("GET", "Patient/1", "read"))
            secret.unlink()
            without = await opened.client.ask("GET", "Patient/1", "read")
        async with service.clients.open(two) as opened:
            refused = await opened.client.ask("GET", "Patient/1", "read")

    assert [reply.meaning for reply in replies] == [Meaning.DONE, Meaning.DONE]
    assert told == [f"Basic {base64.b64encode(word).decode()}" for word in (b"us:old", b"us:new")]
    assert "There is no secret word" in without.reason
    assert "no public address" in refused.reason
