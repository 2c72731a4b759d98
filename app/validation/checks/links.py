"""References between the entries of a Bundle: what they point at, and what a document or message must hold."""

import re
from collections.abc import Iterator
from typing import Any

from app.validation.checks.entries import Entries, Entry
from app.validation.telling.report import Report, Spot

_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]{1,63}\?\S+")
_URN = ("urn:uuid:", "urn:oid:")
# Bundles that are read without the server they came from: what they hold must be found by its fullUrl.
_STANDS_ALONE = frozenset({"document", "message"})
# What a Composition refers to itself belongs into its document (R4, Documents: 3.3.1).
_OF_COMPOSITION = (
    ("subject",),
    ("encounter",),
    ("author",),
    ("custodian",),
    ("attester", "party"),
    ("event", "detail"),
)
_OF_SECTION = (("author",), ("focus",), ("entry",))


def is_conditional(reference: str, entries: Entries | None) -> bool:
    """Whether a reference is a search, which a transaction may have in place of Type/id (R4 section 3.1.0.11.2)."""
    return entries is not None and entries.kind == "transaction" and _CONDITIONAL.fullmatch(reference) is not None


def linked_type(reference: str, entries: Entries | None) -> str:
    """The type of the entry a reference points at; "" if there is none or it cannot be told."""
    found = entries.find(reference) if entries else []
    return str(found[0].resource.get("resourceType")) if len(found) == 1 else ""


def check_link(report: Report, reference: str, entries: Entries | None, spot: Spot) -> None:
    """Tell of a reference that looks as if it meant an entry of the Bundle, but does not find it."""
    if entries is None or entries.find(reference):
        return
    if reference.startswith(_URN):
        text = "No entry of the Bundle has this as its fullUrl"
        report.add("not-found", text, spot, severity="warning", rule="dmt-reference-entry", member="reference")
    elif entries.look_alikes(reference):
        text = "An entry has this type and id, but its fullUrl is not what the reference means here"
        fix = "Refer to the fullUrl of the entry, or give both entries addresses on the same server."
        is_error = entries.kind in _STANDS_ALONE
        report.add(
            "not-found",
            text,
            spot,
            severity="error" if is_error else "warning",
            rule="dmt-reference-full-url",
            suggestion=fix,
            member="reference",
        )


def check_document(report: Report, bundle: dict[str, Any], path: str) -> None:
    """What a document's Composition or a message's header refers to must be in the Bundle, and nothing that nobody
    refers to."""
    kind = str(bundle.get("type"))
    entries = Entries(bundle)
    if kind not in _STANDS_ALONE or not entries.all():
        return
    first = entries.all()[0]
    own = entries.within(first.resource)
    for where, reference in _required(first.resource, kind):
        if not own.find(reference) and not own.look_alikes(reference):
            text = "What this refers to must be an entry of the Bundle"
            report.add("not-found", text, f"{path}.entry[{first.place}].resource.{where}", rule="dmt-document-entry")
    for each in _unlinked(entries):
        text = "Nothing in the Bundle leads to this entry"
        severity: Any = "error" if kind == "document" else "warning"
        report.add("invalid", text, f"{path}.entry[{each.place}]", severity=severity, rule="dmt-document-orphan")


def _required(resource: dict[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """Path and text of each reference whose target must be an entry."""
    if kind == "message":
        yield from _references(resource, ("focus",), "")
        return
    for steps in _OF_COMPOSITION:
        yield from _references(resource, steps, "")
    open_ = [("section", each, place) for place, each in enumerate(_list(resource.get("section")))]
    while open_:
        at, section, place = open_.pop()
        if not isinstance(section, dict):
            continue
        where = f"{at}[{place}]"
        for steps in _OF_SECTION:
            yield from _references(section, steps, f"{where}.")
        inner = enumerate(_list(section.get("section")))
        open_ += [(f"{where}.section", each, number) for number, each in inner]


def _references(value: Any, steps: tuple[str, ...], at: str) -> Iterator[tuple[str, str]]:
    held = value.get(steps[0]) if isinstance(value, dict) else None
    for place, each in enumerate(_list(held)):
        where = f"{at}{steps[0]}[{place}]" if isinstance(held, list) else f"{at}{steps[0]}"
        if steps[1:]:
            yield from _references(each, steps[1:], f"{where}.")
            continue
        reference = each.get("reference") if isinstance(each, dict) else None
        if isinstance(reference, str) and not reference.startswith("#"):
            yield where, reference


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _unlinked(entries: Entries) -> list[Entry]:
    """The entries that no chain of links joins with the first one, in whichever direction."""
    joined: dict[int, set[int]] = {each.place: set() for each in entries.all()}
    for each in entries.all():
        own = entries.within(each.resource)
        for text in _texts(each.resource):
            for target in (own.find(text) or own.look_alikes(text))[:3]:
                joined[each.place].add(target.place)
                joined[target.place].add(each.place)
    first = entries.all()[0].place
    seen, open_ = {first}, [first]
    while open_:
        fresh = joined[open_.pop()] - seen
        seen |= fresh
        open_ += fresh
    return [each for each in entries.all() if each.place not in seen]


def _texts(value: Any) -> Iterator[str]:
    """Every string that may be a link. The outermost `id` and `url` of a resource are no links to others."""
    open_ = [value]
    while open_:
        node = open_.pop()
        if isinstance(node, str):
            if len(node) < 1000:
                yield node
        elif isinstance(node, dict):
            open_ += [each for name, each in node.items() if name not in ("id", "div", "system", "fullUrl")]
        elif isinstance(node, list):
            open_ += node
