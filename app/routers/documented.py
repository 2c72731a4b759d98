"""What the OpenAPI document says of a body that is read without the framework."""

import re
from collections.abc import Mapping
from typing import Any

from app import profiles

_FHIR = "application/fhir+json"
# `responses` of the clinic API besides the one that is hoped for.
SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "With dry_run: the Bundle that would be stored.",
        "content": {_FHIR: {"schema": {"$ref": "#/components/schemas/Bundle"}}},
    }
}


def body(example: str, media_type: str = _FHIR) -> dict[str, Any]:
    """`openapi_extra` of an operation that takes a JSON body; example: a file of profiles/examples/requests."""
    shown = profiles.json_files("examples/requests")[example]
    content = {media_type: {"schema": {"type": "object"}, "example": shown}}
    return {"requestBody": {"required": True, "content": content}}


def bodies(*media_types: str) -> dict[str, Any]:
    """`openapi_extra` of an operation that takes a body of one of these types and shows no example."""
    return {"requestBody": {"required": True, "content": {each: {"schema": {}} for each in media_types}}}


def parameters(**described: str) -> dict[str, Any]:
    """`openapi_extra` of an operation with optional query parameters, each with its description."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in described.items()
        ]
    }


def in_path(path: str) -> list[dict[str, Any]]:
    """The parameters of an address, for an endpoint that reads them without the framework."""
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its definitions where they are referred to: within a document `#/$defs/` leads nowhere.

    The definitions may not refer to themselves.
    """
    shared = schema.get("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(one) for one in part]
        if not isinstance(part, dict):
            return part
        if isinstance(part.get("$ref"), str):
            return resolved({**shared[part["$ref"].removeprefix("#/$defs/")], **_without(part, "$ref")})
        # A discriminator maps to definitions by name, and says no more than the constants of the alternatives do.
        return {name: resolved(one) for name, one in _without(part, "$defs", "discriminator").items()}

    made: dict[str, Any] = resolved(dict(schema))
    return made


def _without(part: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: one for name, one in part.items() if name not in names}
