"""What the OpenAPI document says of the answer about a cohort: its schema, with an example."""

from typing import Any

from app import profiles

Json = dict[str, Any]
_TEXT, _COUNT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _or_null(schema: Json, description: str) -> Json:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


_INTERVAL = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_LEVEL = _or_null(
    _object(responders=_COUNT, percent=_NUMBER, interval=_INTERVAL), "null where nobody has a relief to count."
)
_MEDIAN = _object(median=_NUMBER, interval=_or_null(_INTERVAL, "null below six values."))
_COUNTS = ("courses", "with_relief", "baseline_missing", "follow_up_missing", "both_missing", "baseline_zero")
_GROUP = _object(
    **{"class": _TEXT, "diagnosis": _TEXT, "diagnosis_label": _TEXT},
    suppressed={"type": "boolean", "description": "Whether nothing of the group is told, for it is too small."},
    **dict.fromkeys((*_COUNTS, "baseline_low"), _COUNT),
    responder_30=_LEVEL,
    responder_50=_LEVEL,
    median_relief_percent=_or_null(_MEDIAN, "null where nobody has a relief."),
)
_GROUPS = {"type": "array", "items": _GROUP}
SCHEMA = _object(
    score=_object(**dict.fromkeys(("id", "label", "recall", "unit"), _TEXT)),
    window=_object(id=_TEXT, label=_TEXT, from_day=_COUNT, until_day=_or_null(_COUNT, "null: without end.")),
    diagnosis=_or_null(_TEXT, "null: all."),
    began=_object(**{"from": _TEXT, "until": _TEXT}),
    smallest_cell=_COUNT,
    start_unknown=_or_null(
        _COUNT, "Treatments nobody knows the start of: they are in no group. null: too few to tell."
    ),
    total=_GROUP,
    by_class=_GROUPS,
    by_diagnosis=_GROUPS,
    by_class_and_diagnosis=_GROUPS,
    methods={"type": "object", "additionalProperties": _TEXT},
    sql={"type": "string", "description": "With sql=true: the statement, as it was run and as it runs in any client."},
)


def responses() -> dict[int | str, Json]:
    """`responses` of the operation."""
    shown = profiles.json_files("examples/answers")["cohort-outcomes"]
    content = {"application/json": {"schema": SCHEMA, "example": shown}}
    return {200: {"description": "What became of the pain, by group.", "content": content}}
