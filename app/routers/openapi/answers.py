"""The errors of the OpenAPI document: one response each, shared, with an example that is really answered."""

from typing import Any

from app import profiles
from app.routers.openapi.rows import FHIR, Json, Row
from app.routers.openapi.schemas import reference


def errors() -> dict[str, Any]:
    """By name, as errors.toml tells them."""
    told: dict[str, Any] = profiles.toml_files("openapi")["errors"]["error"]
    return told


def error_responses() -> Json:
    """The responses of the document's components."""
    return {name: _response(name, told) for name, told in errors().items()}


def errors_of(row: Row, operation: Json, *, asks_token: bool) -> Json:
    """The responses of one operation: those that follow from its address, parameters and body, and those it names."""
    if row.plain:
        return {}
    named = {one.get("in") for one in operation["parameters"]}
    found = {
        "body": "requestBody" in operation,
        "query": "query" in named,
        "place": "path" in named,
        "token": asks_token,
    }
    wanted = [
        (told["status"], name)
        for name, told in errors().items()
        if name not in row.without and (name in row.errors or any(found[each] for each in told.get("when", ())))
    ]
    return {str(status): {"$ref": f"#/components/responses/{name}"} for status, name in sorted(wanted)}


def _response(name: str, told: Json) -> Json:
    outcome = profiles.shared_json("openapi")["errors"][name]
    example = {"summary": told["request"]["at"], "value": outcome}
    content = {FHIR: {"schema": reference("OperationOutcome"), "examples": {"example": example}}}
    return {"description": told["description"], "content": content}
