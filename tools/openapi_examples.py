"""Derive what the OpenAPI document shows from answers of the running application.

    python -m tools.openapi_examples

app/profiles/openapi/record.json    what the clinic API makes of its own examples. The examples of the document ask for
                                    records by id, which the clinic API gives itself: so they are one transaction of
                                    updates under ids that can be named: QuestionnaireResponse/example, ...
app/profiles/openapi/errors.json    the OperationOutcomes that errors.toml asks for; those that need a token stay as
                                    they are, and tests/security holds them
"""

import asyncio
import json
import re
import tempfile
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx

from app import profiles
from app.fhir.instants import microseconds
from app.main import create_app
from app.mapping.clinic import KINDS
from app.routers.openapi.answers import errors
from app.settings import Settings

FOLDER = profiles.FOLDER / "openapi"
PATIENT = "Patient/example"
_AT = microseconds(datetime(2026, 11, 2, 9, 0, tzinfo=UTC))
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def main() -> None:
    for name, made in asyncio.run(derived()).items():
        (FOLDER / f"{name}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")


async def derived() -> dict[str, Any]:
    """The content of each file, by its name."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite+aiosqlite:///{folder}/derived.db", worker="separate", log_level="error", keys=folder
        )
        app = create_app(settings, now=lambda: _AT)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
                text = json.dumps([_plain(one) for one in await _resources(client)])
                return {"record": _transaction(_renamed(text)), "errors": await _errors(client)}


def _transaction(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(one) for one in resources]}


async def _errors(client: httpx.AsyncClient) -> dict[str, Any]:
    """The outcome of each error, by its name."""
    (await client.delete("/fhir/Patient/example-gone")).raise_for_status()
    held = json.loads((FOLDER / "errors.json").read_text("utf-8"))
    return {
        name: held[name] if told.get("when") == ["token"] else (await ask(client, told)).json()
        for name, told in errors().items()
    }


async def ask(client: httpx.AsyncClient, told: dict[str, Any], **headers: str) -> httpx.Response:
    """What is answered to the request of an error, which has its status."""
    asked = told["request"]
    method, path = asked["at"].split(" ")
    content = json.dumps(asked["body"]) if "body" in asked else None
    sent = {"Content-Type": "application/json"} | asked.get("headers", {}) | headers
    answer = await client.request(method, path, content=content, headers=sent)
    if answer.status_code != told["status"]:
        raise ValueError(f"{asked['at']}: {answer.status_code} instead of {told['status']}: {answer.text}")
    return answer


async def _resources(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Those of every record, the one that the record is known by first."""
    start = profiles.json_files("openapi")["start"]
    (await client.post("/fhir", json=start)).raise_for_status()
    asked = profiles.json_files("examples/requests")
    found = []
    for name in KINDS:
        body = json.dumps(asked[name] | {"patient": PATIENT}, default=float)
        made = (await client.post(f"/pain/{name}", content=body, headers={"Content-Type": "application/json"})).json()
        for reference in made["resources"]:
            found.append((await client.get(f"/fhir/{reference}")).json())
    return found


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    """Without what the server says of it."""
    meta = {name: value for name, value in resource["meta"].items() if name not in ("versionId", "lastUpdated")}
    return resource | {"meta": meta}


def _renamed(text: str) -> list[dict[str, Any]]:
    """The resources with ids of their own: example, example-2 ... for each type."""
    counted, names = Counter[str](), dict[str, str]()
    for one in json.loads(text):
        counted[one["resourceType"]] += 1
        number = counted[one["resourceType"]]
        names[one["id"]] = "example" if number == 1 else f"example-{number}"
    renamed = _UUID.sub(lambda found: names.get(found[0], found[0]), text)
    made: list[dict[str, Any]] = json.loads(renamed)
    return made


def _entry(resource: dict[str, Any]) -> dict[str, Any]:
    reference = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": reference}}


if __name__ == "__main__":
    main()
