"""The OpenAPI document: what it shows works when it is tried, in the order in which it stands there."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from app import profiles
from app.main import create_app
from app.routers.openapi.answers import errors
from app.routers.openapi.document import undescribed
from app.routers.openapi.rows import FORM, Row, rows, tags
from app.settings import Settings
from tools.openapi_examples import ask, derived

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
# Signing in is not shown while authentication is off: tests/security asks for it.
SHOWN = [row for row in rows() if row.tag != "Access"]


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Of a schema of the document, with all that it refers to."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def requests_of(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[httpx.Request]:
    """What is sent when an operation is tried: once for each example of its body."""
    asked = [one if "$ref" not in one else at(one["$ref"]) for one in operation["parameters"]]
    told = {
        place: {one["name"]: one["example"] for one in asked if one["in"] == place and "example" in one}
        for place in ("path", "query", "header")
    }
    address, content = path, operation.get("requestBody", {}).get("content", {})
    for name, value in told["path"].items():
        address = address.replace(f"{{{name}}}", value)
    shown = [(media, value) for media, one in content.items() for value in examples_of(one)]
    for media, value in shown or [("", None)]:
        more: dict[str, Any] = {"headers": told["header"], "params": told["query"]}
        if media == FORM:
            more["data"] = value
        elif media:
            more["content"] = json.dumps(value)
            more["headers"] = told["header"] | {"Content-Type": media}
        yield httpx.Request(method.upper(), f"http://dermatome.test{address}", **more)


def examples_of(content: Mapping[str, Any]) -> list[Any]:
    fields = content["schema"].get("properties", {})
    if "examples" in content:
        return [one["value"] for one in content["examples"].values()]
    if "example" in content:
        return [content["example"]]
    return (
        [{name: one["example"] for name, one in fields.items()}]
        if any("example" in one for one in fields.values())
        else []
    )


def at(reference: str) -> dict[str, Any]:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


async def test_every_documented_example_is_answered_as_documented(client: httpx.AsyncClient) -> None:
    told = {row.at: row for row in SHOWN}
    failed, sent = [], 0
    for method, path, operation in operations():
        for request in requests_of(method, path, operation):
            answer, sent = await client.send(request), sent + 1
            failed += [
                f"{method} {path}: {each}" for each in wrong(told[f"{method.upper()} {path}"], operation, answer)
            ]

    assert not failed, "\n".join(failed)
    assert sent > len(SHOWN)


def wrong(row: Row, operation: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
    """What an answer has that is not documented."""
    status = str(answer.status_code)
    hoped = {row.fresh} if row.needs else {int(each) for each in operation["responses"] if int(each) < 400}
    if answer.status_code not in hoped:
        yield f"{status} instead of {hoped}: {answer.text[:600]}"
        return
    documented = operation["responses"][status]
    content = (at(documented["$ref"]) if "$ref" in documented else documented).get("content", {})
    if not answer.content:
        return
    media = answer.headers["content-type"].partition(";")[0]
    if media not in content:
        yield f"{media} instead of {list(content)} with {status}"
    elif media.endswith("json"):
        for error in validator(content[media]["schema"]).iter_errors(answer.json()):
            yield f"{status} at {error.json_path}: {error.message[:300]}"


async def test_every_error_is_answered_as_it_is_shown(client: httpx.AsyncClient) -> None:
    shown = {
        name: one["content"]["application/fhir+json"]["examples"]["example"]["value"]
        for name, one in DOCUMENT["components"]["responses"].items()
    }
    start = profiles.json_files("openapi")
    for name in ("start", "record"):
        assert (await client.post("/fhir", json=start[name])).status_code == 200
    assert (await client.delete("/fhir/Patient/example-gone")).status_code == 204

    for name, told in errors().items():
        if told.get("when") != ["token"]:
            assert (await ask(client, told)).json() == shown[name], name


async def test_what_is_derived_from_answers_is_in_step() -> None:
    files = profiles.json_files("openapi")

    made = await derived()

    assert json.loads(json.dumps(made)) == json.loads(json.dumps({name: files[name] for name in made}, default=float))


@pytest.mark.parametrize("status", [404, 415])
async def test_every_operation_that_shows_an_error_answers_it(client: httpx.AsyncClient, status: int) -> None:
    failed = []
    for method, path, operation in operations():
        if str(status) not in operation["responses"]:
            continue
        asked = next(requests_of(method, path, operation))
        content, headers = asked.content.decode() or "x", {"Content-Type": asked.headers.get("content-type", "")}
        address = asked.url
        if status == 415:
            headers = {"Content-Type": "image/png"}
        else:
            # Numbers are another kind of name.
            address = address.copy_with(
                path=path.replace("{number}", "999999999").replace("{", "no-such-").replace("}", "")
            )
            content = content.replace('"registry"', '"no-such-name"')
        answer = await client.request(method.upper(), address, content=content, headers=headers)
        if answer.status_code != status or answer.json()["resourceType"] != "OperationOutcome":
            failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")

    assert not failed, "\n".join(failed)


def test_every_operation_is_told_once_with_all_that_it_needs() -> None:
    application = create_app(Settings())
    declared = type(application).openapi(application)
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert undescribed(declared) == set()
    assert {row.at for row in rows()} <= {
        f"{method.upper()} {path}" for path, all_ in declared["paths"].items() for method in all_
    }
    assert len(ids) == len(set(ids))
    for method, path, operation in operations():
        assert all(operation[name] for name in ("summary", "description", "tags")), (method, path)
        assert all("$ref" in one or one["description"] for one in operation["parameters"]), (method, path)
        assert any(int(status) < 400 for status in operation["responses"]), (method, path)


def test_operations_stand_in_the_order_of_their_tags() -> None:
    order = [each["name"] for each in tags()]
    found = list(dict.fromkeys(operation["tags"][0] for _, _, operation in operations()))

    assert found == [name for name in order if name in found]
    assert [each["name"] for each in DOCUMENT["tags"]] == found
    assert all(each["description"] and each["externalDocs"]["url"] for each in DOCUMENT["tags"])


async def test_links_to_the_guide_lead_somewhere(client: httpx.AsyncClient) -> None:
    links = {url for url in links_of(DOCUMENT) if url.startswith("guide")}

    assert len(links) > 25
    for url in sorted(links):
        assert (await client.get(f"/{url}")).status_code == 200, url


def links_of(part: Any) -> Iterator[str]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name == "externalDocs":
            yield value["url"]
        yield from links_of(value)


async def test_the_document_is_small_and_fhir_is_told_as_fhir(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")

    assert answer.json()["openapi"].startswith("3.1")
    assert len(answer.content) < 2_000_000
    for method, path, operation in operations():
        for status, response in operation["responses"].items():
            types = list((at(response["$ref"]) if "$ref" in response else response).get("content", {}))
            assert not (int(status) >= 400 and types != ["application/fhir+json"]) or path == "/auth/token", (
                method,
                path,
            )


def test_profiles_are_typed_and_their_examples_are_valid_by_their_schemas() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    own = {
        one["url"]: one["name"]
        for one in profiles.json_files("structuredefinitions").values()
        if one["kind"] == "resource"
    }

    checked = set()
    for name, example in profiles.json_files("examples/valid").items():
        for profile in (each for each in example["meta"]["profile"] if each in own):
            problems = validator(schemas[own[profile]]).iter_errors(json.loads(json.dumps(example, default=float)))
            assert [f"{name} {one.json_path}: {one.message[:200]}" for one in problems] == []
            checked.add(own[profile])

    assert checked == set(own.values())
    for name in own.values():
        assert schemas[name]["properties"]["resourceType"]["const"]
        assert {"resourceType"} < set(schemas[name]["required"]) | {"meta"}


def test_a_schema_refuses_what_its_profile_refuses() -> None:
    example = json.loads(json.dumps(profiles.json_files("examples/requests")["pain-intensity"], default=float))
    schema = validator(DOCUMENT["components"]["schemas"]["PainIntensity"])

    assert schema.is_valid(example)
    assert not schema.is_valid(example | {"status": "done"})
    assert not schema.is_valid(example | {"category": []})
    assert not schema.is_valid({name: value for name, value in example.items() if name != "method"})


def test_every_place_of_an_address_is_a_parameter_and_every_reference_leads_somewhere() -> None:
    for method, path, operation in operations():
        told = {one["name"] for one in operation["parameters"] if one.get("in") == "path"}
        assert told == set(re.findall(r"{(\w+)}", path)), (method, path)
    for reference in set(references(DOCUMENT)):
        assert at(reference), reference


def references(part: Any) -> Iterator[str]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name == "$ref" and isinstance(value, str):
            yield value
        yield from references(value)
