"""Answers that ask for action whatever the score says, as the instrument's content file lists them."""

from collections.abc import Mapping

from app.pain.diagnoses.grading import DataNeeded
from app.pain.instruments.scoring import points
from app.pain.instruments.types import Answer, Instrument, Safety
from app.pain.rules.results import Finding, RuleResults


def safety(instrument: Instrument, answers: Mapping[str, Answer]) -> RuleResults:
    """What the answers raise. An item that was left out is data needed: silence is no "no"."""
    asked = [rule for rule in instrument.safety if rule.item in answers]
    raised = [rule for rule in asked if points(instrument.item(rule.item), answers[rule.item]) >= rule.at_least]
    lacking = [rule for rule in instrument.safety if rule.item not in answers]
    return RuleResults(
        findings=tuple(map(_finding, raised)),
        data_needed=tuple(DataNeeded(rule.id, (_place(rule),)) for rule in lacking),
        checked=tuple(rule.id for rule in instrument.safety),
    )


def _finding(rule: Safety) -> Finding:
    return Finding(rule.id, rule.severity, rule.message, rule.citation, rule.year, (_place(rule),))


def _place(rule: Safety) -> str:
    return f"answers.{rule.item}"
