"""The OpenAPI document: what it shows works when it is tried."""

from typing import Any

import httpx

from app.main import create_app
from app.settings import Settings


def examples() -> list[tuple[str, str, Any]]:
    """(method, path, body) of every operation that shows an example body and needs no id."""
    document = create_app(Settings()).openapi()
    return [
        (method, path, content["example"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "_id}" not in path and "example" in content
    ]


async def test_every_documented_example_succeeds(client: httpx.AsyncClient) -> None:
    shown = examples()

    assert len(shown) >= 6
    for method, path, body in shown:
        address = path.replace("{resource_type}", body.get("resourceType", ""))
        answer = await client.request(method, address, json=body)
        assert answer.status_code in (200, 201), (method, path, answer.text)


async def test_every_operation_has_a_summary_and_a_tag(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)
