"""What is asked of a cohort: the parameters of GET /pain/cohort/outcomes, each read with every problem at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.pain.cohort.content import CohortContent, Scale, Window

PARAMETERS: Mapping[str, str] = {
    "score": "The score that is compared, which says scale and recall period: id of an intensity of an instrument, "
    "e.g. nrs-average-7d (the default).",
    "from": "First day treatments began, e.g. 2025-01-01; also a month or a year.",
    "until": "Last day treatments began; also a month or a year.",
    "diagnosis": "One group of diagnoses, e.g. diabetic-neuropathy; not-stated and other are groups too.",
    "window": "When a follow-up counts, e.g. 12-weeks (the default), 4-weeks, 6-months, any.",
    "sql": "true: the statement the database was asked stands in the answer.",
}
# Groups of what is not of our list: the diagnosis is not known there, or the treatment names none.
OTHERS: Mapping[str, str] = {"other": "Another diagnosis", "not-stated": "No diagnosis stated"}
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
# Beyond every date.
_EVER = (-(2**61), 2**61)


@dataclass(frozen=True, slots=True)
class CohortAsked:
    """begun: microseconds, the first and the first after them. began: as it was asked. diagnosis: "" for all."""

    score: Scale
    window: Window
    diagnosis: str
    begun: tuple[int, int]
    began: Mapping[str, str]
    shows_sql: bool


def read(given: Mapping[str, str], content: CohortContent) -> CohortAsked:
    """Raises Refused with a sentence for each parameter that is wrong. given: each at most once."""
    issues: list[Issue] = []

    def one_of(name: str, known: object, default: str) -> str:
        value, allowed = given.get(name, default), list(known)  # type: ignore[call-overload]
        if value in allowed or value == default:
            return value
        issues.append(Issue("value", f"{name} must be one of {', '.join(allowed)}.", name))
        return default

    score = one_of("score", content.scales, content.score)
    window = one_of("window", content.windows, next(iter(content.windows)))
    diagnosis = one_of("diagnosis", [*content.diagnoses, *OTHERS], "")
    if given.get("diagnosis") == "":
        issues.append(Issue("value", "diagnosis is empty: leave it out to ask for all.", "diagnosis"))
    shows_sql = one_of("sql", ("true", "false"), "false") == "true"
    edges = [_edge(name, given.get(name), issues) for name in ("from", "until")]
    first, past = (edges[0] or (_EVER[0], 0))[0], (edges[1] or (0, _EVER[1]))[1]
    if first >= past:
        issues.append(Issue("value", "until lies before from.", "until"))
    if issues:
        raise Refused(issues)
    began = {name: given[name] for name in ("from", "until") if name in given}
    return CohortAsked(content.scales[score], content.windows[window], diagnosis, (first, past), began, shows_sql)


def _edge(name: str, value: str | None, issues: list[Issue]) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        if _DATE.fullmatch(value):
            return period(value)
    except (ValueError, OverflowError):
        pass
    told = f"{name} must be a day, a month or a year, such as 2025-06-30, 2025-06 or 2025."
    issues.append(Issue("value", told, name))
    return None
