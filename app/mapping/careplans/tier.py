"""How well established an activity is for neuropathic pain, as its request says it."""

from collections.abc import Mapping

from app.mapping.elements import Element, codeable, extension
from app.pain.content import Content
from app.pain.plans.activities import Activity

# The line of a guideline edition in our own words. "specialist" stands outside the lines and says no tier.
LINES: Mapping[str, str] = {"first": "established", "second": "second-line", "third": "third-line"}
_SYSTEM = "np-evidence-tier"


def tier(one: Activity, content: Content, edition: str | None) -> list[Element]:
    """The tier by the line a guideline edition gives, which its text names; else the one our list of therapies says."""
    found = content.therapies.of(one.code) if one.code else content.therapies.rows.get(one.therapy or "")
    if stated := _by_line(one, found.id if found else None, content, edition or ""):
        return _extension(stated)
    if found is None or found.kind not in content.codes(_SYSTEM):
        return []
    return _extension(codeable(content.own(_SYSTEM, found.kind)))


def _by_line(one: Activity, therapy: str | None, content: Content, edition: str) -> Element | None:
    """The tier of the line an edition gives; none where the edition was withdrawn since, or speaks of no such thing."""
    known = content.guidelines.editions.get(edition)
    if known is None or not (one.drug or therapy):
        return None
    line = content.guidelines.line_of(one.drug, therapy, edition)
    if line is None or line not in LINES:
        return None
    stated = content.own(_SYSTEM, LINES[line])
    return codeable(stated, text=f"{stated.display}: {line} line of {known.title}")


def _extension(concept: Element) -> list[Element]:
    return [extension("evidence-tier", valueCodeableConcept=concept)]
