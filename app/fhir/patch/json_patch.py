"""JSON Patch, RFC 6902. The operations are the library's; here is what surrounds them: soundness, bounds, issues."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jsonpatch import JsonPatch, JsonPatchConflict, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from app.fhir.json import MAX_DEPTH
from app.fhir.outcomes import Issue, Refused, TooLarge, Unprocessable

MOST_OPERATIONS = 1000
# Values that copies may make, all together: each copy may double the resource. A long text counts as several.
MOST_COPIED = 100_000
_CHARACTERS = 64
_NEEDED = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
_POINTERS = ("path", "from")
# A pointer that may be told back: names and places only.
_PLAIN = re.compile(r"(/[A-Za-z0-9_-]{0,64}){0,20}", re.ASCII)


def read(tree: Any) -> list[Mapping[str, Any]]:
    """The operations of a patch. Raises Refused with everything that is no JSON Patch in it."""
    if not isinstance(tree, list):
        raise Refused([Issue("structure", "A JSON Patch is a JSON array of operations.", pointer="")])
    if len(tree) > MOST_OPERATIONS:
        told = f"The patch has {len(tree)} operations; at most {MOST_OPERATIONS} are taken at once."
        raise TooLarge([Issue("too-long", told)])
    issues = [issue for index, each in enumerate(tree) for issue in _flaws(index, each)]
    if issues:
        raise Refused(issues)
    return tree


def apply(patch: list[Mapping[str, Any]], resource: Any, guard: Callable[[Any, Issue], None]) -> Any:
    """The resource after all operations, in order; the first that fails is told."""
    left = MOST_COPIED
    for index, operation in enumerate(patch):
        at = Issue("processing", f"Operation {_named(index, operation)}", pointer=f"/{index}")
        try:
            if operation["op"] == "copy":
                left = _spent(left, resource, operation["from"], at)
            resource = JsonPatch([operation]).apply(resource, in_place=True)
        except (JsonPatchException, JsonPointerException) as error:
            raise Unprocessable([_failed(at, error)]) from None
        guard(resource, at)
    return resource


def _flaws(index: int, operation: Any) -> list[Issue]:
    place = f"/{index}"
    if not isinstance(operation, dict):
        return [Issue("structure", f"Operation {index} must be a JSON object.", pointer=place)]
    kind = operation.get("op")
    if not isinstance(kind, str) or kind not in _NEEDED:
        told = f"The op of operation {index} must be one of {', '.join(_NEEDED)}."
        return [Issue("value" if "op" in operation else "required", told, pointer=f"{place}/op")]
    issues = [
        Issue("required", f"Operation {index} ({kind}) needs the member {name}.", pointer=place)
        for name in _NEEDED[kind]
        if name not in operation
    ]
    wrong = [name for name in _POINTERS if name in _NEEDED[kind] and name in operation]
    return issues + [
        Issue("value", f"{name} of operation {index} ({kind}) must be a JSON Pointer.", pointer=f"{place}/{name}")
        for name in wrong
        if not _is_pointer(operation[name])
    ]


def _is_pointer(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        JsonPointer(value)
    except JsonPointerException:
        return False
    return True


def _failed(at: Issue, error: Exception) -> Issue:
    if isinstance(error, JsonPatchTestFailed):
        return replace(at, code="conflict", diagnostics=f"{at.diagnostics} failed: another value is there.")
    if isinstance(error, JsonPatchConflict | JsonPointerException):
        told = f"{at.diagnostics} failed: there is nothing at that place, or nothing can be put there."
        return replace(at, code="not-found", diagnostics=told)
    return replace(at, diagnostics=f"{at.diagnostics} cannot be carried out.")


def _named(index: int, operation: Mapping[str, Any]) -> str:
    told = [operation["op"]]
    told += [f"{n} {operation[n]}" for n in _POINTERS if n in operation and _PLAIN.fullmatch(str(operation[n]))]
    return f"{index} ({', '.join(told)})"


def _spent(left: int, resource: Any, pointer: str, at: Issue) -> int:
    """What is left to copy after the value at a pointer. Raises Unprocessable where it is too much or too deep."""
    level = [JsonPointer(pointer).resolve(resource)]
    for _ in range(MAX_DEPTH):
        left -= sum(1 + len(one) // _CHARACTERS if isinstance(one, str) else 1 for one in level)
        if left < 0:
            told = f"{at.diagnostics}: the copies make more than {MOST_COPIED} values."
            raise Unprocessable([replace(at, code="too-costly", diagnostics=told)])
        level = [below for node in level for below in _children(node)]
        if not level:
            return left
    raise Unprocessable([replace(at, code="too-costly", diagnostics=f"{at.diagnostics} nests too deeply.")])


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
