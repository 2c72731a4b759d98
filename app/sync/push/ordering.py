"""The order in which resources can be sent: none before what it refers to, and what refers in a circle together."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from app.fhir.references import local, references
from app.store.repository import Key

Sent = TypeVar("Sent")


def referred(tree: Mapping[str, Any] | None) -> frozenset[Key]:
    """The resources here that a resource refers to, other than itself."""
    if tree is None:
        return frozenset()
    own = (tree.get("resourceType"), tree.get("id"))
    found = (local(link, "") for link in references(tree))
    return frozenset(each[:2] for each in found if each is not None and each[:2] != own)


def units(items: Sequence[Sent], key: Callable[[Sent], Key], refers: Mapping[Key, Collection[Key]]) -> list[list[Sent]]:
    """The items in parts, each after all it refers to; a part with several is a circle. As given where that allows.

    Tarjan's strongly connected components (SIAM J. Comput. 1972;1:146-160), which come in this very order.
    """
    by_key = {key(item): item for item in items}
    place = {each: number for number, each in enumerate(by_key)}
    below = {each: [k for k in refers.get(each, ()) if k in by_key] for each in by_key}
    found = _components(by_key, {each: sorted(keys, key=place.__getitem__) for each, keys in below.items()})
    return [[by_key[each] for each in sorted(part, key=place.__getitem__)] for part in found]


def layers(
    parts: Sequence[Sequence[Sent]], key: Callable[[Sent], Key], refers: Mapping[Key, Collection[Key]]
) -> list[list[Sent]]:
    """The parts in layers: nothing in a layer refers to anything else in it, circles aside."""
    level: dict[Key, int] = {}
    found: list[list[Sent]] = []
    for part in parts:
        own = {key(item) for item in part}
        depth = max((level[k] + 1 for item in part for k in refers.get(key(item), ()) if k in level), default=0)
        level |= dict.fromkeys(own, depth)
        found += [[] for _ in range(depth + 1 - len(found))]
        found[depth] += part
    return found


def packed(parts: Iterable[Sequence[Sent]], limit: int) -> Iterator[list[Sequence[Sent]]]:
    """The parts in groups of at most so many items; a part that is larger is a group of its own."""
    group: list[Sequence[Sent]] = []
    for part in parts:
        if group and sum(map(len, group)) + len(part) > limit:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _components(nodes: Iterable[Key], below: Mapping[Key, Sequence[Key]]) -> Iterator[list[Key]]:
    """Strongly connected components, each after those it leads to. Not recursive: chains may be long."""
    index: dict[Key, int] = {}
    lowest: dict[Key, int] = {}
    open_: dict[Key, None] = {}
    for root in nodes:
        path = [] if root in index else [(root, iter(below[root]))]
        while path:
            node, rest = path[-1]
            if node not in index:
                index[node] = lowest[node] = len(index)
                open_[node] = None
            child = next((each for each in rest if each not in index or each in open_), None)
            if child is not None and child not in index:
                path.append((child, iter(below[child])))
                continue
            if child is not None:
                lowest[node] = min(lowest[node], index[child])
                continue
            path.pop()
            if path:
                lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
            if lowest[node] == index[node]:
                yield _closed(open_, node)


def _closed(open_: dict[Key, None], node: Key) -> list[Key]:
    part = []
    while node in open_:
        part.append(open_.popitem()[0])
    return part
