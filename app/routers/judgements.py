"""What the rules say of a record, in the clinic's JSON: beside what was stored, or instead of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, operation_outcome
from app.intake.records import Record, Records, name
from app.mapping.clinic import Kind
from app.mapping.detected_issue import detected_issues, results_of
from app.mapping.elements import Resource
from app.mapping.judging import Bench, Judged
from app.pain.diagnoses.grading import needs_view
from app.pain.rules.results import Finding, RuleResults, findings_view
from app.routers import exchange
from app.routers.exchange import service
from app.store.idempotency import Answer


async def judged(request: Request, kind: Kind, clinical: Any, here: Records, found: Record | None = None) -> Judged:
    """The record as the rules see it. found: the stored one it amends, which then does not count."""
    parts = service(request)
    if kind.judging is None:
        return Judged(clinical, RuleResults())
    bench = await here.bench(kind, clinical, base_of(request), found)
    return kind.judging.judge(clinical, parts.content, bench)


def base_of(request: Request) -> Bench:
    """What the settings say about judging, today; nobody's record yet."""
    parts = service(request)
    today = datetime.fromtimestamp(parts.clock() / 1_000_000, UTC).date()
    return Bench(today, parts.settings.guideline, parts.settings.jurisdiction)


def issues_of(
    request: Request,
    kind: Kind,
    one: Judged,
    resources: Sequence[Resource],
    patient_ref: str,
    previous: Sequence[Resource] = (),
) -> list[Resource]:
    """What is stored of the judgement beside the resources of the record."""
    if kind.judging is None:
        return []
    parts = service(request)
    return detected_issues(
        one.results,
        parts.content,
        patient_ref=patient_ref,
        implicated=[name(resources[0])],
        identified=instant(parts.clock()),
        override=kind.judging.reasons(one.clinical) if kind.judging.reasons else {},
        previous=previous,
        places=kind.judging.places(resources, parts.content),
    )


def told(kind: Kind, results: RuleResults) -> dict[str, Any]:
    """What the answer tells of a judgement; a record that is not judged tells its own."""
    if kind.judging is None:
        return {}
    return {"findings": findings_view(results.findings), "data_needed": needs_view(results.data_needed)}


def stored(request: Request, kind: Kind, found: Record) -> RuleResults:
    """What the rules said when the record was written."""
    return results_of(found.issues, service(request).content) if kind.judging else RuleResults()


def refused(request: Request, kind: Kind, one: Judged, notes: Sequence[str]) -> Response | None:
    """The answer to a record that a rule blocks and that gives no reason to go ahead; nothing is stored."""
    blocking = kind.judging.blocking(one) if kind.judging else []
    if not blocking:
        return None
    answer = {
        **told(kind, one.results),
        "rules_checked": list(one.results.checked),
        "notes": list(notes),
        "resources": [],
        "outcome": operation_outcome(_issue(finding) for finding in blocking),
    }
    return exchange.respond(request, Answer(422, lossless.dumps(answer)), "application/json")


def _issue(finding: Finding) -> Issue:
    """A block as an issue: where it lies in what was sent, if that is where it lies."""
    inside = (place for place in finding.evidence if "/" not in place)
    advice = f'Change the plan, or give a reason to go ahead: {{"override": {{"{finding.rule}": "…"}}}}.'
    return Issue("business-rule", f"{finding.rule}: {finding.message}", next(inside, ""), suggestion=advice)
