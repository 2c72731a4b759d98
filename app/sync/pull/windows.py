"""What is read of a target, in which way, and how far a window of it has come; nothing is done here."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl

from app.fhir.instants import instant
from app.store.tables import Pull
from app.sync.capabilities import Plan
from app.sync.pull.pages import CameAgain, Page, UnusablePage

Mode = Literal["history", "search", "full", "ids"]
Pairs = list[tuple[str, str]]

# What others refer to comes first, so that references lead somewhere; the rest by name.
_FIRST = (
    *("Organization", "Location", "Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Group"),
    *("Substance", "Medication", "Device", "EpisodeOfCare", "Encounter", "Condition", "Specimen", "Media"),
    *("Questionnaire", "PlanDefinition", "ServiceRequest", "QuestionnaireResponse", "Observation"),
)
_LAST = ("List", "Composition", "Bundle", "Provenance")
IDS = "?_elements=id"
# Links that lead on for ever are told from a long list by this: at 200 a page, 20 million resources.
_MOST_PAGES = 100_000
# A server that can tell what changed neither by history nor by _lastUpdated is read whole, and deletions are looked for
# one by one where no history tells them: both no more often than this.
_SLOW_SECONDS = 3_600.0


def reads(plan: Plan, types: Collection[str], filters: Mapping[str, Sequence[str]]) -> dict[str, Mode]:
    """What is to be read -> how, in the order in which it is read. filters: the searches of a type, by type."""
    found: dict[str, Mode] = {}
    for name in in_order(types):
        if name in plan.history_types():
            found[name] = "history"
            continue
        mode: Mode = "search" if plan.can_search_last_updated(name) else "full"
        found |= dict.fromkeys((f"{name}?{each}" for each in filters.get(name, ())), mode) or {name: mode}
    return found | {f"{name}{IDS}": "ids" for name in in_order(types) if name not in plan.history_types()}


def in_order(types: Collection[str]) -> list[str]:
    """Types in the order in which they are read."""
    place = {name: number - len(_FIRST) for number, name in enumerate(_FIRST)}
    place |= {name: number + 1 for number, name in enumerate(_LAST)}
    return sorted(types, key=lambda name: (place.get(name, 0), name))


def conditions(read: str, filters: Mapping[str, Sequence[str]], profiles: Sequence[str]) -> list[Pairs]:
    """The searches of which a resource must meet one, [[]] for none. A read that is a search has its own."""
    name, _, query = read.partition("?")
    asked = [query] if query else [*filters.get(name, ())] or [""]
    claimed = [("_profile", ",".join(profiles))] if profiles else []
    return [[*parse_qsl(each, keep_blank_values=True), *claimed] for each in asked]


def mode_of(row: Pull, mode: str, *, can_search: bool) -> str:
    """How the next window is read. What is there at first is searched: its history may be many times as long."""
    return "search" if mode == "history" and not row.watermark and can_search else mode


def path_and_pairs(row: Pull, mode: str, *, count: int, overlap: int, asked: Pairs) -> tuple[str, Pairs]:
    """Where a window begins: at the watermark less the overlap, by the target's clock, that moment included."""
    name = row.type.partition("?")[0]
    since = instant(max(0, row.watermark - overlap)) if row.watermark else ""
    counted = [("_count", str(count))]
    if mode == "history":
        return f"{name}/_history", [*([("_since", since)] if since else []), *counted]
    if mode == "full":
        return name, [*asked, *counted]
    return name, [*asked, *([("_lastUpdated", f"ge{since}")] if since else []), ("_sort", "_lastUpdated"), *counted]


def begun(row: Pull, page: Page, mode: str, *, there: int) -> Pull:
    """A window with its first page at hand. there: the time of the target, 0 where it does not say.

    One that is begun again has begun when it did first: what was taken over then may be deleted by now.
    """
    return changed(row, mode=mode, started=row.started or there or page.newest)


def moved(row: Pull, page: Page) -> Pull:
    """Where reading stands after a page that is not the last. Raises UnusablePage where pages lead in a circle."""
    number = row.pages + 1
    if row.mark and page.fingerprint == row.mark:
        raise CameAgain("A page came again: its links lead in a circle.")
    if number > _MOST_PAGES:
        raise UnusablePage(f"Its links lead on after {_MOST_PAGES} pages; there is no end to be seen.")
    return changed(
        row,
        high=max(row.high, page.newest),
        next_link=page.next,
        # Brent's way to notice a circle of any length (BIT 1980;20:176-184): a page is remembered, then one twice as
        # far.
        mark=page.fingerprint if number & (number - 1) == 0 else row.mark,
        pages=number,
        not_before=0,
        # A window that was begun again has not come further than before with its first page.
        failures=0 if row.pages else row.failures,
        error="" if row.pages else row.error,
    )


def ended(row: Pull, page: Page, *, follows: bool, now: int, seconds: float, is_again: bool = False) -> Pull:
    """Where reading stands after the last page. follows: the next window is one of the history.

    is_again: the window is read anew, since it changed meanwhile. A history that follows a search begins where the
    search did: what was deleted during it is in none of its pages.
    """
    high = max(row.high, page.newest)
    reached = min(high, row.started or high) if follows else high
    wait = max(seconds, _SLOW_SECONDS) if row.mode in ("full", "ids") else seconds
    return changed(
        row,
        watermark=row.watermark if is_again else max(row.watermark, reached),
        **_BEGIN,
        not_before=now if is_again else now + int(wait * 1_000_000),
        finished_at=now,
        failures=0,
        error="",
    )


def has_changed(row: Pull, page: Page) -> bool:
    """Whether something was changed there while several pages were read: rows may have moved from one to another."""
    return row.pages > 0 and 0 < row.started < max(row.high, page.newest)


def failed(row: Pull, reason: str, *, now: int, seconds: float, is_over: bool) -> Pull:
    """Where reading stands after a page that could not be read. is_over: the window is begun again."""
    again = {**_BEGIN, "started": row.started} if is_over else {}
    later = now + int(seconds * 1_000_000)
    return changed(row, **again, failures=row.failures + 1, error=reason, not_before=later)


def changed(row: Pull, **values: object) -> Pull:
    """The same row, with other values."""
    return Pull(**{**row.model_dump(), **values})


_BEGIN: dict[str, object] = {"next_link": "", "mark": "", "pages": 0, "high": 0, "started": 0}
