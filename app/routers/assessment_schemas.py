"""What the OpenAPI document says of an assessment: one schema and one example for each instrument, from its file."""

from typing import Any

from app.pain.content import Content
from app.pain.instruments.assessments import PERFORMERS
from app.pain.instruments.types import Instrument, Item

Json = dict[str, Any]
_COMPONENTS = "#/components/schemas/"
_PATIENT = {"system": "urn:oid:1.2.3", "value": "MRN-7"}
_TAKEN_AT = "2026-05-01T09:30:00+02:00"
_IDENTIFIER: Json = {
    "type": "object",
    "required": ["system", "value"],
    "properties": {"system": {"type": "string", "format": "uri"}, "value": {"type": "string"}},
    "additionalProperties": False,
}
_CONCEPT: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("system", "code", "display", "version", "text")},
    "additionalProperties": False,
}


def assessment_schemas(content: Content) -> Json:
    """The schema of each instrument's assessment, by its name among the components."""
    return {_name(one): _assessment(one, content) for one in content.instruments.values()}


def assessment_body(content: Content) -> Json:
    """The request body: any of the schemas, told apart by `instrument`, with a worked example of each."""
    instruments = content.instruments.values()
    addresses = {one.id: _COMPONENTS + _name(one) for one in instruments}
    schema = {
        "oneOf": [{"$ref": address} for address in addresses.values()],
        "discriminator": {"propertyName": "instrument", "mapping": addresses},
    }
    examples = {one.id: {"summary": one.title, "value": _example(one)} for one in instruments}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _name(one: Instrument) -> str:
    return f"Assessment-{one.id}"


def _assessment(one: Instrument, content: Content) -> Json:
    required: Json = {
        "patient": {"oneOf": [_reference("Patient"), _IDENTIFIER]},
        "instrument": {"type": "string", "const": one.id},
        "taken_at": {"type": "string", "format": "date-time", "description": "When the patient answered."},
        "answers": _answers(one),
    }
    optional: Json = {
        "body_site": {"oneOf": [{"type": "string", "description": "A SNOMED CT code."}, _CONCEPT]},
        "laterality": {"type": "string", "enum": sorted(content.sides)},
        "performer": _reference(*PERFORMERS),
        "encounter": _reference("Encounter"),
    }
    return {
        "type": "object",
        "title": one.title,
        "description": f"{one.citation} {one.allows}",
        "required": list(required),
        "properties": required | {name: _or_null(schema) for name, schema in optional.items()},
        "additionalProperties": False,
        "examples": [_example(one)],
    }


def _answers(one: Instrument) -> Json:
    return {
        "type": "object",
        "description": f'Recall period: {one.recall}. An item left out, or null, never counts as "no".',
        "properties": {item.key: _or_null(_answer(item)) for item in one.items},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _answer(item: Item) -> Json:
    told = item.label if item.by == "patient" else f"{item.label} (answered by the {item.by})"
    if item.kind == "choice":
        options = [{"const": option.key, "title": option.label} for option in item.options]
        return {"type": "string", "description": told, "oneOf": options}
    if item.kind == "integer":
        return {"type": "integer", "description": told, "minimum": item.low, "maximum": item.high}
    return {"type": "boolean", "description": told}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _reference(*types: str) -> Json:
    return {"type": "string", "pattern": f"^({'|'.join(types)})/[A-Za-z0-9\\-.]{{1,64}}$"}


def _example(one: Instrument) -> Json:
    answers = one.examples[0]["answers"]
    return {"patient": _PATIENT, "instrument": one.id, "taken_at": _TAKEN_AT, "answers": answers}
