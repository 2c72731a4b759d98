"""The elements of a snapshot as a tree: what a differential walks through, and what it can copy.

Element definitions are never changed in place, so that trees may share them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ElementDefinition = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Part:
    """One element. children: name ([x] included) -> Part; slices: slice name -> Part, re-slices as a/b.

    origin: the same element before the differential that is being applied; from it new slices are made.
    """

    element: ElementDefinition
    children: dict[str, "Part"] = field(default_factory=dict)
    slices: dict[str, "Part"] = field(default_factory=dict)
    origin: "Part | None" = None

    def copy(self) -> "Part":
        """A tree to be changed, with this one as its origin."""
        return Part(
            self.element,
            {name: child.copy() for name, child in self.children.items()},
            {name: slice_.copy() for name, slice_ in self.slices.items()},
            self,
        )

    def size(self) -> int:
        return 1 + sum(each.size() for each in (*self.children.values(), *self.slices.values()))


def steps_of(id_: str) -> list[tuple[str, str]]:
    """Observation.component:systolic.code -> (name, slice name) pairs."""
    return [(name, slice_) for name, _, slice_ in (step.partition(":") for step in id_.split("."))]


def tree_of(elements: Iterable[ElementDefinition]) -> Part:
    """The tree of the elements of a snapshot, which come parents first and have their ids."""
    root: Part | None = None
    for element in elements:
        steps = steps_of(element.get("id") or element["path"])
        if root is None:
            root = Part(element)
            continue
        parent = _find(root, steps[1:-1])
        name, slice_ = steps[-1]
        if slice_:
            whole = parent.children.setdefault(name, Part({"path": element["path"]}))
            whole.slices[slice_] = Part(element)
        else:
            parent.children[name] = Part(element)
    return root or Part({"path": ""})


def _find(root: Part, steps: Iterable[tuple[str, str]]) -> Part:
    part = root
    for name, slice_ in steps:
        part = part.children.setdefault(name, Part({"path": name}))
        part = part.slices.setdefault(slice_, Part(part.element)) if slice_ else part
    return part


def elements_of(root: Part, name: str) -> Iterator[dict[str, Any]]:
    """The elements of a tree in the order of a snapshot, with the ids and paths they have in it."""
    yield from _listed(root, name, name)


def _listed(part: Part, id_: str, path: str) -> Iterator[dict[str, Any]]:
    rest = {key: value for key, value in part.element.items() if key not in ("id", "path")}
    yield {"id": id_, "path": path, **rest}
    for name, child in part.children.items():
        yield from _listed(child, f"{id_}.{name}", f"{path}.{name}")
    for name, slice_ in part.slices.items():
        yield from _listed(slice_, f"{id_}:{name}", path)


def defined(element: dict[str, Any]) -> dict[str, Any]:
    """The element with a definition, which every element of a snapshot needs (sdf-3): where the compact base
    definitions have left it out, it says where R4 has it."""
    if "definition" in element:
        return element
    path = element.get("base", element)["path"]
    page = path.partition(".")[0].lower()
    return {**element, "definition": f"As in R4: http://hl7.org/fhir/R4/{page}-definitions.html#{path}"}
