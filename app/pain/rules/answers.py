"""Three-valued answers of rules: yes, no, or not known for lack of named facts (Kleene's strong logic)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Answer:
    """truth: None where it cannot be told.  evidence: what makes it true.  missing: what could settle it.
    details: sentences with the numbers that make it true."""

    truth: bool | None
    evidence: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


NO = Answer(False)


def yes(*evidence: str) -> Answer:
    return Answer(True, evidence)


def unknown(*missing: str) -> Answer:
    return Answer(None, (), missing)


def told(truth: bool, *evidence: str) -> Answer:
    return yes(*evidence) if truth else NO


def every(answers: Iterable[Answer]) -> Answer:
    """Yes if all are; no as soon as one is, so that facts that cannot change it are not asked for, nor worked out."""
    known: list[Answer] = []
    for one in answers:
        if one.truth is False:
            return NO
        known.append(one)
    return _open(known) or _all_of(known)


def some(answers: Iterable[Answer]) -> Answer:
    """Yes if one is, with the evidence of all that are."""
    known = list(answers)
    raised = [one for one in known if one.truth]
    return _all_of(raised) if raised else _open(known) or NO


def negated(one: Answer) -> Answer:
    """What is not there has no evidence to point to."""
    return replace(one, truth=None if one.truth is None else not one.truth, evidence=(), details=())


def _all_of(answers: Iterable[Answer]) -> Answer:
    known = list(answers)
    return Answer(True, _joined(one.evidence for one in known), (), _joined(one.details for one in known))


def _open(answers: Iterable[Answer]) -> Answer | None:
    unsettled = [one for one in answers if one.truth is None]
    return unknown(*_joined(one.missing for one in unsettled)) if unsettled else None


def _joined(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for part in parts for word in part))
