"""What a guideline or safety rule says of a patient: raised, or data needed; a rule that is neither says nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from app.pain.diagnoses.grading import DataNeeded

Severity = Literal["block", "warn", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was raised.

    rule: its id, e.g. "NPR06".  message: what is wrong and what may be done.  citation, year: what the rule rests on.
    evidence: references, e.g. "Observation/7", and places in what was sent, e.g. "activities[0]", that raised it.
    """

    rule: str
    severity: Severity
    message: str
    citation: str
    year: int
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleResults:
    """checked: ids of all rules that ran, raised or not.  notes: what could not be considered, and why."""

    findings: tuple[Finding, ...] = ()
    data_needed: tuple[DataNeeded, ...] = ()
    checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def findings_view(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings in the clinic's JSON."""
    return [
        {
            "rule": one.rule,
            "severity": one.severity,
            "message": one.message,
            "citation": one.citation,
            "year": one.year,
            "evidence": list(one.evidence),
        }
        for one in findings
    ]
