"""The NeuPSIG grade of a diagnosis as Observation, there and back: its four inputs, and what each of them rests on."""

from app.mapping.elements import (
    Element,
    Resource,
    Unrecognised,
    code_in,
    codeable,
    extension,
    extensions,
    finished,
    fixed,
    head,
    reference,
    site_element,
    target,
)
from app.pain.content import Content
from app.pain.diagnoses.basis import Bases, Basis, references_of
from app.pain.diagnoses.diagnoses import Diagnosis, evidence_view
from app.pain.diagnoses.grading import GRADES, OTHER_PAIN, Evidence, Grade

METHOD = "neupsig-2016"
# What an Observation can be derived from in R4. A questionnaire is left out: a screening result never enters the
# grade, and what names a questionnaire here is a part of its assessment.
_DERIVED_FROM = ("Observation", "ImagingStudy", "DocumentReference", "Media")


def grade_observation(
    diagnosis: Diagnosis, content: Content, *, patient_ref: str, grade_id: str, condition_id: str
) -> Resource:
    performer = reference(diagnosis.recorder)
    named = [one for one in references_of(diagnosis.basis) if one.partition("/")[0] in _DERIVED_FROM]
    made = head("Observation", grade_id, "neupsig-grade") | {
        "status": "final",
        "category": [codeable(fixed("exam"))],
        "code": codeable(content.own("np-instrument", METHOD)),
        "subject": reference(patient_ref),
        "focus": [reference(f"Condition/{condition_id}")],
        "encounter": reference(diagnosis.encounter),
        "effectiveDateTime": diagnosis.graded_at or diagnosis.recorded_at,
        "performer": [performer] if performer else None,
        "valueCodeableConcept": codeable(content.own("np-grade", diagnosis.supported_grade)),
        "bodySite": site_element(diagnosis.body_site, diagnosis.laterality, content),
        "derivedFrom": [reference(one) for one in named],
        "component": _components(diagnosis, content),
    }
    return finished(made)


def _components(diagnosis: Diagnosis, content: Content) -> list[Element]:
    inputs: dict[str, bool | str] = evidence_view(diagnosis.evidence)
    made = [_component(name, value, "np-evidence-value", content) for name, value in inputs.items()]
    made = [_resting(part, diagnosis.basis.get(name, ()), content) for name, part in zip(inputs, made, strict=True)]
    if diagnosis.is_other_pain:
        made.append(_component(OTHER_PAIN, True, "", content))
    if diagnosis.asserted_grade:
        made.append(_component("asserted_grade", diagnosis.asserted_grade, "np-grade", content))
    return made


def _component(name: str, value: bool | str, system: str, content: Content) -> Element:
    code = codeable(content.own("np-evidence-input", name))
    if isinstance(value, bool):
        return {"code": code, "valueBoolean": value}
    return {"code": code, "valueCodeableConcept": codeable(content.own(system, value))}


def _resting(part: Element, bases: tuple[Basis, ...], content: Content) -> Element:
    made = [extension("evidence-basis", extension=_basis(one, content)) for one in bases]
    return {"extension": made} | part if made else part


def _basis(one: Basis, content: Content) -> list[Element]:
    method = codeable(content.own("np-evidence-method", one.method)) if one.method else None
    parts: list[Element] = [{"url": "method", "valueCodeableConcept": method}] if method else []
    return parts + ([{"url": "reference", "valueReference": reference(one.reference)}] if one.reference else [])


def evidence_of(graded: Resource, content: Content) -> Evidence:
    """The four inputs of the grade. Raises Unrecognised where one is missing."""
    found = _inputs(graded, content)
    try:
        return Evidence(**{name: found[name] for name in Evidence.__slots__})  # type: ignore[arg-type]
    except KeyError as missing:
        raise Unrecognised(f"the grade has no {missing.args[0]}") from None


def asserted_of(graded: Resource, content: Content) -> Grade | None:
    """The grade the clinician asserted."""
    said = _inputs(graded, content).get("asserted_grade")
    return next((one for one in GRADES if one == said), None)


def bases_of(graded: Resource, content: Content) -> Bases:
    """What the inputs rest on."""
    found: dict[str, tuple[Basis, ...]] = {}
    for part in graded.get("component", []):
        name = code_in(part["code"], content.systems["np-evidence-input"])
        bases = tuple(_basis_of(one, content) for one in extensions(part, "evidence-basis"))
        if name and bases:
            found[name] = bases
    return found


def _basis_of(element: Element, content: Content) -> Basis:
    parts = {one["url"]: one for one in element["extension"]}
    method = code_in(parts.get("method", {}).get("valueCodeableConcept"), content.systems["np-evidence-method"])
    return Basis(target(parts.get("reference", {}).get("valueReference")), method)


def _inputs(graded: Resource, content: Content) -> dict[str, bool | str]:
    """The inputs of the grade, by name."""
    found: dict[str, bool | str] = {}
    for part in graded.get("component", []):
        name = code_in(part["code"], content.systems["np-evidence-input"])
        concept = part.get("valueCodeableConcept")
        value = part.get("valueBoolean") if concept is None else concept["coding"][0]["code"]
        if name and value is not None:
            found[name] = value
    return found
