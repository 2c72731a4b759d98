"""What is inside an element: the children of its type, of the profile of its type, or of what it refers to."""

from typing import Protocol

from app.validation.snapshots.merging import type_code
from app.validation.snapshots.parts import Part
from app.validation.snapshots.structures import Structures

_EVERYWHERE = ("id", "extension", "modifierExtension")


class Sources(Protocol):
    """Where trees come from."""

    structures: Structures

    def profile_tree(self, canonical: str) -> Part | None: ...


def content_of(part: Part, name: str, sources: Sources) -> Part:
    """The element whose children a part takes over when a differential walks into it, to the child of a name.

    Raises LookupError with a reason; BrokenProfile if the profile of its type cannot be used.
    """
    if reference := str(part.element.get("contentReference", "")):
        return _referenced(reference, sources)
    types = part.element.get("type", ())
    if len(types) != 1:
        if types and name in _EVERYWHERE:
            return _type("Element", sources)
        several = ", ".join(type_code(each) for each in types[:5])
        raise LookupError(f"{name[:64]} is below an element of several types ({several}): name one of them")
    profiles = types[0].get("profile", ())
    found = sources.profile_tree(profiles[0]) if len(profiles) == 1 else None
    return found or _type(type_code(types[0]), sources)


def _type(code: str, sources: Sources) -> Part:
    found = sources.structures.type_tree(code)
    if found is None:
        raise LookupError(f"the type {code[:64]} is not one of R4")
    return found


def _referenced(reference: str, sources: Sources) -> Part:
    path = reference.partition("#")[2]
    names = path.split(".")
    part = _type(names[0], sources)
    for name in names[1:]:
        if name not in part.children:
            raise LookupError(f"the contentReference {reference[:100]} leads nowhere")
        part = part.children[name]
    return part
