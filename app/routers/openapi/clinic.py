"""JSON Schemas of the clinic API: `app/profiles/openapi/clinic-schemas.json`, filled with the words of the content.

Beside JSON Schema's own keywords that file has these: ref (a schema by its name), like (schemas whose properties this
one has too), among (the words of a list of the content), reference and among_references (to resources of these types),
partial_date, basis, qualifiers, facts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app import profiles
from app.pain.content import Content
from app.pain.diagnoses import grading
from app.pain.diagnoses.basis import RESTS_ON
from app.pain.examinations.examinations import CONCLUSIONS
from app.pain.examinations.interpreting import INTERPRETATIONS
from app.routers.openapi.schemas import reference

Json = dict[str, Any]
_PARTIAL_DATE = {"type": "string", "pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"}
_TEXT = {"type": "string"}


def clinic_schemas(content: Content) -> Json:
    """Every schema by its name among the components."""
    told = profiles.json_files("openapi")["clinic-schemas"]
    making = _Making(content)
    return {name: making.schema(_merged(one, told)) for name, one in told.items()}


def _merged(one: Mapping[str, Any], told: Mapping[str, Any]) -> Json:
    """A schema with the properties of those it is like; of the first of them also what is required."""
    made = dict(one)
    for place, name in enumerate(made.pop("like", ())):
        other = told[name]
        made["properties"] = other["properties"] | made["properties"]
        if not place:
            made["required"] = [*other["required"], *made.get("required", ())]
            made = {name: other[name] for name in ("type", "additionalProperties")} | made
    return made


class _Making:
    """Fills in what the content knows."""

    def __init__(self, content: Content) -> None:
        self._content = content
        tables = (
            ("refractory", content.refractory, ("status", "class", "outcome")),
            ("outcome", content.outcomes, ("status", "response", "reason")),
        )
        self._words: Json = {
            f"{table}.{name}": [row["id"] for row in rows[name]] for table, rows, names in tables for name in names
        } | {
            "sides": content.sides,
            "levels": content.diagnoses.levels,
            "grades": grading.GRADES,
            "signs": grading.SIGNS,
            "tests": grading.TESTS,
            "examinations": content.examinations.types,
            "conclusions": CONCLUSIONS,
            "interpretations": INTERPRETATIONS,
            "editions": content.guidelines.editions,
            "jurisdictions": content.guidelines.renal,
            "dose-units": content.dose_units,
        }
        self._makers: Mapping[str, Callable[[Any], Json]] = {
            "ref": reference,
            "among": self._among,
            "reference": _reference,
            "among_references": lambda _: _reference(RESTS_ON),
            "partial_date": lambda _: _PARTIAL_DATE,
            "basis": self._basis,
            "qualifiers": lambda _: {},
            "facts": lambda _: {},
        }

    def schema(self, told: Any) -> Any:
        """JSON Schema of what the file tells."""
        if isinstance(told, list):
            return [self.schema(one) for one in told]
        if not isinstance(told, Mapping):
            return told
        made: Json = {}
        for name, value in told.items():
            if name == "properties":
                made[name] = {key: self.schema(one) for key, one in value.items()}
            else:
                made |= self._makers[name](value) if name in self._makers else {name: self.schema(value)}
        if "qualifiers" in told:
            made["properties"] |= self._qualifiers()
        if "facts" in told:
            made["properties"] |= {key: _fact(row) for key, row in self._content.facts.items()}
        return made

    def _among(self, name: str) -> Json:
        words = self._words.get(name) or sorted(self._content.codes(name))
        return _TEXT | {"enum": list(words)}

    def _basis(self, name: str) -> Json:
        methods = [row["id"] for row in self._content.grading["method"] if name in row["inputs"]]
        both = {"reference": _reference(RESTS_ON), "method": _TEXT | {"enum": methods}}
        one = {"type": "object", "minProperties": 1, "properties": both, "additionalProperties": False}
        return {"type": "array", "maxItems": 200, "items": {"oneOf": [_reference(RESTS_ON), one]}}

    def _qualifiers(self) -> Json:
        made: Json = {}
        for name, known in self._content.examinations.qualifiers.items():
            words = _TEXT | {"enum": list(known.answers)}
            made[name] = {"oneOf": [words, reference("Code")]} if known.is_open else words
        return made


def _reference(types: Sequence[str]) -> Json:
    return _TEXT | {"pattern": f"^({'|'.join(types)})/[A-Za-z0-9\\-.]{{1,64}}$"}


def _fact(row: Mapping[str, Any]) -> Json:
    ends = {"minimum": row.get("low", 0), "maximum": row.get("high", 0)}
    words: Json = {"type": "array", "items": _TEXT}
    made: Mapping[str, Callable[[], Json]] = {
        "number": lambda: {"type": "number"} | ends,
        "integer": lambda: {"type": "integer"} | ends,
        "boolean": lambda: {"type": "boolean"},
        "text": lambda: dict(_TEXT),
        "choice": lambda: {"oneOf": [{"type": "boolean"}, _TEXT | {"enum": list(row["options"])}]},
        "findings": lambda: {"oneOf": [{"type": "boolean"}, _TEXT, words], "description": "Whether any, or which."},
    }
    return made[row["type"]]()
