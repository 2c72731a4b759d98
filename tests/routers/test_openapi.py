"""The OpenAPI document: what it shows works when it is tried."""

import re
from collections.abc import Iterator
from typing import Any

import httpx

from app.main import create_app
from app.settings import Settings


def examples() -> list[tuple[str, str, Any]]:
    """(method, path, body) of every operation that shows an example body and needs no id."""
    document = create_app(Settings()).openapi()
    return [
        (method, path, shown)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for shown in shown_in(content)
        if "_id}" not in path
    ]


def shown_in(content: dict[str, Any]) -> list[Any]:
    named = [one["value"] for one in content.get("examples", {}).values()]
    return [*named, content["example"]] if "example" in content else named


async def test_every_documented_example_succeeds(client: httpx.AsyncClient) -> None:
    shown = examples()

    assert len(shown) >= 6
    for method, path, body in shown:
        address = path.replace("{resource_type}", body.get("resourceType", "")).replace("{name}", body.get("name", ""))
        answer = await client.request(method, address, json=body)
        assert answer.status_code in (200, 201), (method, path, answer.text)


async def test_every_operation_has_a_summary_and_a_tag(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)


async def test_what_a_record_is_answered_with_is_documented(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    for path in (path for path in document["paths"] if path.startswith("/pain/") and "_id}" in path):
        record, one = document["paths"][path.removesuffix("/{record_id}")], document["paths"][path]
        assert set(record["post"]["responses"]) == {"200", "201", "422"}, path
        assert [next(iter(one[method]["responses"])) for method in ("get", "put", "delete")] == ["200", "200", "204"]
    assert len(str(document)) < 2_000_000


def test_every_place_of_an_address_is_a_parameter_and_every_reference_leads_somewhere() -> None:
    document = create_app(Settings()).openapi()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert told == set(re.findall(r"{(\w+)}", path)), (method, path)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def references(part: Any) -> Iterator[str]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name == "$ref" and isinstance(value, str):
            yield value
        yield from references(value)
