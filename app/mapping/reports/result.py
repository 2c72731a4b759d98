"""One result of an examination as an Observation, there and back."""

from decimal import Decimal
from typing import Any

from app.mapping.elements import (
    Element,
    Resource,
    Unrecognised,
    code_in,
    codeable,
    concept_element,
    concept_of,
    extension,
    extensions,
    finished,
    fixed,
    head,
    quantity,
    site_element,
    site_of,
)
from app.pain.concepts import Coding, Concept
from app.pain.content import Content
from app.pain.examinations.interpreting import INTERPRETATIONS, Range
from app.pain.examinations.results import Result, meaning_of
from app.pain.examinations.types import ExaminationType, Parameter, Qualifier

# Said of an interpretation that nobody stated.
_FOLLOWS = "Follows from "
_UCUM = "ucum"
_Z_SCORE, _TEMPERATURE = "z-score", "skin-temperature"


def observation(one: Result, kind: ExaminationType, common: Element, resource_id: str, content: Content) -> Resource:
    """The Observation of a result. common: what all Observations of the examination share."""
    parameter = kind.parameters[one.parameter]
    site = site_element(one.body_site, one.laterality, content)
    made = (
        head("Observation", resource_id, parameter.profile)
        | common
        | {
            "extension": _extensions(one, content),
            "category": [codeable(fixed(parameter.category))],
            "code": _code(one, parameter, kind),
            "interpretation": _interpretation(one, kind, content),
            "note": [{"text": one.note}] if one.note else None,
            "bodySite": site,
            "method": _method(one, parameter, content),
            "referenceRange": _range_element(one.reference_range, one.unit, content),
            "component": _components(one, kind, content),
        }
        | _value(one, parameter, content)
    )
    return finished(made)


def result_of(resource: Resource, kind: ExaminationType, content: Content) -> Result:
    """The result an Observation was written from."""
    parameter, is_absent = _parameter_of(resource, kind, content)
    said = {
        name: _qualifier_of(resource, content.examinations.qualifiers[name], content) for name in parameter.qualifiers
    }
    site, laterality = site_of(resource.get("bodySite"), content)
    parts = _parts(resource, content)
    measured = resource.get("valueQuantity", {})
    return Result(
        parameter=parameter.key,
        value=None if is_absent else _value_of(resource, parameter, content),
        unit=measured.get("code"),
        z_score=parts.get(_Z_SCORE, {}).get("valueQuantity", {}).get("value"),
        reference_range=_range_of(next(iter(resource.get("referenceRange", [])), None)),
        interpretation=_stated(resource),
        body_site=site,
        laterality=laterality,
        qualifiers={name: one for name, one in said.items() if one is not None},
        skin_temperature=parts.get(_TEMPERATURE, {}).get("valueQuantity", {}).get("value"),
        note=next((one["text"] for one in resource.get("note", [])), None),
    )


def _code(one: Result, parameter: Parameter, kind: ExaminationType) -> Element:
    if parameter.kind != "presence":
        return codeable(*parameter.codings, parameter.coding, text=parameter.label)
    # An absent symptom has another code than one that is there, so that whoever reads the value alone is not misled.
    meant = kind.absent if one.value is None else kind.present
    return concept_element(meant) or {}


def _value(one: Result, parameter: Parameter, content: Content) -> Element:
    if parameter.kind == "presence":
        return {"valueCodeableConcept": codeable(*parameter.codings, parameter.coding, text=parameter.label)}
    if one.value is None:
        return {"valueCodeableConcept": codeable(content.examinations.findings[parameter.absent].coding)}
    if parameter.kind == "coded":
        return {"valueCodeableConcept": codeable(*parameter.findings[str(one.value)])}
    if parameter.kind == "quantity":
        return {"valueQuantity": _measured(one.value, one.unit, content)}
    return {"valueInteger" if parameter.kind == "integer" else "valueString": one.value}


def _measured(value: Any, unit: str | None, content: Content) -> Element:
    # Where there is no unit, 1 is the unit of a count (UCUM).
    code = unit or "1"
    return quantity(value, Coding(content.systems[_UCUM], code, code))


def _interpretation(one: Result, kind: ExaminationType, content: Content) -> list[Element] | None:
    if one.interpretation:
        return [codeable(fixed(one.interpretation))]
    follows = meaning_of(one, kind, content)
    return [codeable(fixed(follows.interpretation), text=f"{_FOLLOWS}{follows.basis}")] if follows else None


def _stated(resource: Resource) -> str | None:
    known = {(one.system, one.code): name for name in INTERPRETATIONS for one in [fixed(name)]}
    for one in resource.get("interpretation", []):
        for each in one.get("coding", []):
            name = known.get((each.get("system"), each.get("code")))
            if name and not str(one.get("text", "")).startswith(_FOLLOWS):
                return name
    return None


def _range_element(norm: Range | None, unit: str | None, content: Content) -> list[Element] | None:
    if norm is None:
        return None
    ends = (("low", norm.low), ("high", norm.high))
    made: Element = {name: _measured(end, unit, content) for name, end in ends if end is not None}
    return [made | ({"text": norm.text} if norm.text else {})]


def _range_of(element: Element | None) -> Range | None:
    if element is None:
        return None
    low, high = (element.get(name, {}).get("value") for name in ("low", "high"))
    return Range(low, high, element.get("text")) if (low, high, element.get("text")) != (None, None, None) else None


def _extensions(one: Result, content: Content) -> list[Element]:
    return [
        extension(name, valueCodeableConcept=_plain(said))
        for name, said in one.qualifiers.items()
        if content.examinations.qualifiers[name].place == "extension"
    ]


def _method(one: Result, parameter: Parameter, content: Content) -> Element | None:
    said = [one.qualifiers[name] for name in one.qualifiers if content.examinations.qualifiers[name].place == "method"]
    return concept_element(said[0]) if said else (codeable(*parameter.method) if parameter.method else None)


def _components(one: Result, kind: ExaminationType, content: Content) -> list[Element]:
    known = content.examinations.qualifiers
    made = [
        {"code": _part(name, known[name].codings, content), "valueCodeableConcept": concept_element(said)}
        for name, said in one.qualifiers.items()
        if known[name].place == "component"
    ]
    if one.skin_temperature is not None and kind.skin_temperature:
        measured = _measured(one.skin_temperature, kind.skin_temperature.unit, content)
        made.append({"code": _part(_TEMPERATURE, (), content), "valueQuantity": measured})
    if one.z_score is not None:
        score = quantity(one.z_score, fixed(_Z_SCORE))
        made.append({"code": _part(_Z_SCORE, (), content), "valueQuantity": score})
    return made


def _part(name: str, others: tuple[Coding, ...], content: Content) -> Element:
    return codeable(*others, content.own("np-test", name))


def _plain(said: Concept) -> Element:
    """A concept of a closed list: its codes are enough."""
    return codeable(*said.codings)


def _parts(resource: Resource, content: Content) -> dict[str, Element]:
    found = ((code_in(part.get("code"), content.systems["np-test"]), part) for part in resource.get("component", []))
    return {name: part for name, part in found if name}


def _parameter_of(resource: Resource, kind: ExaminationType, content: Content) -> tuple[Parameter, bool]:
    """The parameter an Observation is of, and whether it is said to be absent."""
    name, is_absent = code_in(resource.get("code"), content.systems["np-test"]), False
    value = resource.get("valueCodeableConcept")
    if kind.absent and kind.present:
        is_absent = name == kind.absent.codings[-1].code
        name = code_in(value, content.systems["np-symptom"])
    parameter = kind.parameters.get(name or "")
    if parameter is None:
        raise Unrecognised("an Observation has no code of a parameter of its examination")
    if parameter.absent and parameter.units:
        is_absent = code_in(value, content.systems["np-finding"]) == parameter.absent
    return parameter, is_absent


def _value_of(resource: Resource, parameter: Parameter, content: Content) -> int | Decimal | bool | str:
    if parameter.kind == "presence":
        return True
    if parameter.kind == "coded":
        found = code_in(resource["valueCodeableConcept"], content.systems["np-finding"])
        if found is None or found not in parameter.findings:
            raise Unrecognised("an Observation has no finding of its parameter")
        return found
    names = {"quantity": "valueQuantity", "integer": "valueInteger", "text": "valueString"}
    value = resource[names[parameter.kind]]
    return value["value"] if parameter.kind == "quantity" else value  # type: ignore[no-any-return]


def _qualifier_of(resource: Resource, known: Qualifier, content: Content) -> Concept | None:
    """What was said of a result: an answer of the list by its code, or else what stands there."""
    if known.place == "extension":
        element = next((one["valueCodeableConcept"] for one in extensions(resource, known.name)), None)
    elif known.place == "method":
        element = resource.get("method")
    else:
        element = _parts(resource, content).get(known.name, {}).get("valueCodeableConcept")
    answer = known.answers.get(code_in(element, known.system) or "")
    return answer if answer and (not known.is_open or concept_of(element) == answer) else concept_of(element)
