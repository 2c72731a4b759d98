"""Observation/$lastn: the last observations of each kind (R4 observation-operations.html).

Two observations are of one kind if they share a coding; since one may have several codings, a kind is all that hang
together in this way. Without codings, the text decides. Of equal time, the one that was written later comes first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.routers.exchange import fhir_base
from app.routers.operations import found
from app.routers.operations.call import Call
from app.store.idempotency import Answer
from app.store.repository import Stored

_MOST = 20_000
_WHO, _WHAT = ("patient", "subject"), ("category", "code", "combo-code", "component-code")
# They shape an answer of another kind than this one.
_NOT_HERE = ("_count", "_sort", "_cursor", "_total", "_summary", "_elements", "_include", "_revinclude")
_EARLIEST = -(2**62)
Observation = Mapping[str, Any]


async def lastn(call: Call) -> Answer:
    """The Bundle, sorted by kind and then from new to old."""
    _require_enough(call)
    most = call.given.one("max", 1)
    matches = await found.every(call, "Observation", call.given.search, most=_MOST)
    trees = {id(each): lossless.parse_object(each.content or b"{}") for each in matches}
    matches.reverse()
    newest = sorted(matches, key=lambda each: time_of(trees[id(each)]), reverse=True)
    chosen = [each for group in _grouped(newest, trees) for each in group[:most]]
    base = fhir_base(call.request)
    asked = urlencode([*call.given.search, ("max", str(most))])
    fields = {"search": {"mode": "match"}}
    entries = [Entry(f"{base}/{each.type}/{each.id}", each.content or b"", fields) for each in chosen]
    links = [("self", f"{base}/Observation/$lastn?{asked}")]
    return Answer(200, bundle("searchset", entries, total=len(chosen), links=links))


def _require_enough(call: Call) -> None:
    names = [name.partition(":")[0].partition(".")[0] for name, _ in call.given.search]
    issues = [
        Issue("not-supported", f"{name} is not served with $lastn: its answer is sorted by kind, and whole.", name)
        for name in dict.fromkeys(names)
        if name in _NOT_HERE
    ]
    for wanted in (_WHO, _WHAT):
        if not set(names) & set(wanted):
            issues.append(Issue("required", f"$lastn needs one of the parameters {', '.join(wanted)}.", wanted[0]))
    if issues:
        raise Refused(issues)


def time_of(observation: Observation) -> int:
    """When it was effective, the end of a period, in microseconds; what has no time is earlier than all else."""
    effective = observation.get("effectiveDateTime") or observation.get("effectiveInstant")
    span = observation.get("effectivePeriod") or {}
    events = (observation.get("effectiveTiming") or {}).get("event") or []
    texts = [text for text in (effective, span.get("end") or span.get("start"), *events) if text]
    return max(map(_moment, texts), default=_EARLIEST)


def _moment(text: str) -> int:
    """When a FHIR time begins; one at the ends of the calendar that cannot be reckoned with is before all others."""
    try:
        return period(text)[0]
    except (ValueError, OverflowError):
        return _EARLIEST


def _grouped(newest: Sequence[Stored], trees: Mapping[int, Observation]) -> Iterable[list[Stored]]:
    """The kinds, each from new to old, in the order of their newest."""
    leader: dict[object, object] = {}

    def root(name: object) -> object:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for each in newest:
        first, *others = _names(trees[id(each)])
        for other in others:
            leader[root(other)] = root(first)
    groups: dict[object, list[Stored]] = {}
    for each in newest:
        groups.setdefault(root(_names(trees[id(each)])[0]), []).append(each)
    return groups.values()


def _names(observation: Observation) -> list[tuple[str, str]]:
    """The codings of an observation; without any, its text."""
    code = observation.get("code", {})
    codings = [(str(each.get("system", "")), str(each["code"])) for each in code.get("coding", ()) if "code" in each]
    return codings or [("", f"text {code.get('text', '')}")]
