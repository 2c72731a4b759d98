"""The order in which changes of one transaction are kept and told to others: so that no reference leads nowhere."""

from collections.abc import Iterable, Mapping, Sequence

from app.fhir import json as lossless
from app.fhir.references import local, references
from app.store.repository import Change, Key, Stored


def in_order(changes: Sequence[Change], current: Mapping[Key, Stored], base: str) -> list[Change]:
    """What is referred to before what refers to it; deletions after all else, and the other way round.

    current: what was there before. Only where somebody is told does the order of deletions matter.
    """
    if len(changes) < 2:
        return list(changes)
    kept = [one for one in changes if one.tree is not None]
    gone = [one for one in changes if one.tree is None]
    links = {_key(one): _links(one.tree, base) for one in kept}
    ordered = _referred_first(kept, links)
    if len(gone) > 1 and any(one.targets for one in gone):
        before = {_key(one): lossless.parse_object(current[_key(one)].content or b"{}") for one in gone}
        gone = _referred_first(gone, {key: _links(tree, base) for key, tree in before.items()})[::-1]
    return [*ordered, *gone]


def _key(change: Change) -> Key:
    return change.stored.type, change.stored.id


def _links(tree: object, base: str) -> list[Key]:
    found = (local(link, base) for link in references(tree))
    return [each[:2] for each in found if each]


def _referred_first(changes: Sequence[Change], links: Mapping[Key, Iterable[Key]]) -> list[Change]:
    """Each after those it refers to; where they go in a circle, one of them is first."""
    by_key = {_key(one): one for one in changes}
    seen: set[Key] = set()
    ordered: list[Change] = []
    for start in by_key:
        waiting = [(start, False)]
        while waiting:
            key, is_done = waiting.pop()
            if is_done:
                ordered.append(by_key[key])
            elif key not in seen:
                seen.add(key)
                waiting.append((key, True))
                waiting += [(one, False) for one in links[key] if one in by_key and one not in seen]
    return ordered
