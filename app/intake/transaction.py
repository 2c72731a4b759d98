"""The rules of Bundles: what a batch or transaction asks for, read entry by entry (R4 3.1.0.11)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.intake.accept import Checker
from app.intake.brought import Patches
from app.intake.conditions import pairs
from app.intake.entries import Call, Place, call_of, is_call, wrong
from app.intake.policy import Policy
from app.intake.problems import Problems
from app.intake.requests import write_of
from app.intake.writes import Write

Item = Write | Call | Refused


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Bundle asks for, in the order of its entries; in a batch, an entry that cannot be read is its refusal."""

    kind: Literal["batch", "transaction"]
    entries: list[Item]


def read_bundle(
    text: bytes, tree: Mapping[str, Any], checker: Checker, types: frozenset[str], base: str, policy: Policy
) -> Asked:
    """What a Bundle asks for. Raises Refused where the Bundle, or any entry of a transaction, cannot be read.

    types: the resource types of R4; base: the address of this server's FHIR endpoint.
    """
    entries, patches = _entries(tree), Patches.of(checker, policy)
    problems = _of_shell(tree, entries, checker)
    kind = tree.get("type")
    if kind not in ("batch", "transaction"):
        told = "Only a batch or a transaction is processed here; POST other Bundles to /fhir/Bundle to store them."
        problems.append(Issue("value", told, "Bundle.type", rule="dmt-bundle-kind", expected="batch or transaction"))
    read = [
        _item(Place(i, entry, content, base, str(kind)), types, patches)
        for i, (entry, content) in enumerate(zip(entries, lossless.entry_texts(text), strict=True))
    ]
    if kind == "batch":
        own = [issue for issue in problems if not issue.expression.startswith("Bundle.entry[")]
        _refuse(own, [])
        bad = _by_entry(problems)
        return Asked("batch", [_readable(entry, bad.get(i, ())) for i, entry in enumerate(read)])
    _refuse([*problems, *_of_conditions(read)], read)
    return Asked("transaction", read)


def _of_shell(tree: Mapping[str, Any], entries: Sequence[dict[str, Any]], checker: Checker) -> list[Issue]:
    """What is wrong with the Bundle without its resources, which are checked as what they are."""
    shell = {**tree, "entry": [{k: v for k, v in e.items() if k != "resource"} for e in entries]}
    if not entries:
        shell.pop("entry")
    return [issue for issue in checker.check(shell) if issue.is_error]


def _of_conditions(read: Sequence[Item]) -> Iterator[Issue]:
    """Conditions that name an entry of the same transaction: what it will be is not known when they are asked."""
    writes = [one for one in read if isinstance(one, Write)]
    names = {write.full_url for write in writes if write.full_url}
    for write in writes:
        if any(not names.isdisjoint(value.split(",")) for _, value in pairs(write.search)):
            name = "ifNoneExist" if write.if_none_exist else "url"
            told = "A condition cannot name an entry of the same transaction: use an identifier of what it refers to."
            yield Issue("not-supported", told, f"{write.path}.request.{name}", rule="dmt-condition")


def _refuse(issues: Sequence[Issue], read: Sequence[Item]) -> None:
    problems = Problems()
    for refused in ([Refused(issues)] if issues else []) + [one for one in read if isinstance(one, Refused)]:
        with problems.kept():
            raise refused
    problems.refuse()


def _readable(entry: Item, problems: Sequence[Issue]) -> Item:
    return Refused(problems) if problems and not isinstance(entry, Refused) else entry


def _entries(tree: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    entries = tree.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refused([Issue("structure", "Bundle.entry must be a list of objects.", "Bundle.entry", rule="dmt-array")])
    return entries


def _by_entry(issues: Sequence[Issue]) -> dict[int, list[Issue]]:
    found: dict[int, list[Issue]] = {}
    for issue in issues:
        if place := re.match(r"Bundle\.entry\[(\d+)\]", issue.expression):
            found.setdefault(int(place[1]), []).append(issue)
    return found


def _item(place: Place, types: frozenset[str], patches: Patches) -> Item:
    try:
        if not isinstance(place.entry.get("request"), dict):
            told = "An entry of a batch or transaction needs a request."
            raise Refused([wrong("required", told, f"{place.path}.request")])
        return call_of(place) if is_call(place) else write_of(place, types, patches)
    except Refused as refused:
        return refused
