"""Slices that nothing tells apart: whether one is there could never be checked."""

import re
from collections.abc import Iterator

from app.validation.snapshots.broken import BrokenProfile
from app.validation.snapshots.contents import Sources, content_of
from app.validation.snapshots.parts import Part

_KINDS = ("value", "pattern", "exists", "type", "profile")
_NAME = re.compile("[a-z][A-Za-z0-9]*", re.ASCII)


def slicing_flaws(part: Part, id_: str, sources: Sources) -> Iterator[tuple[str, str]]:
    """(id of the element, reason) of each slicing that cannot work."""
    if part.slices:
        yield from ((id_, reason) for reason in _own_flaws(part, sources))
    for name, child in part.children.items():
        yield from slicing_flaws(child, f"{id_}.{name}", sources)
    for name, slice_ in part.slices.items():
        yield from slicing_flaws(slice_, f"{id_}:{name}", sources)


def _own_flaws(part: Part, sources: Sources) -> Iterator[str]:
    slicing = part.element.get("slicing")
    if slicing is None:
        yield f"the slice {next(iter(part.slices))} is of an element that has no slicing"
        return
    if not slicing.get("discriminator"):
        yield "the slicing has no discriminator, so its slices cannot be told apart"
    for each in slicing.get("discriminator", ()):
        if each["type"] not in _KINDS:
            yield f"R4 has no discriminator of the type {each['type'][:64]}"
        elif not _leads_somewhere(part, each["path"], sources):
            yield f"the discriminator {each['path'][:100]} names no element"
    for name in part.slices:
        parent = name.rpartition("/")[0]
        if parent and parent not in part.slices:
            yield f"there is no slice {parent} for {name} to slice again"


def _leads_somewhere(part: Part, path: str, sources: Sources) -> bool:
    """Whether the names a discriminator begins with are those of elements; what cannot be told here leads somewhere."""
    for name in path.split("."):
        if not _NAME.fullmatch(name):
            return True
        try:
            children = (part if part.children else content_of(part, name, sources)).children
        except (LookupError, BrokenProfile):
            return True
        found = children.get(name) or children.get(f"{name}[x]")
        if found is None:
            return False
        part = found
    return True
