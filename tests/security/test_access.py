"""The whole service with authentication switched on: what each door asks, and what a token opens."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from app import profiles
from app.routers.openapi.answers import errors
from tests.builders import bundle, entry, patient
from tests.conftest import BASE, DATABASES, fresh
from tests.security.sides import TOKEN_URL, Protected, form, protected
from tests.security.signers import claims, key, signed
from tools.openapi_examples import ask

SCOPES = {
    "ehr": "system/*.cruds",
    "other": "system/*.cruds",
    "reader": "system/Observation.rs system/Patient.r",
    "admin": "system/*.rs dermatome/admin",
    "prometheus": "dermatome/metrics",
}
# What a stranger may read, or is asked for another secret than a token: (method, path) -> what comes.
OPEN = {
    ("GET", "/health/live"): 200,
    ("GET", "/health/ready"): 200,
    ("GET", "/fhir/metadata"): 200,
    ("GET", "/fhir/.well-known/smart-configuration"): 200,
    ("GET", "/.well-known/smart-configuration"): 200,
    ("GET", "/.well-known/jwks.json"): 200,
    ("POST", "/auth/token"): 400,
    ("GET", "/cds-services"): 200,
    ("GET", "/guide"): 200,
    ("GET", "/guide/package.tgz"): 200,
    ("GET", "/guide/{name}"): 404,
    # Nothing of a patient is in it: it asks with a token, like any client.
    ("GET", "/console"): 200,
    ("GET", "/console/body-map.json"): 200,
    ("GET", "/console/{name}"): 404,
    ("POST", "/sync/notifications/{name}"): 403,
    ("POST", "/sync/notifications/{name}/{resource_type}"): 403,
    ("POST", "/sync/notifications/{name}/{resource_type}/{resource_id}"): 403,
    ("PUT", "/sync/notifications/{name}/{resource_type}/{resource_id}"): 403,
}
_EXAMPLES = {"resource_type": "Patient", "compartment": "Patient", "resource_id": "1", "version": "1", "name": "x"}


@pytest.fixture(scope="module", params=DATABASES)
def own_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from fresh(request, tmp_path_factory.mktemp("access"), request.param)


@pytest.fixture(scope="module")
async def service(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Protected]:
    """One for the module: what a test leaves behind does not matter to the others."""
    folder = tmp_path_factory.mktemp("protected")
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "metrics-token").write_text("scrape-me\n")
    async with protected(own_url, folder, SCOPES, secrets=secrets) as found:
        yield found


def every_route(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of everything that the application serves."""

    def below(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "original_router"):
                yield from below(route.original_router.routes)
            else:
                yield from ((method, route.path) for method in sorted(route.methods or ()))

    return below(app.routes)


def filled(path: str) -> str:
    """An address of a route."""
    for part in [each for each in path.replace("/", " ").replace("$", " ").split() if "{" in each]:
        name = part[part.index("{") + 1 : part.index("}")].partition(":")[0]
        path = path.replace("{" + part[part.index("{") + 1 : part.index("}")] + "}", _EXAMPLES.get(name, "1"))
    return path


async def test_every_address_asks_for_a_token_but_a_few_that_are_named(service: Protected) -> None:
    routes = sorted(set(every_route(service.app)))
    wrong = {}
    for method, path in routes:
        answer = await service.http.request(method, filled(path))
        expected = OPEN.get(("GET" if method == "HEAD" else method, path), 401)
        if answer.status_code != expected:
            wrong[method, path] = answer.status_code
        elif expected == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert method == "HEAD" or answer.json()["issue"][0]["code"] == "login"

    assert len(routes) > 150
    assert wrong == {}
    assert OPEN.keys() <= set(routes)


@pytest.mark.parametrize("path", ["/nowhere", "/fhir/Nope", "/fhir/../sync/status", "//sync/status", "/sync/status/"])
async def test_what_is_not_there_asks_for_a_token_too(service: Protected, path: str) -> None:
    assert (await service.http.get(f"{BASE}{path}")).status_code == 401


async def test_a_batch_a_token_in_the_address_or_another_scheme_opens_nothing(service: Protected) -> None:
    token = (await service.headers("ehr"))["Authorization"].partition(" ")[2]
    given: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Basic {token}"}},
        {"headers": {"Authorization": token}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]},
        {"params": {"access_token": token}},
        {"headers": {"Authorization": f"Bearer {signed(key('thief'), claims(iss=BASE))}"}},
    ]

    answers = [await service.http.get("/fhir/Patient", **each) for each in given]

    assert [each.status_code for each in answers] == [401] * len(given)
    assert [('error="invalid_token"' in each.headers["www-authenticate"]) for each in answers] == [
        True,
        True,
        True,
        True,
        False,
        True,
    ]


async def test_each_scope_opens_its_door_and_no_other(service: Protected) -> None:
    doors = {
        "/fhir/Patient": {"ehr", "other", "admin"},
        "/sync/status": {"admin"},
        "/fhir/$reindex-status": {"admin"},
        "/metrics": {"admin", "prometheus"},
        "/openapi.json": set(SCOPES),
    }

    found = {}
    for path in doors:
        answers = {name: await service.http.get(path, headers=await service.headers(name)) for name in SCOPES}
        found[path] = {name for name, answer in answers.items() if answer.status_code == 200}
        assert {answer.status_code for answer in answers.values()} <= {200, 403}, path

    assert found == doors
    told = (await service.http.get("/sync/status", headers=await service.headers("ehr"))).headers["www-authenticate"]
    assert 'error="insufficient_scope", scope="dermatome/admin"' in told


async def test_who_scrapes_has_a_secret_that_opens_the_metrics_only(service: Protected) -> None:
    headers = {"Authorization": "Bearer scrape-me"}

    found = [(await service.http.get(path, headers=headers)).status_code for path in ("/metrics", "/fhir/Patient")]

    assert found == [200, 401]
    wrong = await service.http.get("/metrics", headers={"Authorization": "Bearer scrape-mf"})
    assert wrong.status_code == 401


async def test_an_assertion_counts_once_even_at_the_same_time(service: Protected) -> None:
    sent = form("reader", SCOPES["reader"])

    answers = await asyncio.gather(*(service.http.post("/auth/token", data=sent) for _ in range(8)))

    assert sorted(each.status_code for each in answers) == [200, *[401] * 7]
    (given,) = (each for each in answers if each.status_code == 200)
    assert given.headers["cache-control"] == "no-store"
    assert given.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    refused = next(each for each in answers if each.status_code == 401)
    assert refused.json()["error"] == "invalid_client"
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"json": {"grant_type": "client_credentials"}}, 400, "invalid_request"),
        ({"data": {"grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"content": b"a=" + b"x" * 70_000}, 400, "invalid_request"),
    ],
)
async def test_the_token_endpoint_answers_errors_as_oauth_does(
    service: Protected, sent: dict[str, Any], status: int, code: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if "content" in sent else {}

    answer = await service.http.post("/auth/token", headers=headers, **sent)

    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_what_clients_are_told_agrees(service: Protected) -> None:
    told = (await service.http.get("/fhir/.well-known/smart-configuration")).json()
    statement = (await service.http.get("/fhir/metadata")).json()
    headers = await service.headers("reader")
    document = (await service.http.get("/openapi.json", headers=headers)).json()

    assert told == (await service.http.get("/.well-known/smart-configuration")).json()
    assert told["token_endpoint"] == TOKEN_URL
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(told["token_endpoint_auth_signing_alg_values_supported"])
    assert told["grant_types_supported"] == ["client_credentials"]
    assert {"permission-v1", "permission-v2", "client-confidential-asymmetric"} == set(told["capabilities"])
    security = statement["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert security["extension"][0]["extension"] == [{"url": "token", "valueUri": TOKEN_URL}]
    schemes = document["components"]["securitySchemes"]
    assert schemes["smart"]["flows"]["clientCredentials"]["tokenUrl"] == TOKEN_URL
    assert schemes["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/fhir/metadata"]["get"]["security"] == []
    assert document["paths"]["/sync/status"]["get"]["security"] == [{each: ["dermatome/admin"]} for each in schemes]
    assert "/auth/token" in document["paths"]
    for name in ("Unauthorized", "Forbidden"):
        shown = document["components"]["responses"][name]["content"]["application/fhir+json"]["examples"]["example"]
        asked = errors()[name]
        answer = await ask(service.http, asked, **(headers if asked.get("signed") else {}))
        assert answer.json() == shown["value"]
    assert "security" not in document["paths"]["/fhir/$export"]["get"] or document["security"]
    keys = (await service.http.get(told["jwks_uri"])).json()["keys"]
    assert [set(each) & {"d", "p", "q"} for each in keys] == [set()]


async def test_an_export_is_of_whoever_asked_for_it(service: Protected) -> None:
    own, other, admin = [await service.headers(name) for name in ("ehr", "other", "admin")]
    reader = await service.headers("reader")
    await service.http.post("/fhir", json=bundle(entry(patient(id="1"), method="PUT", url="Patient/1")), headers=own)
    kicked = await service.http.get("/fhir/$export", headers={**own, "Prefer": "respond-async"})
    place = kicked.headers["content-location"]

    manifest = await _finished(service, place, own)
    (file,) = [each["url"] for each in manifest["output"] if each["type"] == "Patient"]
    statuses = {
        (name, url): (await service.http.get(url, headers=headers)).status_code
        for name, headers in (("own", own), ("other", other), ("admin", admin), ("reader", reader), ("nobody", {}))
        for url in (place, file)
    }
    not_given_up = await service.http.delete(place, headers=other)
    narrower = await service.http.get(file, headers=await service.headers("ehr", "system/Observation.rs"))

    assert manifest["requiresAccessToken"] is True
    assert {name for (name, _), status in statuses.items() if status == 200} == {"own", "admin"}
    assert [statuses["nobody", url] for url in (place, file)] == [401, 401]
    assert {statuses[name, url] for name in ("other", "reader") for url in (place, file)} == {404}
    assert not_given_up.status_code == 404
    assert narrower.status_code == 403
    assert (await service.http.delete(place, headers=own)).status_code == 202


async def _finished(service: Protected, place: str, headers: dict[str, str]) -> dict[str, Any]:
    for _ in range(200):
        answer = await service.http.get(place, headers=headers)
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code == 202
        await asyncio.sleep(0.05)
    raise AssertionError("the export does not end")


async def test_a_client_of_cds_hooks_may_sign_each_call_itself(service: Protected) -> None:
    path = "/cds-services/dermatome-patient-view"
    now = int(time.time())
    right = {"iss": "reader", "aud": f"{BASE}{path}", "iat": now, "exp": now + 60}
    given = {
        "right": right,
        "another service": {**right, "aud": f"{BASE}/cds-services/dermatome-order-sign"},
        "a token url": {**right, "aud": TOKEN_URL},
        "expired": {**right, "exp": now - 60},
        "too long": {**right, "exp": now + 3_600},
        "unknown": {**right, "iss": "nobody"},
    }
    sent = profiles.json_files("examples/requests")["cds-patient-view"]

    found = {}
    for name, told in given.items():
        token = signed(key("reader", "ES384"), {**told, "jti": f"cds {name}"}, "ES384")
        found[name] = (
            await service.http.post(path, json=sent, headers={"Authorization": f"Bearer {token}"})
        ).status_code
        if name == "right":
            again = await service.http.post(path, json=sent, headers={"Authorization": f"Bearer {token}"})
            elsewhere = await service.http.get("/fhir/Observation", headers={"Authorization": f"Bearer {token}"})

    assert found == {name: 200 if name == "right" else 401 for name in given}
    assert (again.status_code, elsewhere.status_code) == (401, 401)
    assert "jti" in again.text


async def test_the_entries_of_a_batch_are_of_whoever_sends_it(service: Protected) -> None:
    asked = ["$reindex-status", "Patient?_count=1", "metadata"]
    sent = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": x}} for x in asked],
    }

    found = {}
    for name in ("ehr", "admin"):
        answer = (await service.http.post("/fhir", json=sent, headers=await service.headers(name))).json()
        found[name] = [each["response"]["status"][:3] for each in answer["entry"]]

    assert found == {"ehr": ["403", "200", "200"], "admin": ["200", "200", "200"]}
