"""Differentials as authors write them: elements with or without ids, and snapshots read back as differentials."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.validation.snapshots.parts import ElementDefinition, Part
from app.validation.snapshots.structures import Structures

Json = Mapping[str, Any]
_KEPT = ("url", "version", "type", "kind", "derivation", "baseDefinition", "context", "contextInvariant")
_COMPARED = ("min", "max", "type", "binding", "slicing", "maxLength")
_VALUES = ("fixed", "pattern", "minValue", "maxValue")


def differential_of(structure: Json) -> list[ElementDefinition]:
    """The elements of the differential, each with the id that its place in the list gives it."""
    return list(with_ids((structure.get("differential") or {}).get("element", ())))


def prepared(structure: Json, structures: Structures) -> Json:
    """A profile in the form that overlays are compiled from: what it adds to its base, or, where it can only be read
    from its snapshot, to its type."""
    kept = {name: structure[name] for name in _KEPT if name in structure}
    if not structures.counts_by_snapshot(structure):
        return {**kept, "element": differential_of(structure)}
    base = structures.type_tree(structure["type"]) or Part({})
    elements = differential_from(structure["snapshot"]["element"], base)
    return {**kept, "baseDefinition": STRUCTURE + structure["type"], "element": elements}


def with_ids(elements: Iterable[ElementDefinition]) -> Iterator[ElementDefinition]:
    """The elements with ids such as Observation.component:now.code.

    Ids are optional in a differential: without one, an element belongs to the slice that was last named on its way.
    """
    named: dict[str, str] = {}
    for element in elements:
        path = element["path"]
        # Whoever is not on the way to this element is left behind.
        named = {place: name for place, name in named.items() if path.startswith(f"{place}.") or path == place}
        if "sliceName" in element:
            named[path] = element["sliceName"]
        elif path in named:
            del named[path]
        id_ = str(element.get("id", ""))
        yield element if _fits(id_, element) else {**element, "id": _id(path, named)}


def _fits(id_: str, element: ElementDefinition) -> bool:
    """Whether an id tells the place: the path with the names of slices in it."""
    steps, names = id_.split("."), element["path"].split(".")
    if len(steps) != len(names) or ("sliceName" in element and ":" not in steps[-1]):
        return False
    return all(
        step.partition(":")[0] == name or step.partition("[x]:")[2] == name
        for step, name in zip(steps, names, strict=True)
    )


def _id(path: str, named: Mapping[str, str]) -> str:
    steps = path.split(".")
    places = [".".join(steps[: place + 1]) for place in range(len(steps))]
    return ".".join(
        f"{step}:{named[place]}" if place in named else step for step, place in zip(steps, places, strict=True)
    )


def differential_from(snapshot: Iterable[ElementDefinition], base: Part) -> list[ElementDefinition]:
    """What the elements of a snapshot say that the tree of the base type does not say already."""
    found: list[ElementDefinition] = []
    for element in with_ids(snapshot):
        before = _before(base, str(element["id"]))
        own = {name: element[name] for name in _COMPARED if element.get(name) != before.get(name) and name in element}
        if "." not in element["path"]:
            own.pop("type", None)
        own |= {name: value for name, value in element.items() if name.startswith(_VALUES)}
        known = {each["key"] for each in before.get("constraint", ())} | {"ele-1", "ext-1"}
        if fresh := [each for each in element.get("constraint", ()) if each["key"] not in known]:
            own["constraint"] = fresh
        if own or "sliceName" in element:
            places = {name: element[name] for name in ("id", "path", "sliceName") if name in element}
            found.append(places | own)
    return found


def _before(base: Part, id_: str) -> ElementDefinition:
    """The element of the base type at an id whatever its slices; nothing where the way leaves the type."""
    part: Part | None = base
    for step in id_.split(".")[1:]:
        part = part.children.get(step.partition(":")[0]) if part else None
    return part.element if part else {}
