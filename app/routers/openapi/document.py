"""Puts the OpenAPI document together, when it is first asked for: what the routes declare, told by the rows."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from app import profiles
from app.fhir.json import dumps
from app.pain.content import Content
from app.routers.assessment_schemas import assessment_body, assessment_schemas
from app.routers.openapi.answers import error_responses, errors_of
from app.routers.openapi.clinic import clinic_schemas
from app.routers.openapi.rows import FHIR, FORM, Json, Row, rows, tags, unshown
from app.routers.openapi.schemas import fhir_schemas, reference
from app.routers.secured import secure
from app.security.authority import Authority

_JSON = "application/json"
_ASSESSMENT = "/pain/assessments"


def tell(app: FastAPI, content: Content, authority: Authority | None, public_url: str = "") -> None:
    """Let the application tell its OpenAPI document as this module makes it, once."""
    declared = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            made = document(declared(), content, authority)
            if public_url:
                made["servers"] = [{"url": public_url}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it


def document(declared: Json, content: Content, authority: Authority | None) -> Json:
    """The document. declared: what FastAPI makes of the routes; it is not changed."""
    told = profiles.toml_files("openapi")["document"]
    shown = [row for row in rows() if authority is not None or row.tag != "Access"]
    paths = _paths(declared, shown, content)
    access = told["off"] if authority is None else told["smart"]
    made = {
        "openapi": declared["openapi"],
        "info": declared["info"] | {"description": told["description"] + "\n" + access, "license": told["licence"]},
        "externalDocs": {"description": "The implementation guide", "url": "guide"},
        "tags": [_tag(each) for each in tags() if any(row.tag == each["name"] for row in shown)],
        "paths": paths,
        "components": {
            "schemas": _schemas(content),
            "parameters": _header_parameters(),
            "responses": error_responses(),
        },
    }
    secure(made, authority)
    for row in shown:
        operation = paths[row.path][row.method]
        operation["responses"] |= errors_of(row, operation, asks_token=bool(operation.get("security")))
    # Content is read with exact decimals, which JSON here has no need of.
    plain: Json = json.loads(dumps(made))
    return plain


def undescribed(declared: Json) -> set[str]:
    """What the routes declare and no row tells, as Row.at."""
    every = {f"{method.upper()} {path}" for path, methods in declared["paths"].items() for method in methods}
    return every - {row.at for row in rows()} - unshown()


def _tag(told: Mapping[str, str]) -> Json:
    return {"name": told["name"], "description": told["description"], "externalDocs": {"url": told["guide"]}}


def _paths(declared: Json, shown: list[Row], content: Content) -> Json:
    made: Json = {}
    for row in shown:
        made.setdefault(row.path, {})[row.method] = _operation(row, declared["paths"][row.path][row.method], content)
    return made


def _operation(row: Row, declared: Json, content: Content) -> Json:
    description = row.description
    if row.needs:
        description += f" Needs {row.needs}; without it the answer is {row.fresh}."
    links = {"externalDocs": {"url": row.guide}} if row.guide else {}
    body = _body(row, declared.get("requestBody"), content)
    return {
        "tags": [row.tag],
        "summary": declared["summary"],
        "description": description,
        **links,
        "operationId": row.id,
        "parameters": _parameters(row, declared.get("parameters", ())),
        **({"requestBody": body} if body else {}),
        "responses": _answers(row, declared["responses"]),
    }


def _parameters(row: Row, declared: Any) -> list[Json]:
    """Those of the route and of the row, with the values of the example, and the headers."""
    places = profiles.toml_files("openapi")["document"]["places"]
    known = {one["name"] for one in declared}
    more = [
        {"name": name, "in": "query", "required": False, "description": told, "schema": {"type": "string"}}
        for name, told in row.about.items()
        if name not in known
    ]
    made = []
    for one in [*declared, *more]:
        one = one if "description" in one else one | {"description": places[one["name"]]}
        made.append(one | ({"example": row.values[one["name"]]} if one["name"] in row.values else {}))
    return made + [{"$ref": f"#/components/parameters/{name}"} for name in row.headers]


def _body(row: Row, declared: Json | None, content: Content) -> Json | None:
    if row.path.startswith(_ASSESSMENT) and row.method in ("post", "put"):
        told = assessment_body(content)
        if row.bodies:
            told["content"][_JSON] |= {"examples": _examples(row)}
        return told
    if not declared and not row.sends:
        return None
    types = (declared or {"content": {row.type or _default_media(row): {}}})["content"]
    shown = row.type or next(iter(types))
    made = {media: _sent(row, media, one, is_shown=media == shown) for media, one in types.items()}
    return {"required": bool(row.bodies) or bool((declared or {}).get("required")), "content": made}


def _sent(row: Row, media: str, declared: Json, *, is_shown: bool) -> Json:
    if media == FORM:
        return {"schema": _form(row.bodies["example"]) if row.bodies else declared["schema"]}
    by_media = profiles.toml_files("openapi")["document"]["bodies"]
    name = row.sends if row.sends and media != "application/fhir+xml" else by_media.get(media, "Any")
    schema = declared.get("schema") or {}
    made: Json = {"schema": schema if schema.get("properties") else reference(name)}
    if is_shown and row.bodies:
        return made | {"examples": _examples(row)}
    return made | {name: declared[name] for name in ("example", "examples") if is_shown and name in declared}


def _examples(row: Row) -> Json:
    return {name: {"value": value} for name, value in row.bodies.items()}


def _form(fields: Mapping[str, str]) -> Json:
    told = {name: {"type": "string", "example": value} for name, value in fields.items()}
    return {"type": "object", "properties": told, "additionalProperties": {"type": "string"}}


def _default_media(row: Row) -> str:
    return FHIR if row.path.startswith("/fhir") else _JSON


def _answers(row: Row, declared: Json) -> Json:
    """The answers that are hoped for."""
    hoped = {int(status): told for status, told in declared.items() if int(status) < 400}
    media = row.media or _default_media(row)
    made: Json = {}
    for status in row.statuses or hoped:
        told = hoped.get(status, {})
        made[str(status)] = {"description": _described(told, status)}
        # A route declares what it may answer besides, such as a dry run, itself.
        is_told = not row.statuses and status != next(iter(hoped))
        if row.answer is None or is_told:
            made[str(status)]["content"] = told["content"]
        elif row.answer and status != HTTPStatus.NO_CONTENT:
            made[str(status)]["content"] = {media: {"schema": reference(row.answer)}}
    return made


def _described(told: Json, status: int) -> str:
    said = str(told.get("description", ""))
    return HTTPStatus(status).phrase if said in ("", "Successful Response") else said


def _schemas(content: Content) -> Json:
    made: Json = fhir_schemas(content) | profiles.json_files("openapi")["schemas"]
    return dict(sorted((made | clinic_schemas(content) | assessment_schemas(content)).items()))


def _header_parameters() -> Json:
    told = profiles.toml_files("openapi")["headers"]["header"]
    return {
        key: {"name": key, "in": "header", "required": False, "schema": {"type": "string"}} | one
        for key, one in told.items()
    }
