"""A resource in which every element can be found again: what FHIRPath found there, the patch has to change there.

Two equal strings may be one object to Python, so primitives cannot be told apart by themselves. Each gets its `_x`
object, an empty one where it has none, and that one is looked for. Empty ones are taken out at the end.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeGuard

from app.fhir.fhirpath import Model, Node

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """An element of an object: holder[key], in a list if index is not None. type: the R4 type of the holder."""

    holder: Object
    key: str
    type: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class _Home:
    """Where an object lives. own: the object itself, kept so that its id stays its own; is_mark: it is an `_x`."""

    own: Object
    holder: Object
    key: str
    type: str
    is_mark: bool

    def place(self) -> Place:
        listed = self.holder.get("_" + self.key if self.is_mark else self.key)
        index = next((at for at, each in enumerate(listed) if each is self.own), 0) if _is_list(listed) else None
        return Place(self.holder, self.key, self.type, index)


class Marked:
    """The tree of a resource, every element of it marked."""

    def __init__(self, tree: Object, model: Model) -> None:
        self.tree, self.model = tree, model
        self._homes: dict[int, _Home] = {}
        self._mark(tree, str(tree.get("resourceType", "")))

    def place(self, node: Node) -> Place | None:
        """Where a node of the resource is; None for what is not in the resource, and for the resource itself."""
        home = self._homes.get(id(node.value if isinstance(node.value, dict) else node.extra))
        return home.place() if home else None

    def insert(self, holder: Object, type_: str, key: str, value: Any, extra: Any, index: int | None) -> None:
        """Put a new value into an object of a type, into the list at an index if one is given.

        A copy of it: the patch stays as it is and can be applied again.
        """
        value, mark = deepcopy(value), deepcopy(extra) or {}
        is_mark = not isinstance(value, dict)
        for name, new in ((key, value), *([("_" + key, mark)] if is_mark else [])):
            if index is None:
                holder[name] = new
            else:
                holder.setdefault(name, []).insert(index, new)
        self._settle(mark if is_mark else value, holder, type_, key, is_mark=is_mark)

    def remove(self, place: Place) -> None:
        """Take an element out, and what holds it if nothing is left of that: FHIR has no empty elements."""
        for name in (place.key, "_" + place.key):
            if place.index is None:
                place.holder.pop(name, None)
            elif _is_list(found := place.holder.get(name)):
                del found[place.index : place.index + 1]
                if not found:
                    del place.holder[name]

    def clear(self, holder: Object) -> None:
        """Take away an object that nothing is left of, and so upwards: FHIR has no empty elements."""
        home = self._homes.get(id(holder))
        if home is None or _says_something(holder):
            return
        place = home.place()
        value: Any = home.holder.get(home.key)
        if home.is_mark and (value if place.index is None else value[place.index]) is not None:
            return
        self.remove(place)
        self.clear(home.holder)

    def _mark(self, value: Object, type_: str) -> None:
        types = self.model.json_types(type_)
        for key in list(dict.fromkeys(name.removeprefix("_") for name in value if name != "resourceType")):
            self._mark_element(value, type_, key, types.get(key, ""))

    def _mark_element(self, holder: Object, holder_type: str, key: str, type_: str) -> None:
        values = holder.get(key)
        if not isinstance(values, dict) and not (_is_list(values) and any(isinstance(e, dict) for e in values)):
            values = _add_marks(holder, key)
        is_mark = values is not holder.get(key)
        for own in values if _is_list(values) else [values]:
            if isinstance(own, dict):
                self._settle(own, holder, holder_type, key, is_mark=is_mark)

    def _settle(self, own: Object, holder: Object, holder_type: str, key: str, *, is_mark: bool) -> None:
        self._homes[id(own)] = _Home(own, holder, key, holder_type, is_mark)
        declared = "Element" if is_mark else self.model.json_types(holder_type).get(key, "")
        self._mark(own, str(own.get("resourceType", declared)))


def _add_marks(holder: Object, key: str) -> Any:
    """Give each primitive of an element its `_x` object; what is not formed like primitives is left as it is."""
    values, extras = holder.get(key), holder.get("_" + key)
    if not _is_list(values) and not _is_list(extras):
        if extras is None:
            holder["_" + key] = {}
    elif all(each is None or _is_list(each) for each in (values, extras)):
        count = max(len(values or ()), len(extras or ()))
        holder[key] = [*(values or ()), *[None] * (count - len(values or ()))]
        holder["_" + key] = [each or {} for each in [*(extras or ()), *[None] * (count - len(extras or ()))]]
    return holder.get("_" + key)


def unmarked(node: Any) -> Any:
    """The value without empty marks, and without nulls that only stood beside them."""
    if isinstance(node, list):
        return [unmarked(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {name: unmarked(value) for name, value in node.items()}
    for name in [name for name in made if name.startswith("_")]:
        marks, value = made[name], made.get(name[1:])
        if _is_list(marks):
            made[name] = [each or None for each in marks]
        if not any(made[name]):
            del made[name]
        elif value is None or (_is_list(value) and all(each is None for each in value)):
            made.pop(name[1:], None)
    return made


def _says_something(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_says_something(value) for value in node.values())
    return any(_says_something(value) for value in node) if _is_list(node) else node is not None


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
