"""What the rules say of a record as DetectedIssues, there and back.

A raised rule is a final issue, a rule that lacks data a preliminary one. They stand beside the record they are about
and name it first among what they implicate; the record itself says nothing of them.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

from app.mapping.elements import (
    Element,
    Key,
    Resource,
    anchored_ids,
    code_in,
    codeable,
    extension,
    extensions,
    finished,
    head,
    is_error,
    part_id,
    recognising,
    reference,
)
from app.pain.content import Content
from app.pain.diagnoses.grading import DataNeeded
from app.pain.rules.results import Finding, RuleResults, Severity
from app.profiles import canonical

TYPE = "DetectedIssue"
_CANCELLED = "cancelled"
_SEVERITY: dict[Severity, str] = {"block": "high", "warn": "moderate", "info": "low"}
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")


def detected_issues(
    results: RuleResults,
    content: Content,
    *,
    patient_ref: str,
    implicated: Sequence[str],
    identified: str,
    override: Mapping[str, str] | None = None,
    previous: Sequence[Resource] = (),
    places: Mapping[str, str] | None = None,
) -> list[Resource]:
    """One issue for each raised rule and each rule that lacks data, then those of before that no longer hold.

    implicated: what the record is anchored in, e.g. ["CarePlan/7"]; ids follow from it, so that the same rule is the
    same issue in every version.  identified: dateTime of the judgement; an issue that stays what it was keeps its own.
    override: rule id -> reason to go ahead.  places: what a place in what was sent has become, e.g.
    {"activities[0]": "MedicationRequest/8"}.
    """
    anchor_id = implicated[0].partition("/")[2]
    before = _keyed(previous, anchor_id, content)
    id_of = anchored_ids(anchor_id, {key: one["id"] for key, one in before.items()})
    common = {"patient": reference(patient_ref), "identifiedDateTime": identified}
    fresh: dict[Key, Resource] = {}
    for rule, part in _parts(results, implicated, override or {}, places or {}, identified):
        key = _key(rule, fresh)
        made = head(TYPE, id_of(key), "guideline-finding") | common | part
        made["code"] = codeable(content.own("np-rule", rule))
        fresh[key] = _merged(before.get(key), finished(_dated(before.get(key), made)))
    gone = [one for key, one in before.items() if key not in fresh]
    return [*fresh.values(), *(one if is_error(one) else one | {"status": _CANCELLED} for one in gone)]


@recognising
def results_of(issues: Iterable[Resource], content: Content) -> RuleResults:
    """What the issues of a record say, as it was told when they were written. Those that no longer hold say nothing."""
    told = sorted(issues, key=lambda one: _rule(one, content))
    live = [one for one in told if one["status"] != _CANCELLED and not is_error(one)]
    raised = [one for one in live if one["status"] != "preliminary"]
    lacking = [one for one in live if one["status"] == "preliminary"]
    needs = [DataNeeded(_rule(one, content), tuple(e["valueCode"] for e in _missing(one))) for one in lacking]
    return RuleResults(tuple(_finding(one, content) for one in raised), tuple(needs))


def _parts(
    results: RuleResults,
    implicated: Sequence[str],
    override: Mapping[str, str],
    places: Mapping[str, str],
    identified: str,
) -> Iterator[tuple[str, Element]]:
    """What tells one issue from another, with its rule."""
    for finding in results.findings:
        reason = override.get(finding.rule)
        yield finding.rule, _raised(finding, implicated, places) | _overridden(reason, identified)
    for need in results.data_needed:
        yield need.rule, _lacking(need, implicated)


def _key(rule: str, taken: Container[Key]) -> Key:
    """What an issue is about: its rule, and a number where the rule has said more than one thing."""
    return next(key for key in _keys(rule) if key not in taken)


def _keys(rule: str, most: int | None = None) -> Iterator[Key]:
    return ((TYPE, f"{rule}/{number}") for number in islice(count(), most))


def _raised(finding: Finding, implicated: Sequence[str], places: Mapping[str, str]) -> Element:
    evidence = [_evidence(one, places) for one in finding.evidence]
    links = [link["reference"] for one in evidence for link in one.get("detail", [])]
    source = [{"url": "citation", "valueString": finding.citation}, {"url": "year", "valueDate": f"{finding.year:04d}"}]
    return {
        "extension": [extension("rule-source", extension=source)],
        "status": "final",
        "severity": _SEVERITY[finding.severity],
        "implicated": [reference(one) for one in dict.fromkeys([*implicated, *links])],
        "evidence": evidence,
        "detail": finding.message,
    }


def _lacking(need: DataNeeded, implicated: Sequence[str]) -> Element:
    return {
        "extension": [extension("data-needed", valueCode=one) for one in need.missing],
        "status": "preliminary",
        "implicated": [reference(one) for one in implicated],
        "detail": f"Data needed: {', '.join(need.missing)}.",
    }


def _overridden(reason: str | None, at: str) -> Element:
    return {"mitigation": [{"action": {"text": reason}, "date": at}]} if reason else {}


def _evidence(one: str, places: Mapping[str, str]) -> Element:
    """What raised a rule: a resource by reference, a place in what was sent by its name, with what it has become."""
    if _REFERENCE.fullmatch(one):
        return {"detail": [reference(one)]}
    made: Element = {"code": [{"text": one}]}
    return made | ({"detail": [reference(places[one])]} if one in places else {})


def _finding(issue: Resource, content: Content) -> Finding:
    severities = {code: name for name, code in _SEVERITY.items()}
    source: dict[str, Any] = {e["url"]: e for found in extensions(issue, "rule-source") for e in found["extension"]}
    return Finding(
        rule=_rule(issue, content),
        severity=severities[issue["severity"]],
        message=issue["detail"],
        citation=source["citation"]["valueString"],
        year=int(source["year"]["valueDate"]),
        evidence=tuple(_evidence_of(one) for one in issue.get("evidence", [])),
    )


def _evidence_of(element: Element) -> str:
    said = next((one["text"] for one in element.get("code", [])), None)
    return said or str(element["detail"][0]["reference"])


def _missing(issue: Resource) -> list[Element]:
    return extensions(issue, "data-needed")


def _rule(issue: Resource, content: Content) -> str:
    rule = code_in(issue["code"], content.systems["np-rule"])
    if rule is None:
        raise ValueError("an issue names no rule")
    return rule


@recognising
def _keyed(issues: Sequence[Resource], anchor_id: str, content: Content) -> dict[Key, Resource]:
    """The issues by what they are about: those this service wrote by the key their id follows from, then others."""
    own = {part_id(anchor_id, key[1]): key for one in issues for key in _keys(_rule(one, content), len(issues))}
    found = {own[one["id"]]: one for one in issues if one["id"] in own}
    for one in (one for one in issues if one["id"] not in own):
        found[_key(_rule(one, content), found)] = one
    return found


def _dated(before: Resource | None, made: Resource) -> Resource:
    """The issue with the times of before for what holds since then: a judgement that stays the same is not new."""
    if before is None or before["status"] != made["status"]:
        return made
    dates = {one["action"].get("text"): one.get("date") for one in before.get("mitigation", [])}
    reasons = [one | {"date": dates.get(one["action"]["text"]) or one["date"]} for one in made.get("mitigation", [])]
    since = {"identifiedDateTime": before.get("identifiedDateTime", made["identifiedDateTime"])}
    return made | since | ({"mitigation": reasons} if reasons else {})


def _merged(before: Resource | None, fresh: Resource) -> Resource:
    """The issue as it is judged now, with what others have added to the one of before."""
    if before is None:
        return fresh
    theirs = {key: value for key, value in before.items() if key not in _OWN}
    made = theirs | fresh | {"meta": before["meta"]}
    added = [one for one in before.get("extension", []) if one["url"] not in _EXTENSIONS]
    mitigated = [one for one in before.get("mitigation", []) if not _is_reason(one)]
    more = {"extension": [*fresh["extension"], *added], "mitigation": [*fresh.get("mitigation", []), *mitigated]}
    return finished(made | more)


def _is_reason(mitigation: Element) -> bool:
    """Whether a mitigation is the reason given with a plan: words alone, with nobody named who did it."""
    return set(mitigation) <= {"action", "date"} and set(mitigation["action"]) == {"text"}


_EXTENSIONS = tuple(canonical("StructureDefinition", name) for name in ("rule-source", "data-needed"))
_OWN = ("extension", "status", "severity", "implicated", "evidence", "detail", "mitigation", "identifiedDateTime")
