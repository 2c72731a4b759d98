"""A diagnosis as Condition and NeuPSIG grade (Observation), there and back.

The grade lives in Condition.stage, with the Observation that holds its four inputs as the stage's assessment: a
verification status alone could not say why.
"""

from collections.abc import Callable, Iterable, Sequence

from app.mapping.conditions.etiology import cause, etiology_condition, etiology_of
from app.mapping.conditions.grade import METHOD, asserted_of, bases_of, evidence_of, grade_observation
from app.mapping.conditions.refractory import refractory_extension, refractory_of
from app.mapping.elements import (
    Element,
    IdOf,
    Key,
    Resource,
    Unrecognised,
    code_in,
    codeable,
    coding,
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
from app.pain.diagnoses.basis import references_of
from app.pain.diagnoses.causes import Mechanism
from app.pain.diagnoses.codings import added_codings
from app.pain.diagnoses.diagnoses import Diagnosis
from app.pain.diagnoses.grading import grade

_CONDITION: Key = ("Condition",)
_GRADE: Key = ("Observation", "grade")
# Extensions whose value is one concept of ours: field of the diagnosis, extension, code system.
_SIMPLE = (
    ("distribution", "distribution", "np-distribution"),
    ("etiology_class", "etiology-class", "np-etiology-class"),
    ("sensory_profile", "sensory-profile", "np-sensory-profile"),
    ("extent", "extent", "np-extent"),
)


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
    evidence, asserted = evidence_of(graded, content), asserted_of(graded, content)
    code = _posted(condition["code"], content)
    is_other_pain = content.diagnoses.is_other_pain(code.codings)
    recorded_at = condition.get("recordedDate") or graded["effectiveDateTime"]
    return Diagnosis(
        patient=condition["subject"]["reference"],
        code=code,
        evidence=evidence,
        basis=bases_of(graded, content),
        is_other_pain=is_other_pain,
        recorded_at=recorded_at,
        graded_at=graded["effectiveDateTime"] if graded["effectiveDateTime"] != recorded_at else None,
        onset=condition.get("onsetDateTime"),
        body_site=site,
        laterality=laterality,
        dermatomes=tuple(_codes(condition, "dermatome", content)),
        nerves=tuple(_concepts(one["valueCodeableConcept"] for one in extensions(condition, "affected-nerve"))),
        mechanisms=tuple(_mechanism_of(one, content) for one in extensions(condition, "mechanism")),
        etiology=etiology_of(condition, counted),
        refractory=refractory_of(condition, content),
        symptoms=tuple(_concepts(one for each in condition.get("evidence", []) for one in each.get("code", []))),
        asserted_grade=asserted if asserted != grade(evidence, is_other_pain=is_other_pain) else None,
        recorder=target(condition.get("recorder")),
        encounter=target(condition.get("encounter")),
        **{field: next(iter(_codes(condition, name, content)), None) for field, name, _ in _SIMPLE},
    )


@recognising
def _stage_assessment(condition: Resource, resources: Sequence[Resource]) -> Resource:
    referred = [target(one) for stage in condition.get("stage", []) for one in stage.get("assessment", [])]
    found = next((one for name in referred if (one := named(resources, name))), None)
    if found is None:
        raise Unrecognised("the condition has no NeuPSIG grade among the resources")
    return found


def codings_of(resources: Sequence[Resource], content: Content) -> list[Element]:
    """The codings of the diagnosis as written: the posted ones first, in their order; then those that were
    translated from them, marked as such."""
    written: list[Element] = only(resources, "Condition")["code"].get("coding", [])
    return [_told(one, content) for one in written]


def _told(one: Element, content: Content) -> Element:
    shown = {key: value for key, value in one.items() if key != "userSelected"}
    return shown | ({"translated": True} if _is_translated(one, content) else {})


def _is_translated(one: Element, content: Content) -> bool:
    """Whether a coding was added by this service: nobody chose it, and it is one that a translation adds."""
    key = one.get("system"), one.get("code")
    return one.get("userSelected") is False and key in content.diagnoses.translated


def _posted(element: Element, content: Content) -> Concept:
    chosen = [one for one in element.get("coding", []) if not _is_translated(one, content)]
    return concept_of(element | {"coding": chosen}) or Concept()


def _code(diagnosis: Diagnosis, content: Content) -> Element | None:
    added = [coding(one) | {"userSelected": False} for one in added_codings(diagnosis, content)]
    element = concept_element(diagnosis.code)
    return element | {"coding": [*element["coding"], *added]} if element and added else element


def _written(diagnosis: Diagnosis, content: Content, patient_ref: str, id_of: IdOf) -> list[Resource]:
    condition_id, grade_id = id_of(_CONDITION), id_of(_GRADE)
    stage = {
        "summary": codeable(content.own("np-grade", diagnosis.supported_grade)),
        "assessment": [reference(f"Observation/{grade_id}")],
        "type": codeable(content.own("np-instrument", METHOD)),
    }
    site = site_element(diagnosis.body_site, diagnosis.laterality, content)
    implied = verification(diagnosis.stated_grade)
    begun = head("Condition", condition_id, "neuropathic-pain")
    condition = begun | {
        "extension": [*_extensions(diagnosis, content), *cause(diagnosis, begun)],
        "clinicalStatus": codeable(fixed("active")),
        "verificationStatus": codeable(implied) if implied else None,
        "category": [codeable(fixed("problem-list-item"))],
        "code": _code(diagnosis, content),
        "bodySite": [site] if site else None,
        "subject": reference(patient_ref),
        "encounter": reference(diagnosis.encounter),
        "onsetDateTime": diagnosis.onset,
        "recordedDate": diagnosis.recorded_at,
        "recorder": reference(diagnosis.recorder),
        "stage": [stage],
        "evidence": _evidence(diagnosis),
    }
    graded = grade_observation(
        diagnosis, content, patient_ref=patient_ref, grade_id=grade_id, condition_id=condition_id
    )
    return [finished(condition), graded, *etiology_condition(diagnosis, begun, patient_ref=patient_ref)]


def _evidence(diagnosis: Diagnosis) -> list[Element]:
    """The symptoms, then everything the grade rests on."""
    symptoms: list[Element] = [{"code": [concept_element(one)]} for one in diagnosis.symptoms]
    details = [reference(one) for one in references_of(diagnosis.basis)]
    return symptoms + ([{"detail": details}] if details else [])


def _extensions(diagnosis: Diagnosis, content: Content) -> list[Element]:
    made = [
        extension(name, valueCodeableConcept=codeable(content.own(system, code)))
        for field, name, system in _SIMPLE
        if (code := getattr(diagnosis, field)) is not None
    ]
    made += [
        extension("dermatome", valueCodeableConcept=codeable(content.own("np-dermatome", one)))
        for one in diagnosis.dermatomes
    ]
    made += [extension("affected-nerve", valueCodeableConcept=concept_element(one)) for one in diagnosis.nerves]
    made += [extension("mechanism", extension=_mechanism(one, content)) for one in diagnosis.mechanisms]
    return made + refractory_extension(diagnosis.refractory, content)


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


def _codes(condition: Resource, name: str, content: Content) -> list[str]:
    """The codes of ours in the extensions of one name."""
    said = (code_in(one["valueCodeableConcept"], content.systems[f"np-{name}"]) for one in extensions(condition, name))
    return [one for one in said if one is not None]


def _concepts(elements: Iterable[Element]) -> list[Concept]:
    return [found for one in elements if (found := concept_of(one))]


def _required(value: str | None, what: str) -> str:
    if value is None:
        raise Unrecognised(f"a {what} has no code of ours")
    return value
