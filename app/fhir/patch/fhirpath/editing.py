"""Carries out a FHIRPath Patch. What the operations mean: R4, fhirpatch.html."""

from collections.abc import Callable
from typing import Any

from app.fhir.fhirpath import EvaluationError, Expression, Frame, Node, r4_model
from app.fhir.fhirpath.compiler import compile_tree
from app.fhir.outcomes import Issue, Unprocessable
from app.fhir.patch.fhirpath.marked import Marked, Object, Place, unmarked
from app.fhir.patch.fhirpath.operations import Operation, Value
from app.fhir.patch.fhirpath.values import element, element_of_key, length, put


def apply(patch: list[Operation], resource: Any, guard: Callable[[Any, Issue], None]) -> Any:
    """The resource after all operations, in order; the first that fails is told."""
    editing = _Editing(resource)
    for operation in patch:
        editing.carry_out(operation)
        at = Issue("processing", f"Operation {operation.number} ({operation.kind})", operation.at)
        guard(editing.marked.tree, at)
    return unmarked(editing.marked.tree)


class _Editing:
    def __init__(self, resource: Object) -> None:
        self.model = r4_model()
        self.marked = Marked(resource, self.model)
        root = Node(resource, str(resource.get("resourceType", "")))
        # One frame for all paths: together they take no more steps than one expression may.
        self.frame = Frame(self.model, root, root, root)

    def carry_out(self, operation: Operation) -> None:
        act: Callable[[Operation], None] = getattr(self, "_" + operation.kind)
        act(operation)

    def _add(self, operation: Operation) -> None:
        node = self._one(operation, operation.path)
        put(self.marked, _object(node), node.type, operation.name, _value(operation))

    def _insert(self, operation: Operation) -> None:
        holder, type_, name = self._list(operation)
        value = _value(operation)
        _, key, made = element(self.model, type_, name, value)
        count = self._count(operation, holder, key)
        if operation.index > count:
            raise _failed(operation, f"index {operation.index} is behind the end of a list of {count}")
        self.marked.insert(holder, type_, key, made, value.extra, operation.index)

    def _delete(self, operation: Operation) -> None:
        found = self._found(operation, operation.path)
        if len(found) > 1:
            raise _failed(operation, f"its path gives {len(found)} elements; only a single one can be deleted")
        if found:
            place = self._place(operation, found[0])
            self.marked.remove(place)
            self.marked.clear(place.holder)

    def _replace(self, operation: Operation) -> None:
        place = self._place(operation, self._one(operation, operation.path))
        value = _value(operation)
        _, key, made = element(self.model, place.type, element_of_key(self.model, place.type, place.key), value)
        if key != place.key or place.index is not None:
            self.marked.remove(place)
        self.marked.insert(place.holder, place.type, key, made, value.extra, place.index)

    def _move(self, operation: Operation) -> None:
        holder, _, key = self._list(operation)
        count = self._count(operation, holder, key)
        for name in ("source", "destination"):
            if getattr(operation, name) >= count:
                raise _failed(operation, f"{name} {getattr(operation, name)} is outside a list of {count}")
        for each in (key, "_" + key):
            if each in holder:
                holder[each].insert(operation.destination, holder[each].pop(operation.source))

    def _found(self, operation: Operation, path: Expression) -> list[Any]:
        try:
            return path.on(self.frame, self.frame.root)
        except EvaluationError as error:
            raise _failed(operation, f"its path cannot be used here: {error}") from None

    def _one(self, operation: Operation, path: Expression) -> Node:
        found = self._found(operation, path)
        if not found:
            raise _failed(operation, "its path gives no element, and one is needed", "not-found")
        if len(found) > 1:
            raise _failed(operation, f"its path gives {len(found)} elements, and one is needed", "multiple-matches")
        if found[0] is not self.frame.root:
            self._place(operation, found[0])
        node: Node = found[0]
        return node

    def _place(self, operation: Operation, node: Any) -> Place:
        place = self.marked.place(node) if isinstance(node, Node) else None
        if place is None:
            raise _failed(operation, "its path gives no element inside the resource")
        return place

    def _count(self, operation: Operation, holder: Object, key: str) -> int:
        count = length(holder, key)
        if count is None:
            raise _failed(operation, "its path gives no list")
        return count

    def _list(self, operation: Operation) -> tuple[Object, str, str]:
        """The object whose list the path names, its type, and the name of the list, which may be empty so far."""
        tree = operation.path.tree
        last = tree.parts[1] if tree.kind == "path" else tree
        if last.kind != "name":
            raise _failed(operation, "its path must end with the name of a list")
        parent = self.frame.root
        if tree.kind == "path":
            parent = self._one(operation, compile_tree(tree.parts[0]))
        child = self.model.children(parent.type).get(last.value)
        if child is None or not child.is_many:
            raise _failed(operation, f"{parent.type} has no list {last.value[:64]}")
        return _object(parent), parent.type, last.value


def _object(node: Node) -> Object:
    """The JSON object that holds the children of an element: of a primitive, its `_x`."""
    found: Object = node.value if isinstance(node.value, dict) else node.extra
    return found


def _value(operation: Operation) -> Value:
    return operation.value or Value(operation.at)


def _failed(operation: Operation, why: str, code: str = "processing") -> Unprocessable:
    return Unprocessable([Issue(code, f"Operation {operation.number} ({operation.kind}): {why}.", operation.at)])
