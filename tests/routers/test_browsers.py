"""What pages in browsers may do with this service, and under which names it is called."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings, WrongSettings, load_settings
from tests.answers import issues
from tests.builders import patient
from tests.conftest import serving

APP, OTHER = "https://app.example.org", "https://evil.example.net"
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,if-match"}
PAGES = ("/guide", "/docs", "/console")
DOORS = (
    *("/fhir/metadata", "/fhir/Patient/none", "/fhir/Patient", "/health/ready", "/openapi.json"),
    *(*PAGES, "/console/main.js", "/console/body-map.json"),
)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service that allows one origin, behind TLS."""
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db",
        cors_origins=f"{APP}, http://localhost:3000",
        public_url="https://fhir.example.org",
        log_level="error",
    )
    async with serving(settings) as client:
        yield client


@pytest.mark.parametrize(("origin", "allowed"), [(APP, True), (OTHER, False), ("null", False), (f"{APP}.evil", False)])
async def test_pages_of_allowed_origins_may_call_and_no_others(
    opened: httpx.AsyncClient, origin: str, allowed: bool
) -> None:
    asked = await opened.options("/fhir/Patient/1", headers={"Origin": origin, **PREFLIGHT})
    sent = await opened.put("/fhir/Patient/1", json=patient(id="1"), headers={"Origin": origin})

    for answer in (asked, sent):
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert "access-control-allow-credentials" not in answer.headers
    assert asked.status_code == (200 if allowed else 400)
    exposed = sent.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("Location", "ETag", "X-Request-Id", "Retry-After"))


async def test_without_a_setting_no_page_is_told_that_it_may(client: httpx.AsyncClient) -> None:
    answers = [
        await client.options("/fhir/Patient/1", headers={"Origin": APP, **PREFLIGHT}),
        await client.get("/fhir/metadata", headers={"Origin": APP}),
    ]

    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("door", DOORS)
async def test_every_answer_tells_browsers_what_not_to_do(opened: httpx.AsyncClient, door: str) -> None:
    headers = (await opened.get(door)).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"]
    assert headers["cache-control"] == ("no-cache" if door.startswith(PAGES) else "no-store")


async def test_pages_hold_no_script_and_load_nothing_of_others(opened: httpx.AsyncClient) -> None:
    for door in PAGES:
        page = (await opened.get(door)).text
        assert "<html" in page
        assert "<script>" not in page
        assert not [each for each in page.split() if each.startswith(('src="http', "onclick=", "onload="))]


async def test_the_console_serves_its_own_files_and_nothing_else(client: httpx.AsyncClient) -> None:
    page = await client.get("/console")
    named = re.findall(r'(?:src|href)="(console/[^"]+)"', page.text)
    scripts = [(await client.get("/console/main.js")).text]
    for name in re.findall(r'from "./([a-z]+.js)"', scripts[0]):
        scripts.append((await client.get(f"/console/{name}")).text)

    assert page.headers["content-type"].startswith("text/html")
    assert len(named) == 5
    assert {(await client.get(f"/{each}")).status_code for each in named} == {200}
    assert not [one for one in scripts if "innerHTML" in one or "eval(" in one or "localStorage" in one]
    for other in ("nothing.js", "..%2fmain.py", "%2e%2e/main.py", "static", "__init__.py"):
        assert (await client.get(f"/console/{other}")).status_code == 404, other
    slash = await client.get("/console/")
    assert (slash.status_code, slash.headers.get("location")) in ((307, "../console"), (200, None))


async def test_plain_http_is_not_told_to_be_tls(client: httpx.AsyncClient) -> None:
    assert "strict-transport-security" not in (await client.get("/fhir/metadata")).headers


HOSTS: list[tuple[list[str], dict[str, Any], int]] = [
    (["127.0.0.1:8000"], {}, 200),
    (["localhost:8000"], {}, 200),
    (["LOCALHOST"], {}, 200),
    (["[::1]:8000"], {}, 200),
    (["evil.example.net"], {}, 421),
    (["evil.example.net:8000"], {}, 421),
    (["127.0.0.1.evil.example.net"], {}, 421),
    (["localhost.evil.example.net"], {}, 421),
    (["clinic.example.org"], {"hosts": "clinic.example.org"}, 200),
    (["clinic.example.org"], {"public_url": "https://clinic.example.org/pain"}, 200),
    (["127.0.0.1", "evil.example.net"], {}, 400),
    (["a b"], {}, 400),
    (['x"><script>'], {}, 400),
    (["user@127.0.0.1"], {}, 400),
    (["127.0.0.1:8000/evil"], {}, 400),
    (["127.0.0.1\\evil"], {}, 400),
]


@pytest.mark.parametrize(("hosts", "settings", "status"), HOSTS, ids=str)
async def test_a_service_for_this_machine_only_answers_to_its_names_only(
    tmp_path: Path, hosts: list[str], settings: dict[str, Any], status: int
) -> None:
    app = create_app(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db", log_level="error", **settings))
    sent: list[Any] = []
    scope = {
        **{"type": "http", "method": "GET", "path": "/health/live", "query_string": b"", "scheme": "http"},
        "headers": [(b"host", each.encode()) for each in hosts],
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)

    assert sent[0]["status"] == status
    assert hosts[0].encode() not in sent[1]["body"] or status == 200


async def test_a_host_that_is_none_stands_in_no_address(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", json=patient(), headers={"Host": "x/../'\""})

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert issues(answer)


@pytest.mark.parametrize("origins", ["*", "app.example.org", f"{APP}/", f"{APP}/page", "https://*.example.org"])
def test_origins_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("DERMATOME_CORS_ORIGINS", origins)

    with pytest.raises(WrongSettings) as wrong:
        load_settings()

    assert "DERMATOME_CORS_ORIGINS" in str(wrong.value)
