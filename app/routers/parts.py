"""Which part of a resource a read or a history is to show: `_summary` and `_elements` (R4 3.1.0.2)."""

from collections.abc import Iterable

from fastapi import Request

from app.fhir.outcomes import Issue, Refused
from app.fhir.subset import SUMMARIES, Subset, asked

DESCRIBED = {
    "_summary": "true, text, data or false: only these elements.",
    "_elements": "Names of elements, separated by commas: only these, and what is mandatory.",
}


def part(request: Request, types: Iterable[str], *, counts: bool = False) -> Subset | None:
    """The part asked for, None for the whole. types: those that can be answered. counts: whether there is a total.

    Raises Refused for a summary or an element that is not there, and for a parameter without a value.
    """
    given = {name: request.query_params[name] for name in DESCRIBED if name in request.query_params}
    issues = [Issue("value", f"{name} is empty.", name) for name, value in given.items() if not value.strip(" ,")]
    if given.get("_summary") == "count" and not counts:
        offered = ", ".join(each for each in SUMMARIES if each != "count")
        issues.append(Issue("value", f"_summary must be one of {offered}: there is nothing to count.", "_summary"))
    if issues:
        raise Refused(issues)
    return asked(given.get("_summary", ""), given.get("_elements", ""), types)
