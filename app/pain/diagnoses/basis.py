"""What the inputs of a grade rest on: resources, and how they were found out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.pain.content import Content
from app.pain.diagnoses.grading import Evidence, Step
from app.pain.reading import Place, Reader, choice, fields, reference, several

RESTS_ON = (
    "Observation",
    "DiagnosticReport",
    "ImagingStudy",
    "Procedure",
    "QuestionnaireResponse",
    "Condition",
    "ClinicalImpression",
    "DocumentReference",
    "Media",
)


@dataclass(frozen=True, slots=True)
class Basis:
    """One thing an input rests on: a resource, how it was found out (np-evidence-method), or both."""

    reference: str | None = None
    method: str | None = None


Bases = Mapping[str, tuple[Basis, ...]]  # by name of the input, without those that rest on nothing named


def basis_reader(content: Content) -> Reader:
    """A reader of {"confirmatory_test": ["Observation/7", {"method": "skin-biopsy", "reference"?: …}], …}."""
    readers = {name: several(_one(name, content)) for name in Evidence.__slots__}

    def read(value: Any, place: Place) -> Bases:
        got = fields(value, place, readers)
        return {name: tuple(dict.fromkeys(bases)) for name, bases in got.items() if bases}

    return read


def _one(name: str, content: Content) -> Reader:
    methods = [row["id"] for row in content.grading["method"] if name in row["inputs"]]
    readers: dict[str, Reader] = {"reference": reference(*RESTS_ON), "method": choice(methods)}

    def read(value: Any, place: Place) -> Basis | None:
        if not isinstance(value, Mapping):
            found = readers["reference"](value, place)
            return Basis(found) if found else None
        got = fields(value, place, readers)
        if value.get("reference") is None and value.get("method") is None:
            place.refuse("required", "Expected a reference, a method, or both.")
            return None
        return Basis(**got)

    return read


def basis_view(bases: Bases) -> dict[str, list[Any]]:
    """The basis in the clinic's JSON; reading it again gives the same."""
    return {name: [_view(one) for one in found] for name, found in bases.items()}


def _view(one: Basis) -> Any:
    if one.method is None:
        return one.reference
    return {"method": one.method} | ({"reference": one.reference} if one.reference else {})


def references_of(bases: Bases) -> list[str]:
    """Every resource named, once."""
    return list(dict.fromkeys(one.reference for found in bases.values() for one in found if one.reference))


def steps_view(steps: Iterable[Step], bases: Bases) -> list[dict[str, Any]]:
    """The steps of a grade in the clinic's JSON, each with what it rests on."""
    shown = basis_view(bases)
    return [
        {
            "step": one.name,
            "input": one.input,
            "value": one.value,
            "evidence": shown.get(one.input, []),
            "reached": one.reached,
        }
        for one in steps
    ]


def cautions(bases: Bases, evidence: Evidence, content: Content) -> list[str]:
    """Notes about inputs that rest on too little. The grade stays what the inputs say."""
    return [
        f"basis.{name}: {row['note']}"
        for name, found in bases.items()
        for row in content.grading["caution"]
        if name in row["inputs"] and _is_about(row, getattr(evidence, name)) and _rests_only_on(found, row, content)
    ]


def _is_about(row: Mapping[str, Any], value: bool | str) -> bool:
    return "values" not in row or value in row["values"]


def _rests_only_on(found: Sequence[Basis], row: Mapping[str, Any], content: Content) -> bool:
    """Whether every basis is known to be of the methods of a caution."""
    return all(_method(one, content) in row["only"] for one in found)


def _method(one: Basis, content: Content) -> str | None:
    kind = (one.reference or "").partition("/")[0]
    return one.method or content.grading["types"].get(kind)
