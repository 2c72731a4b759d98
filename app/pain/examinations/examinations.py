"""An examination of one patient: symptoms asked for, signs looked for, tests done, and what was concluded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.pain.coded import concept_reader, misnamed, refuse_other_kinds, site_view, unchecked_site
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content
from app.pain.examinations.result_reading import Convert, result_reader
from app.pain.examinations.results import Result, meaning_of, repeated, result_view
from app.pain.examinations.types import ExaminationType, Parameter
from app.pain.instruments.assessments import patient_view
from app.pain.reading import Place, Reader, choice, fields, past_moment, patient, reference, several, text

CONCLUSIONS = ("normal", "abnormal")
# Whoever may be named as performer of a report; who tells of symptoms may be the patient, but reports nothing.
REPORTERS = ("Practitioner", "PractitionerRole", "Organization")
TELLERS = ("Patient", "RelatedPerson")
_MOST_RESULTS = 500
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


@dataclass(frozen=True, slots=True)
class Examination:
    """kind: what exactly was examined, e.g. "brain".  conclusion_code: normal or abnormal.  study_uid: DICOM study
    instance UID of the images.  supports: the condition it was done for.  procedure: the operation an
    operative report is of."""

    patient: str | Identifier
    examination: str
    taken_at: str
    results: tuple[Result, ...] = ()
    kind: str | None = None
    conclusion: str | None = None
    conclusion_code: str | None = None
    performer: str | None = None
    encounter: str | None = None
    based_on: str | None = None
    imaging_study: str | None = None
    study_uid: str | None = None
    supports: str | None = None
    procedure: Concept | None = None


def read_examination(payload: Any, content: Content, now: datetime, convert: Convert) -> Examination:
    """The examination in the clinic's JSON. Raises Rejected with every problem in it."""
    place = Place()
    one = _named(payload, content)
    readers: dict[str, Reader] = {
        "patient": patient,
        "examination": choice(content.examinations.types),
        "taken_at": past_moment(now),
        "results": _results(one, content, convert),
        "conclusion": text,
        "conclusion_code": choice(CONCLUSIONS),
        "performer": reference(*REPORTERS, *(TELLERS if one is None or one.present else ())),
        "encounter": reference("Encounter"),
        "based_on": reference("ServiceRequest"),
        "supports": reference("Condition"),
    }
    # Of an unknown examination nothing can be said of what belongs to some only.
    if one is None or one.kinds:
        readers["kind"] = choice(one.kinds) if one else text
    if one is None or one.has_images:
        readers |= {"imaging_study": reference("ImagingStudy"), "study_uid": _study_uid}
    if one is None or one.stated_procedure:
        readers["procedure"] = _procedure(content)
    got = fields(payload, place, readers, required=("patient", "examination", "taken_at"))
    if one and not got["results"] and got["conclusion"] is None and got["conclusion_code"] is None:
        place.at("results").refuse("required", "Expected at least one result, or a conclusion.")
    if not got["results"] and str(got["performer"]).startswith(TELLERS):
        place.at("performer").refuse("business-rule", "A conclusion without results is told by an examiner.")
    place.settle()
    return Examination(**got | {"results": tuple(got["results"] or ())})


def examination_view(one: Examination, content: Content) -> dict[str, Any]:
    """The examination in the clinic's JSON; reading it again gives the same examination."""
    view = {
        "patient": patient_view(one.patient),
        "examination": one.examination,
        "kind": one.kind,
        "taken_at": one.taken_at,
        "results": [result_view(each, content) for each in one.results],
        "conclusion": one.conclusion,
        "conclusion_code": one.conclusion_code,
        "performer": one.performer,
        "encounter": one.encounter,
        "based_on": one.based_on,
        "imaging_study": one.imaging_study,
        "study_uid": one.study_uid,
        "supports": one.supports,
        "procedure": site_view(one.procedure) if one.procedure else None,
    }
    return {key: value for key, value in view.items() if value is not None}


def examination_notes(one: Examination, content: Content) -> list[str]:
    """What was accepted without being checked, what was converted, and what deserves a second look."""
    kind = content.examinations.types[one.examination]
    notes = [note for index, each in enumerate(one.results) for note in _result_notes(each, index, kind, content)]
    means = [
        each.interpretation or (said.interpretation if (said := meaning_of(each, kind, content)) else None)
        for each in one.results
    ]
    if one.conclusion_code == "normal" and {"low", "high", "abnormal"} & set(means):
        notes.append("conclusion_code: normal was stated, and a result is not")
    if one.procedure:
        notes += [note for each in one.procedure.codings for note in misnamed(each, "procedure", content)]
    return notes


def interpretations_view(one: Examination, content: Content) -> list[dict[str, str]]:
    """What follows of each result where nothing was stated, and from what."""
    kind = content.examinations.types[one.examination]
    found = []
    for index, each in enumerate(one.results):
        said = meaning_of(each, kind, content)
        if said and not each.interpretation:
            told = {"result": f"results[{index}]", "parameter": each.parameter}
            found.append(told | {"interpretation": said.interpretation, "follows_from": said.basis})
    return found


def examination_type_view(one: ExaminationType, content: Content) -> dict[str, Any]:
    """What an examination tells, in which units and words, in the clinic's JSON."""
    view: dict[str, Any] = {
        "id": one.id,
        "title": one.title,
        "version": one.version,
        "source": one.source,
        "licence": one.licence,
        "kinds": [{"id": each.id, "label": each.label} for each in one.kinds.values()],
        "parameters": [_parameter_view(each, content) for each in one.parameters.values()],
    }
    return {key: value for key, value in view.items() if value != []}


def _parameter_view(one: Parameter, content: Content) -> dict[str, Any]:
    known = content.examinations
    found = {name: known.findings[name].coding.display for name in one.findings}
    view: dict[str, Any] = {
        "key": one.key,
        "label": one.label,
        "type": one.kind,
        "units": list(one.units),
        "low": one.low,
        "high": one.high,
        "options": [{"key": name, "label": label} for name, label in found.items()],
        "absent": one.can_be_absent or None,
        "needs": list(one.needs),
        "qualifiers": {name: list(known.qualifiers[name].answers) for name in one.qualifiers},
    }
    return {key: value for key, value in view.items() if value not in (None, [], {})}


def _named(payload: Any, content: Content) -> ExaminationType | None:
    name = payload.get("examination") if isinstance(payload, Mapping) else None
    return content.examinations.types.get(name) if isinstance(name, str) else None


def _results(one: ExaminationType | None, content: Content, convert: Convert) -> Reader:
    """A reader of the results; of an unknown examination nothing can be said but that they form an array."""
    read_one: Reader = result_reader(one, content, convert) if one else lambda value, place: None
    read_all = several(read_one, at_most=_MOST_RESULTS)

    def read(value: Any, place: Place) -> tuple[Result, ...]:
        results: tuple[Result, ...] = read_all(value, place)
        for index in repeated(results):
            told = "An earlier result is about the same; say what differs (site, side, nerve, stimulus), or send one."
            place.nth(index).refuse("business-rule", told)
        return results

    return read


def _study_uid(value: Any, place: Place) -> str | None:
    if isinstance(value, str) and len(value) <= 64 and _UID.fullmatch(value):
        return value
    place.refuse("value", "Expected a DICOM study instance UID: numbers with dots between them, at most 64 characters.")
    return None


def _procedure(content: Content) -> Reader:
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        concept: Concept | None = read_concept(value, place)
        refuse_other_kinds(concept, ("procedure",), place, content)
        return concept

    return read


def _result_notes(one: Result, index: int, kind: ExaminationType, content: Content) -> list[str]:
    path = f"results[{index}]"
    notes = unchecked_site(one.body_site, f"{path}.body_site", content)
    known = content.examinations.qualifiers
    notes += [
        f"{path}.{name} was not checked: not in the list of {known[name].system.rpartition('/')[2]}"
        for name, said in one.qualifiers.items()
        if said not in known[name].answers.values()
    ]
    if one.was_converted:
        notes.append(f"{path} was sent in another unit and is kept in {one.unit}")
    limit = kind.skin_temperature
    if limit and one.skin_temperature is not None and one.skin_temperature < limit.warn_below:
        notes.append(f"{path}.skin_temperature is below {limit.warn_below} {limit.unit}: cold slows conduction")
    return notes
