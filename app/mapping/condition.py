"""A diagnosis as Condition and NeuPSIG grade (Observation), there and back.

The grade lives in Condition.stage, with the Observation that holds its four inputs as the stage's assessment: a
verification status alone could not say why.
"""

from collections.abc import Callable, Sequence

from app.mapping.elements import (
    Element,
    IdOf,
    Key,
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
    kept_ids,
    live,
    named,
    new_ids,
    only,
    recognising,
    reference,
    site_element,
    site_of,
    target,
    verification,
)
from app.mapping.revision import amended
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.diagnoses import Diagnosis, Mechanism, evidence_view
from app.pain.grading import GRADES, Evidence, Grade, grade

_CONDITION: Key = ("Condition",)
_GRADE: Key = ("Observation", "grade")
_METHOD = "neupsig-2016"


def diagnosis_to_fhir(
    diagnosis: Diagnosis, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The Condition, then the Observation of its NeuPSIG grade."""
    return _written(diagnosis, content, patient_ref, new_ids(ids))


def amend_diagnosis(
    previous: Sequence[Resource], diagnosis: Diagnosis, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The next versions: the same Condition and the same grade Observation."""
    condition = only(previous, "Condition")
    known = {_CONDITION: condition["id"], _GRADE: _stage_assessment(condition, previous)["id"]}
    return amended(previous, _written(diagnosis, content, patient_ref, kept_ids(known, ids)))


@recognising
def diagnosis_from_fhir(resources: Sequence[Resource], content: Content) -> Diagnosis:
    """The diagnosis its resources (the Condition first) were written from, with the patient's reference.

    Raises Unrecognised. Observations other than the stage's own are left aside.
    """
    counted = live(resources)
    condition = only(counted, "Condition")
    graded = _stage_assessment(condition, counted)
    site, laterality = site_of(next(iter(condition.get("bodySite", [])), None), content)
    inputs = _inputs(graded, content)
    evidence, asserted = _evidence_of(inputs), _grade_of(inputs.get("asserted_grade"))
    return Diagnosis(
        patient=condition["subject"]["reference"],
        code=concept_of(condition["code"]) or Concept(),
        evidence=evidence,
        recorded_at=condition.get("recordedDate") or graded["effectiveDateTime"],
        onset=condition.get("onsetDateTime"),
        distribution=_one_code(condition, "distribution", content),
        body_site=site,
        laterality=laterality,
        etiology_class=_one_code(condition, "etiology-class", content),
        mechanisms=tuple(_mechanism_of(one, content) for one in extensions(condition, "mechanism")),
        asserted_grade=asserted if asserted != grade(evidence) else None,
        recorder=target(condition.get("recorder")),
        encounter=target(condition.get("encounter")),
    )


@recognising
def _stage_assessment(condition: Resource, resources: Sequence[Resource]) -> Resource:
    referred = [target(one) for stage in condition.get("stage", []) for one in stage.get("assessment", [])]
    found = next((one for name in referred if (one := named(resources, name))), None)
    if found is None:
        raise Unrecognised("the condition has no NeuPSIG grade among the resources")
    return found


def codings_of(resources: Sequence[Resource]) -> list[Element]:
    """The codings of the diagnosis as written: the posted ones, in their order, with displays."""
    written: list[Element] = only(resources, "Condition")["code"].get("coding", [])
    return written


def _written(diagnosis: Diagnosis, content: Content, patient_ref: str, id_of: IdOf) -> list[Resource]:
    condition_id, grade_id = id_of(_CONDITION), id_of(_GRADE)
    stage = {
        "summary": codeable(content.own("np-grade", grade(diagnosis.evidence))),
        "assessment": [reference(f"Observation/{grade_id}")],
        "type": codeable(content.own("np-instrument", _METHOD)),
    }
    site = site_element(diagnosis.body_site, diagnosis.laterality, content)
    implied = verification(diagnosis.stated_grade)
    condition = head("Condition", condition_id, "neuropathic-pain") | {
        "extension": _extensions(diagnosis, content),
        "clinicalStatus": codeable(fixed("active")),
        "verificationStatus": codeable(implied) if implied else None,
        "category": [codeable(fixed("problem-list-item"))],
        "code": concept_element(diagnosis.code),
        "bodySite": [site] if site else None,
        "subject": reference(patient_ref),
        "encounter": reference(diagnosis.encounter),
        "onsetDateTime": diagnosis.onset,
        "recordedDate": diagnosis.recorded_at,
        "recorder": reference(diagnosis.recorder),
        "stage": [stage],
    }
    return [finished(condition), _graded(diagnosis, content, patient_ref, grade_id, f"Condition/{condition_id}")]


def _extensions(diagnosis: Diagnosis, content: Content) -> list[Element]:
    simple = (("distribution", diagnosis.distribution), ("etiology-class", diagnosis.etiology_class))
    made = [
        extension(name, valueCodeableConcept=codeable(content.own(f"np-{name}", code)))
        for name, code in simple
        if code is not None
    ]
    return made + [extension("mechanism", extension=_mechanism(one, content)) for one in diagnosis.mechanisms]


def _mechanism(one: Mechanism, content: Content) -> list[Element]:
    parts: list[Element] = [{"url": "code", "valueCodeableConcept": codeable(content.own("np-mechanism", one.code))}]
    if one.certainty:
        certainty = codeable(content.own("np-certainty", one.certainty))
        parts.append({"url": "certainty", "valueCodeableConcept": certainty})
    return parts + [{"url": "evidence", "valueReference": reference(each)} for each in one.evidence]


def _mechanism_of(element: Element, content: Content) -> Mechanism:
    parts = element["extension"]
    codes = {one["url"]: one["valueCodeableConcept"] for one in parts if "valueCodeableConcept" in one}
    return Mechanism(
        code=_required(code_in(codes.get("code"), content.systems["np-mechanism"]), "mechanism"),
        evidence=tuple(one["valueReference"]["reference"] for one in parts if one["url"] == "evidence"),
        certainty=code_in(codes.get("certainty"), content.systems["np-certainty"]),
    )


def _graded(diagnosis: Diagnosis, content: Content, patient_ref: str, grade_id: str, focus: str) -> Resource:
    inputs: dict[str, bool | str] = evidence_view(diagnosis.evidence)
    components = [_component(name, value, "np-evidence-value", content) for name, value in inputs.items()]
    if diagnosis.asserted_grade:
        components.append(_component("asserted_grade", diagnosis.asserted_grade, "np-grade", content))
    performer = reference(diagnosis.recorder)
    made = head("Observation", grade_id, "neupsig-grade") | {
        "status": "final",
        "category": [codeable(fixed("exam"))],
        "code": codeable(content.own("np-instrument", _METHOD)),
        "subject": reference(patient_ref),
        "focus": [reference(focus)],
        "encounter": reference(diagnosis.encounter),
        "effectiveDateTime": diagnosis.recorded_at,
        "performer": [performer] if performer else None,
        "valueCodeableConcept": codeable(content.own("np-grade", grade(diagnosis.evidence))),
        "bodySite": site_element(diagnosis.body_site, diagnosis.laterality, content),
        "component": components,
    }
    return finished(made)


def _component(name: str, value: bool | str, system: str, content: Content) -> Element:
    code = codeable(content.own("np-evidence-input", name))
    if isinstance(value, bool):
        return {"code": code, "valueBoolean": value}
    return {"code": code, "valueCodeableConcept": codeable(content.own(system, value))}


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


def _evidence_of(inputs: dict[str, bool | str]) -> Evidence:
    try:
        return Evidence(**{name: inputs[name] for name in Evidence.__slots__})  # type: ignore[arg-type]
    except KeyError as missing:
        raise Unrecognised(f"the grade has no {missing.args[0]}") from None


def _grade_of(said: bool | str | None) -> Grade | None:
    return next((one for one in GRADES if one == said), None)


def _one_code(condition: Resource, name: str, content: Content) -> str | None:
    found = extensions(condition, name)
    return code_in(found[0]["valueCodeableConcept"], content.systems[f"np-{name}"]) if found else None


def _required(value: str | None, what: str) -> str:
    if value is None:
        raise Unrecognised(f"a {what} has no code of ours")
    return value
