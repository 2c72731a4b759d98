"""What the guideline rules say of a patient and a plan: raised, data needed, or nothing. Pure; rules are content."""

from collections.abc import Iterable

from app.pain.diagnoses.grading import DataNeeded
from app.pain.rules.answers import Answer
from app.pain.rules.case import Asked
from app.pain.rules.facts import Facts
from app.pain.rules.guidelines import Guidelines, Rule
from app.pain.rules.medicines import Taken
from app.pain.rules.results import Finding, RuleResults


def evaluate(facts: Facts, guidelines: Guidelines, *, edition: str, jurisdiction: str) -> RuleResults:
    """Runs every rule. The order of the facts does not matter.

    edition, jurisdiction: keys of guidelines.editions and guidelines.renal; another raises KeyError.
    """
    asked = _asked(facts, guidelines, edition, jurisdiction)
    results = [_result(rule, asked) for rule in guidelines.rules]
    needed = tuple(one for one in results if isinstance(one, DataNeeded))
    return RuleResults(
        findings=tuple(one for one in results if isinstance(one, Finding)),
        data_needed=needed,
        checked=tuple(rule.id for rule in guidelines.rules),
        notes=(*_unrecognised(asked.medicines), *_never_instead(needed, asked, guidelines)),
    )


def _asked(facts: Facts, guidelines: Guidelines, edition: str, jurisdiction: str) -> Asked:
    return Asked(
        facts=facts,
        medicines=tuple(guidelines.pharmacy.taken(one) for one in facts.medicines),
        classes=guidelines.classes,
        conditions=guidelines.conditions,
        procedures=guidelines.procedures,
        devices=guidelines.devices,
        words=guidelines.words,
        site_kinds=guidelines.site_kinds,
        catalogue=guidelines.catalogue,
        implied=guidelines.implied,
        edition=guidelines.editions[edition],
        renal=guidelines.renal[jurisdiction],
        morphine=guidelines.morphine,
    )


def _result(rule: Rule, asked: Asked) -> Finding | DataNeeded | None:
    """The gravest case that holds; data needed where none does and one could."""
    answers = [(case, case.when.ask(asked)) for case in rule.cases]
    for index, (case, answer) in enumerate(answers):
        if answer.truth:
            return _finding(rule, case.severity, case.message, answer, [one for _, one in answers[:index]], asked)
    missing = _missing(answer for _, answer in answers)
    return DataNeeded(rule.id, missing) if missing else None


def _finding(
    rule: Rule, severity: str, message: str, answer: Answer, graver: Iterable[Answer], asked: Asked
) -> Finding:
    more = [one.message for one in rule.more if one.when.ask(asked).truth]
    unsettled = _missing(graver)
    if unsettled:
        more.append(f"It may be graver: not known is {', '.join(unsettled)}.")
    return Finding(
        rule=rule.id,
        severity=severity,  # type: ignore[arg-type]
        message=" ".join([message, *sorted(set(answer.details)), *more]),
        citation=rule.citation,
        year=rule.year,
        evidence=tuple(sorted(set(answer.evidence))),
    )


def _missing(answers: Iterable[Answer]) -> tuple[str, ...]:
    return tuple(sorted({word for one in answers if one.truth is None for word in one.missing}))


def _unrecognised(medicines: Iterable[Taken]) -> list[str]:
    sources = sorted({one.source for one in medicines if not one.substances})
    said = "medicine not recognised; rules about medicines could not consider it"
    return [f"{', '.join(sources)}: {said}"] if sources else []


def _never_instead(needed: Iterable[DataNeeded], asked: Asked, guidelines: Guidelines) -> list[str]:
    """Where a fact is missing and another one is known that must not stand in for it, that it did not."""
    missing = {fact for one in needed for fact in one.missing}
    rows = [(fact, *row) for fact, row in guidelines.never.items() if fact in missing]
    return [because for _, other, because in rows if asked.stated(other) is not None]
