"""An examination as DiagnosticReport, its Observations and, where it is a procedure of its own, a Procedure."""

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
    finished,
    fixed,
    head,
    identifier_system,
    kept_ids,
    live,
    new_ids,
    only,
    recognising,
    reference,
    standard_extension,
    standard_extensions,
    target,
)
from app.mapping.reports.result import observation, result_of
from app.mapping.revision import amended
from app.pain.concepts import Coding, Concept
from app.pain.content import Content
from app.pain.examinations.examinations import CONCLUSIONS, TELLERS, Examination
from app.pain.examinations.results import Result
from app.pain.examinations.types import ExaminationType

_REPORT: Key = ("DiagnosticReport",)
_PROCEDURE: Key = ("Procedure",)
_URN = "urn:oid:"


def examination_to_fhir(
    one: Examination, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The DiagnosticReport, then one Observation for each result, then the Procedure if there is one."""
    return _written(one, content, patient_ref, new_ids(ids))


def amend_examination(
    previous: Sequence[Resource], one: Examination, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The next versions: the same report, the same ids for results about the same (parameter, site, side, nerve, …);
    results taken back are entered in error."""
    report = only(previous, "DiagnosticReport")
    kind = _kind_of(report, content)
    known: dict[Key, str] = {_REPORT: report["id"]}
    for part in live(previous)[1:]:
        key = _PROCEDURE if part["resourceType"] == "Procedure" else _key(result_of(part, kind, content))
        known[key] = part["id"]
    return amended(previous, _written(one, content, patient_ref, kept_ids(known, ids)))


@recognising
def examination_from_fhir(resources: Sequence[Resource], content: Content) -> Examination:
    """The examination its resources (the report first) were written from, with the patient's reference.

    Raises Unrecognised. Parts entered in error are left aside, unless the whole is.
    """
    counted = live(resources)
    report = only(counted, "DiagnosticReport")
    kind = _kind_of(report, content)
    observed = [each for each in counted if each["resourceType"] == "Observation"]
    done = next((each for each in counted if each["resourceType"] == "Procedure"), {})
    said = code_in(next(iter(report.get("conclusionCode", [])), None), content.systems["np-finding"])
    return Examination(
        patient=report["subject"]["reference"],
        examination=kind.id,
        taken_at=report["effectiveDateTime"],
        results=tuple(result_of(each, kind, content) for each in observed),
        kind=_which(report, kind, content),
        conclusion=report.get("conclusion"),
        conclusion_code=said if said in CONCLUSIONS else None,
        performer=_first(report.get("performer")) or _first(next(iter(observed), {}).get("performer")),
        encounter=target(report.get("encounter")),
        based_on=_first(report.get("basedOn")),
        imaging_study=_first(report.get("imagingStudy")),
        study_uid=_uid_of(report),
        supports=_first([each["valueReference"] for each in standard_extensions(report, "reason")]),
        procedure=concept_of(done.get("code")) if kind.stated_procedure else None,
    )


def _written(one: Examination, content: Content, patient_ref: str, id_of: IdOf) -> list[Resource]:
    kind = content.examinations.types[one.examination]
    report_id = id_of(_REPORT)
    has_procedure = kind.is_procedure and not (kind.stated_procedure and one.procedure is None)
    procedure_ref = f"Procedure/{id_of(_PROCEDURE)}" if has_procedure else None
    performer = reference(one.performer)
    common: Element = {
        "partOf": [reference(procedure_ref)] if procedure_ref else None,
        "status": "final",
        "subject": reference(patient_ref),
        "encounter": reference(one.encounter),
        "effectiveDateTime": one.taken_at,
        "performer": [performer] if performer else None,
    }
    results = [observation(each, kind, common, id_of(_key(each)), content) for each in one.results]
    report = _report(one, kind, common, report_id, content)
    report["result"] = [reference(f"Observation/{each['id']}") for each in results]
    made = [finished(report), *results]
    if procedure_ref:
        made.append(_procedure(one, kind, procedure_ref, report, content))
    return made


def _report(one: Examination, kind: ExaminationType, common: Element, report_id: str, content: Content) -> Resource:
    # R4's DiagnosticReport has no partOf and no reason: HL7's standard extensions say both.
    parts = [standard_extension("part-of", each) for each in common["partOf"] or ()]
    reasons = [standard_extension("reason", each) for each in (reference(one.supports),) if each]
    reporter = common["performer"] if one.performer and not one.performer.startswith(TELLERS) else None
    said = one.conclusion_code
    return (
        head("DiagnosticReport", report_id, "pain-diagnostic-report")
        | {name: value for name, value in common.items() if name != "partOf"}
        | {
            "extension": parts + reasons,
            "category": [codeable(fixed(kind.category))],
            "code": _code(one, kind),
            "performer": reporter,
            "basedOn": [reference(one.based_on)] if one.based_on else None,
            "imagingStudy": _images(one),
            "conclusion": one.conclusion,
            "conclusionCode": [codeable(content.examinations.findings[said].coding)] if said else None,
        }
    )


def _code(one: Examination, kind: ExaminationType) -> Element:
    which = kind.kinds.get(one.kind or "")
    if which is None:
        return codeable(*kind.codings, kind.coding, text=kind.title)
    return codeable(*which.codings, *kind.codings, which.coding, kind.coding, text=which.coding.display)


def _images(one: Examination) -> list[Element] | None:
    """The study by reference, by its UID, or both: the images themselves stay where they are."""
    made: Element = reference(one.imaging_study) or {}
    if one.study_uid:
        made = made | {"identifier": {"system": identifier_system("dicom-uid"), "value": f"{_URN}{one.study_uid}"}}
    return [made] if made else None


def _procedure(one: Examination, kind: ExaminationType, ref: str, report: Resource, content: Content) -> Resource:
    made = head("Procedure", ref.rpartition("/")[2], "pain-procedure") | {
        "status": "completed",
        "code": concept_element(one.procedure) or codeable(*_procedure_codes(one, kind), kind.coding, text=kind.title),
        "subject": report["subject"],
        "encounter": report["encounter"],
        "performedDateTime": one.taken_at,
        "performer": [{"actor": each} for each in report["performer"] or ()],
        "basedOn": report["basedOn"],
        "reasonReference": [reference(one.supports)] if one.supports else None,
        "report": [reference(f"DiagnosticReport/{report['id']}")],
    }
    return finished(made)


def _procedure_codes(one: Examination, kind: ExaminationType) -> list[Coding]:
    which = kind.kinds.get(one.kind or "")
    fitting = [each.coding for each in kind.procedure if _fits(one, each.site, each.laterality)]
    return [*(which.procedure if which else ()), *fitting]


def _fits(one: Examination, site: tuple[str, str] | None, side: str) -> bool:
    if site is None:
        return True
    places = [(each.body_site, each.laterality) for each in one.results]
    return bool(places) and all(where and site in _keys(where) and of == side for where, of in places)


def _keys(concept: Concept) -> list[tuple[str, str]]:
    return [each.key for each in concept.codings]


def _kind_of(report: Resource, content: Content) -> ExaminationType:
    codes = [each.get("code") for each in _own(report, content)]
    found = next((one for one in content.examinations.types.values() if one.id in codes), None)
    if found is None:
        raise Unrecognised("the report has no code of an examination of ours")
    return found


def _which(report: Resource, kind: ExaminationType, content: Content) -> str | None:
    codes = [each.get("code") for each in _own(report, content)]
    return next((name for name, one in kind.kinds.items() if one.coding.code in codes), None)


def _own(report: Resource, content: Content) -> list[Element]:
    rows: list[Element] = report.get("code", {}).get("coding", [])
    return [each for each in rows if each.get("system") == content.systems["np-test"]]


def _uid_of(report: Resource) -> str | None:
    system = identifier_system("dicom-uid")
    named = (each.get("identifier", {}) for each in report.get("imagingStudy", []))
    return next((one["value"].removeprefix(_URN) for one in named if one.get("system") == system), None)


def _first(elements: Sequence[Element] | None) -> str | None:
    return next((found for each in elements or () if (found := target(each))), None)


def _key(one: Result) -> Key:
    return ("Observation", *one.about)
