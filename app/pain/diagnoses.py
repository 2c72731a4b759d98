"""A diagnosis: what the clinician names, the evidence that the pain is neuropathic, and what is presumed behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from app.pain import grading
from app.pain.assessments import patient_view
from app.pain.coded import concept_reader, concept_view, misnamed, site_reader, site_view, unchecked_site
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content
from app.pain.grading import Evidence, Grade
from app.pain.reading import (
    Place,
    Reader,
    boolean,
    choice,
    earliest,
    fields,
    past_date,
    past_moment,
    patient,
    reference,
    several,
)

RECORDERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
EVIDENCE_OF_MECHANISM = (
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
class Mechanism:
    """A presumed mechanism. Mechanisms are inferred, never measured: each refers to its evidence."""

    code: str
    evidence: tuple[str, ...]
    certainty: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """code: as posted, in that order.  onset: a date, perhaps only its year or month.  asserted_grade: as stated by
    the clinician, never above what the evidence supports.  recorded_at: when it was recorded, the moment of
    receipt unless stated."""

    patient: str | Identifier
    code: Concept
    evidence: Evidence
    recorded_at: str
    onset: str | None = None
    distribution: str | None = None
    body_site: Concept | None = None
    laterality: str | None = None
    etiology_class: str | None = None
    mechanisms: tuple[Mechanism, ...] = ()
    asserted_grade: Grade | None = None
    recorder: str | None = None
    encounter: str | None = None


def read_diagnosis(payload: Any, content: Content, now: datetime) -> Diagnosis:
    """The diagnosis in the clinic's JSON. Raises Rejected with every problem in it."""
    place = Place()
    readers: dict[str, Reader] = {
        "patient": patient,
        "code": _code(content),
        "evidence": _evidence,
        "recorded_at": past_moment(now),
        "onset": past_date(now),
        "distribution": choice(sorted(content.codes("np-distribution"))),
        "body_site": site_reader(content),
        "laterality": choice(content.sides),
        "etiology_class": choice(sorted(content.codes("np-etiology-class"))),
        "mechanisms": several(_mechanism(content)),
        "grade": choice(grading.GRADES),
        "recorder": reference(*RECORDERS),
        "encounter": reference("Encounter"),
    }
    read = fields(payload, place, readers, required=("patient", "code", "evidence"))
    read["recorded_at"] = read["recorded_at"] or now.astimezone(UTC).isoformat(timespec="seconds")
    read["mechanisms"] = read["mechanisms"] or ()
    asserted = read["asserted_grade"] = read.pop("grade")
    if asserted and read["evidence"] and grading.exceeds(asserted, supported := grading.grade(read["evidence"])):
        place.at("grade").refuse("business-rule", f"The evidence supports the grade {supported}, not {asserted}.")
    _refuse_too_early(read, place, content, now)
    place.settle()
    return Diagnosis(**read)


def diagnosis_view(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis in the clinic's JSON; reading it again gives the same diagnosis."""
    view = {
        "patient": patient_view(diagnosis.patient),
        "code": concept_view(diagnosis.code),
        "evidence": evidence_view(diagnosis.evidence),
        "recorded_at": diagnosis.recorded_at,
        "onset": diagnosis.onset,
        "distribution": diagnosis.distribution,
        "body_site": site_view(diagnosis.body_site) if diagnosis.body_site else None,
        "laterality": diagnosis.laterality,
        "etiology_class": diagnosis.etiology_class,
        "mechanisms": [_mechanism_view(one) for one in diagnosis.mechanisms] or None,
        "grade": diagnosis.asserted_grade,
        "recorder": diagnosis.recorder,
        "encounter": diagnosis.encounter,
    }
    return {key: value for key, value in view.items() if value is not None}


def evidence_view(evidence: Evidence) -> dict[str, bool | str]:
    return {name: getattr(evidence, name) for name in Evidence.__slots__}


def diagnosis_notes(diagnosis: Diagnosis, content: Content) -> list[str]:
    """What was accepted without being checked, and what deserves a second look."""
    notes = unchecked_site(diagnosis.body_site, "body_site", content)
    sides = set()
    for index, coding in enumerate(diagnosis.code.codings):
        key = (coding.system, coding.code)
        if key not in content.displays:
            notes.append(f"code[{index}] was not checked: not in the list of diagnoses")
        notes += misnamed(coding, f"code[{index}]", content)
        sides |= {content.diagnoses.sides[key]} if key in content.diagnoses.sides else set()
    if not diagnosis.code.codings:
        notes.append("code was not checked: no code was given, only text")
    if len(sides) == 1 and diagnosis.laterality and diagnosis.laterality not in sides:
        notes.append(f"laterality: the code states {sides.pop()}")
    if diagnosis.asserted_grade not in (None, supported := grading.grade(diagnosis.evidence)):
        notes.append(f"grade: {diagnosis.asserted_grade} was stated, the evidence supports {supported}")
    return notes


def _code(content: Content) -> Reader:
    """A reader of one concept or a list of them into one Concept: the codings in their order, at most one text."""
    read_one = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        if not isinstance(value, list):
            found = [(read_one(value, place), place)]
        elif not value:
            place.refuse("required", "Expected at least one code or a text.")
            return None
        else:
            found = [(read_one(one, place.nth(index)), place.nth(index)) for index, one in enumerate(value)]
        for one, where in found:
            _refuse_heading(one, where, content)
        texts = [one.text for one, _ in found if one and one.text]
        if len(texts) > 1:
            place.refuse("structure", "Expected at most one text.")
        return Concept(tuple(coding for one, _ in found if one for coding in one.codings), next(iter(texts), None))

    return read


def _refuse_heading(concept: Concept | None, place: Place, content: Content) -> None:
    for coding in concept.codings if concept else ():
        if instead := content.diagnoses.headings.get((coding.system, coding.code)):
            place.at("code").refuse("code-invalid", f"This code is a heading and cannot be assigned; use {instead}.")


def _evidence(value: Any, place: Place) -> Evidence | None:
    readers: dict[str, Reader] = {
        "history_relevant_lesion_or_disease": boolean,
        "pain_distribution_neuroanatomically_plausible": boolean,
        "sensory_signs_same_distribution": choice(grading.SIGNS),
        "confirmatory_test": choice(grading.TESTS),
    }
    read = fields(value, place, readers, required=tuple(readers) if isinstance(value, Mapping) else ())
    return Evidence(**read) if all(one is not None for one in read.values()) else None


def _mechanism(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "code": choice(sorted(content.codes("np-mechanism"))),
        "certainty": choice(("low", "moderate", "high")),
        "evidence": several(reference(*EVIDENCE_OF_MECHANISM), at_least=1),
    }

    def read(value: Any, place: Place) -> Mechanism:
        return Mechanism(**fields(value, place, readers, required=("code", "evidence")))

    return read


def _mechanism_view(one: Mechanism) -> dict[str, Any]:
    view = {"code": one.code, "evidence": list(one.evidence)}
    return view | ({"certainty": one.certainty} if one.certainty else {})


def _refuse_too_early(read: Mapping[str, Any], place: Place, content: Content, now: datetime) -> None:
    """ICD-11 MG30 is chronic pain: three months or more. Only an onset that is surely later is refused."""
    if not read["onset"] or not read["code"]:
        return
    months = _months(earliest(read["onset"]), now.astimezone(UTC).date())
    for coding in read["code"].codings:
        for system, prefix, least in content.diagnoses.chronic:
            if coding.system == system and coding.code.startswith(prefix) and months < least:
                place.at("onset").refuse("business-rule", f"{prefix} codes require pain for {least} months or more.")


def _months(start: date, end: date) -> int:
    """Whole months between two days."""
    return (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)
