"""Reads one result of an examination: its value in a unit of the parameter, and all that is said with it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.pain.coded import concept_reader, site_reader
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.examinations.interpreting import INTERPRETATIONS, Range, meaning
from app.pain.examinations.results import Result
from app.pain.examinations.types import ExaminationType, Number, Parameter, Qualifier
from app.pain.reading import Place, Reader, boolean, choice, code, fields, integer, listed, number, text

# value, unit, unit wanted -> value, None where the units do not measure the same thing.
Convert = Callable[[Number, str, str], Number | None]
# Beyond any measurement; keeps hostile input cheap.
_GREATEST = 10**9
# Fields that are compared with each other: where one is wrong, nothing can be said of the others.
_COMPARED = ("value", "absent", "unit", "z_score", "reference_range", "interpretation")
_number = number(low=-_GREATEST, high=_GREATEST)


def result_reader(kind: ExaminationType, content: Content, convert: Convert) -> Reader:
    """A reader of one result of an examination."""

    def read(value: Any, place: Place) -> Result | None:
        named = value.get("parameter") if isinstance(value, Mapping) else None
        parameter = kind.parameters.get(named) if isinstance(named, str) else None
        if parameter is None:
            # Of an unknown parameter nothing can be said but its name.
            told = {"parameter": named} if isinstance(value, Mapping) else value
            fields(told, place, {"parameter": choice(kind.parameters)}, ("parameter",))
            return None
        got = fields(value, place, _readers(parameter, kind, content), required=("parameter",))
        return _settled(got, parameter, content, convert, place)

    return read


def _readers(parameter: Parameter, kind: ExaminationType, content: Content) -> dict[str, Reader]:
    readers: dict[str, Reader] = {"parameter": choice((parameter.key,)), "value": _value(parameter)}
    if parameter.can_be_absent:
        readers["absent"] = boolean
    if parameter.units:
        readers["unit"] = code
    if parameter.kind in ("quantity", "integer"):
        readers["reference_range"] = _range
    if parameter.z_limit is not None:
        readers["z_score"] = _number
    if parameter.kind in ("quantity", "integer", "coded"):
        readers["interpretation"] = choice(INTERPRETATIONS)
    readers |= {"body_site": site_reader(content), "laterality": choice(content.sides)}
    known = content.examinations.qualifiers
    readers |= {name: _qualifier(known[name], content) for name in parameter.qualifiers}
    if kind.skin_temperature:
        limits = kind.skin_temperature
        readers["skin_temperature"] = number(low=int(limits.low), high=int(limits.high))
    return readers | {"note": text}


def _value(parameter: Parameter) -> Reader:
    readers: dict[str, Reader] = {
        "presence": boolean,
        "quantity": _number,
        "integer": integer(int(parameter.low or 0), int(parameter.high or _GREATEST)),
        "coded": choice(parameter.findings),
        "text": text,
    }
    return readers[parameter.kind]


def _range(value: Any, place: Place) -> Range | None:
    got = fields(value, place, {"low": _number, "high": _number, "text": text})
    if all(one is None for one in got.values()):
        if isinstance(value, Mapping) and all(one is None for one in value.values()):
            place.refuse("required", "Expected low, high or text.")
        return None
    if got["low"] is not None and got["high"] is not None and got["low"] > got["high"]:
        place.refuse("business-rule", "The low end of the reference range lies above its high end.")
    return Range(**got)


def _qualifier(known: Qualifier, content: Content) -> Reader:
    """A reader of an answer of the list; where the list is open, of other words too, as {"text": …}."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        if isinstance(value, str) and value in known.answers:
            return known.answers[value]
        if known.is_open and isinstance(value, Mapping):
            concept: Concept | None = read_concept(value, place)
            return concept
        more = '; for another one send {"text": …}' if known.is_open else ""
        place.refuse("code-invalid", f"Expected one of {listed(known.answers)}{more}.")
        return None

    return read


def _settled(
    got: dict[str, Any], parameter: Parameter, content: Content, convert: Convert, place: Place
) -> Result | None:
    """The result as it is kept; notes every problem between its fields."""
    value, is_absent = _stated(got, parameter, place)
    known = content.examinations.qualifiers
    qualifiers = {name: got.pop(name) for name in parameter.qualifiers}
    said = {name: one for name, one in qualifiers.items() if one is not None}
    if not is_absent or parameter.kind != "presence":
        for name in parameter.needs:
            if (got.get(name) if name not in known else said.get(name)) is None and not _was_wrong(name, place):
                place.at(name).refuse("required", f"{parameter.label} needs {name}.")
    for name in said:
        if is_absent and known[name].of_present:
            place.at(name).refuse("business-rule", f"What is absent has no {name}: leave it out, or say it is there.")
    if any(_was_wrong(name, place) for name in _COMPARED):
        return None
    rest = {key: one for key, one in got.items() if key not in ("value", "absent")}
    one = Result(value=value, qualifiers=said, **rest)
    kept = _in_unit(one, parameter, convert, place)
    if kept:
        _check(kept, parameter, content, place)
    return kept


def _was_wrong(name: str, place: Place) -> bool:
    return any(problem.path.startswith(place.at(name).path) for problem in place.problems)


def _stated(got: Mapping[str, Any], parameter: Parameter, place: Place) -> tuple[Any, bool]:
    """The value, None where the result is absent; `false` and `absent` both deny a symptom."""
    value, is_absent = got["value"], got.get("absent") is True
    if parameter.kind == "presence":
        if is_absent and value is True:
            place.at("absent").refuse("business-rule", "A symptom is there or absent, not both.")
        if not is_absent and value is None and not _was_wrong("value", place):
            place.at("value").refuse("required", "Expected true or false, or absent.")
        absent = is_absent or value is False
        return (None if absent else True), absent
    if is_absent and value is not None:
        place.at("absent").refuse("business-rule", "What is absent has no value.")
    if not is_absent and value is None and not _was_wrong("value", place):
        place.at("value").refuse("required", "Expected a value.")
    return value, is_absent


def _in_unit(one: Result, parameter: Parameter, convert: Convert, place: Place) -> Result | None:
    """The result in a unit of the parameter."""
    if not parameter.units or one.value is None:
        for name in ("unit", "reference_range", "z_score"):
            if getattr(one, name) is not None and one.value is None:
                place.at(name).refuse("business-rule", "What is absent has no number to be measured or compared.")
        return one
    if one.unit is None:
        place.at("unit").refuse("required", f"A number needs its unit: {listed(parameter.units)}.")
        return None
    if one.unit in parameter.units:
        return one
    return _converted(one, parameter.units[0], convert, place)


def _converted(one: Result, unit: str, convert: Convert, place: Place) -> Result | None:
    sent = one.unit or unit
    value = convert(one.value, sent, unit) if isinstance(one.value, int | Decimal) else None
    norm = one.reference_range and one.reference_range.converted(lambda end: convert(end, sent, unit))
    if value is None or (one.reference_range and norm is None):
        place.at("unit").refuse(
            "value", f"This unit does not measure what {unit} does, or not without rounding; expected {unit} (UCUM)."
        )
        return None
    kept = {name: getattr(one, name) for name in Result.__slots__}
    return Result(**kept | {"value": value, "unit": unit, "reference_range": norm, "was_converted": True})


def _check(one: Result, parameter: Parameter, content: Content, place: Place) -> None:
    """Notes a value off its scale, and an interpretation at odds with what follows from the result."""
    low, high = parameter.low, parameter.high
    value = one.value if isinstance(one.value, int | Decimal) else None
    if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
        ends = f"from {low} to {high}" if high is not None else f"not below {low}"
        place.at("value").refuse("value", f"{parameter.label}: expected a number {ends}.")
    follows = meaning(
        one.value, parameter, content.examinations, z_score=one.z_score, reference_range=one.reference_range
    )
    if one.interpretation and follows and not follows.agrees(one.interpretation):
        told = f"{follows.basis[0].upper()}{follows.basis[1:]} says {follows.interpretation}, not {one.interpretation}."
        place.at("interpretation").refuse("business-rule", told)
