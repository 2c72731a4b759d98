"""What a usable definition asks that cannot be checked here: said, so that nobody relies on it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def notes_on(structure: Json, knows: Callable[[str], bool]) -> list[str]:
    """Sentences about constraints for people only and about profiles that elements name and nobody here knows."""
    elements = structure.get("differential", {}).get("element") or structure.get("snapshot", {}).get("element", ())
    return list(dict.fromkeys(note for each in elements for note in _on_element(each, knows)))


def _on_element(element: Json, knows: Callable[[str], bool]) -> Iterator[str]:
    for constraint in element.get("constraint", ()):
        if not constraint.get("expression"):
            yield f"the constraint {constraint['key']} has no FHIRPath expression, so it is not checked"
    for type_ in element.get("type", ()):
        for url in type_.get("profile", ()):
            if not knows(url):
                yield f"the profile {url} is not known here, so it is not checked"
