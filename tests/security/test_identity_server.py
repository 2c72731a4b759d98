"""Tokens of an identity server that runs in a process of its own."""

import asyncio
import time
from pathlib import Path

import pytest

from app.security import remote
from app.settings import Settings, WrongSettings
from tests.builders import bundle, entry, observation, patient
from tests.conftest import BASE, serving
from tests.security.identity import identity
from tests.security.sides import clients_file, form


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_its_tokens_are_believed_beside_our_own(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "AGAIN_SECONDS", 0.5)
    clients = clients_file(tmp_path, {"ehr": "system/*.cruds"})
    people = [entry(patient(id=each), method="PUT", url=f"Patient/{each}") for each in "12"]
    told = [
        entry(observation(f"Patient/{each}", id=f"o{each}"), method="PUT", url=f"Observation/o{each}") for each in "12"
    ]
    with identity() as server:
        settings = Settings(
            database_url=database_url,
            auth="smart",
            public_url=BASE,
            clients=clients,
            issuers=server.issuer,
            audience="pain",
            keys=tmp_path / "keys",
            log_level="error",
        )
        async with serving(settings) as client:
            answer = await client.post("/auth/token", data=form("ehr", "system/*.cruds"))
            own = bearer(answer.json()["access_token"])
            assert (await client.post("/fhir", json=bundle(*people, *told), headers=own)).status_code == 200
            whole = server.token(aud="pain", scope="openid user/*.rs")
            launched = server.token(aud="pain", scope="patient/*.rs", patient="1")

            async def status(token: str, path: str = "/fhir/Patient/1") -> int:
                return (await client.get(path, headers=bearer(token))).status_code

            assert await status(whole) == await status(launched) == 200
            assert (await client.get("/fhir/Patient/2", headers=bearer(launched))).status_code == 404
            found = (await client.get("/fhir/Observation", headers=bearer(launched))).json()
            assert [each["resource"]["id"] for each in found["entry"]] == ["o1"]
            assert await status(server.token(aud="web", scope="user/*.rs")) == 401
            assert await status(server.token(aud="pain", scope="user/*.rs", exp=int(time.time()) - 60)) == 401
            assert await status(server.token(aud="pain", scope="openid")) == 403

            server.rotate("second")
            await asyncio.sleep(0.6)
            assert await status(server.token(aud="pain", scope="user/*.rs")) == 200


async def test_clients_are_sent_to_it_where_we_give_no_tokens(database_url: str, tmp_path: Path) -> None:
    with identity() as server:
        settings = Settings(
            database_url=database_url, auth="smart", public_url=BASE, issuers=server.issuer, log_level="error"
        )
        async with serving(settings) as client:
            told = (await client.get("/fhir/.well-known/smart-configuration")).json()
            security = (await client.get("/fhir/metadata")).json()["rest"][0]["security"]
            no_token = await client.post("/auth/token", data={"grant_type": "client_credentials"})

    assert told["token_endpoint"] == f"{server.issuer}/token"
    assert told["capabilities"] == [
        "client-confidential-asymmetric",
        "client-confidential-symmetric",
        "permission-v1",
        "permission-v2",
    ]
    assert told["code_challenge_methods_supported"] == ["S256"]
    addresses = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    assert addresses == {"token": f"{server.issuer}/token", "authorize": f"{server.issuer}/auth"}
    assert no_token.status_code == 404


async def test_while_it_is_away_the_rest_is_served_and_tokens_are_not_called_wrong(
    database_url: str, tmp_path: Path
) -> None:
    with identity() as server:
        token = server.token(aud=f"{BASE}/fhir", scope="user/*.rs")
    settings = Settings(
        database_url=database_url, auth="smart", public_url=BASE, issuers=server.issuer, log_level="error"
    )
    async with serving(settings) as client:
        answers = {
            path: await client.get(path, headers=bearer(token))
            for path in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/fhir/Patient")
        }

    assert [each.status_code for each in answers.values()] == [200, 503, 503]
    assert answers["/fhir/Patient"].headers["retry-after"]
    assert token not in answers["/fhir/Patient"].text


@pytest.mark.parametrize(
    ("issuers", "told"),
    [
        ("", "DERMATOME_CLIENTS"),
        ("id.example.org", "no address"),
        ("http://id.example.org", "not behind TLS"),
        ("https://me:pw@id.example.org", "no address"),
        (BASE, "this service itself"),
    ],
)
def test_wrong_issuers_are_refused_at_the_start(issuers: str, told: str) -> None:
    with pytest.raises(WrongSettings) as wrong:
        serving(Settings(auth="smart", public_url=BASE, issuers=issuers))

    assert told in str(wrong.value)
