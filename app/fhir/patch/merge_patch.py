"""JSON Merge Patch, RFC 7396: an object that says what differs; null takes away."""

from collections.abc import Callable
from typing import Any

from app.fhir.outcomes import Issue, Refused


def read(tree: Any) -> Any:
    """The patch itself: any object is one. Another JSON value would replace the resource as a whole."""
    if not isinstance(tree, dict):
        raise Refused([Issue("structure", "A merge patch of a resource is a JSON object.", rule="dmt-json-object")])
    return tree


def apply(patch: Any, resource: Any, guard: Callable[[Any, Issue], None]) -> Any:
    merged = _merged(resource, patch)
    guard(merged, Issue("business-rule", "The merge patch"))
    return merged


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name), value)
    return made
