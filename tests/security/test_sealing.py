"""Headers of Subscriptions are credentials: they are stored and shown sealed, and sent as they were given."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.outbound import Secrets
from app.security.sealing import CannotSeal, NotOpened, Sealing, is_sealed
from app.settings import Settings
from app.store.database import Database
from tests.builders import observation
from tests.conftest import serving
from tests.sync.subscriber import Subscriber

ENDPOINT = "https://hook.example.org/a"
SECRET = "very-secret-7"


def test_what_was_sealed_opens_for_its_place_and_with_our_keys_only(tmp_path: Path) -> None:
    ours, other = Sealing(tmp_path / "a", Secrets()), Sealing(tmp_path / "b", Secrets())
    sealed = ours.sealed(SECRET, ENDPOINT)

    assert is_sealed(sealed)
    assert SECRET not in sealed
    assert ours.opened(sealed, ENDPOINT) == SECRET
    assert Sealing(tmp_path / "a", Secrets()).opened(sealed, ENDPOINT) == SECRET
    for by, place, given in (
        (ours, "https://thief.example.org", sealed),
        (other, ENDPOINT, sealed),
        (ours, ENDPOINT, sealed[:-4] + "AAAA"),
        (ours, ENDPOINT, "sealed:nonsense"),
        (ours, ENDPOINT, "sealed:" + "." * 4),
    ):
        with pytest.raises(NotOpened):
            by.opened(given, place)


def test_a_key_given_as_a_secret_seals_and_those_before_it_still_open(tmp_path: Path) -> None:
    first, second = "a" * 40, "b" * 40
    sealed = Sealing(tmp_path, Secrets(given={"sealing-key": first})).sealed(SECRET, ENDPOINT)

    renewed = Sealing(tmp_path, Secrets(given={"sealing-key": f"{second}\n{first}"}))

    assert renewed.opened(sealed, ENDPOINT) == SECRET
    assert not list(tmp_path.iterdir())
    with pytest.raises(CannotSeal):
        Sealing(tmp_path, Secrets(given={"sealing-key": "short"})).sealed(SECRET, ENDPOINT)


async def test_a_header_is_sent_as_given_and_shown_to_nobody(database_url: str, tmp_path: Path) -> None:
    with Subscriber() as hook, Subscriber() as thief:
        settings = Settings(database_url=database_url, keys=tmp_path / "keys", log_level="error")
        async with serving(settings) as client:
            made = await client.post("/fhir/Subscription", json=_asked(hook.endpoint))
            name = f"/fhir/Subscription/{made.json()['id']}"
            shown = (await client.get(name)).json()
            back = await client.put(name, json={**shown, "status": "requested", "reason": "changed"})
            stolen = [
                await client.post("/fhir/Subscription", json=_asked(thief.endpoint, shown["channel"]["header"])),
                await client.patch(
                    name,
                    content=f'[{{"op": "replace", "path": "/channel/endpoint", "value": "{thief.endpoint}"}}]',
                    headers={"Content-Type": "application/json-patch+json"},
                ),
            ]
            await client.post("/fhir/Observation", json=observation())
            await hook.until(lambda each: bool(each.taken))
            texts = [made.text] + [
                (await client.get(path)).text for path in (name, f"{name}/_history", "/fhir/Subscription")
            ]

    assert back.status_code == 200
    assert [each.status_code for each in stolen] == [422, 422]
    assert stolen[0].json()["issue"][0]["expression"] == ["Subscription.channel.header[0]"]
    assert {each.headers["authorization"] for each in hook.taken} == {f"Bearer {SECRET}"}
    assert thief.received == []
    assert not any(SECRET in each for each in texts)
    assert await _is_nowhere(database_url)


def _asked(endpoint: str, header: Any = None) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": "Observation?status=final",
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "header": header or [f"Authorization: Bearer {SECRET}"],
        },
    }


async def _is_nowhere(database_url: str) -> bool:
    """Whether no row of the database holds the secret."""
    if database_url.startswith("sqlite"):
        file = Path(database_url.partition("///")[2])
        return not any(SECRET.encode() in each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    async with Database(database_url) as database, database.reading() as connection:
        rows = (await connection.execute(text("SELECT text FROM content"))).scalars().all()
    return bool(rows) and not any(SECRET.encode() in bytes(each or b"") for each in rows)


async def test_without_a_key_nothing_is_stored_in_clear(client: httpx.AsyncClient, monkeypatch: Any) -> None:
    def fails(*_: object) -> str:
        raise CannotSeal("no key")

    monkeypatch.setattr(Sealing, "sealed", fails)

    answer = await client.post("/fhir/Subscription", json=_asked("https://hook.example.org/x"))

    assert answer.status_code == 503
    assert SECRET not in answer.text
