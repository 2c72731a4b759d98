"""What a Reference points at, as far as it is at hand: a contained resource, an entry of the Bundle, or its type."""

from typing import Any

from app.validation.checks.contained import contained_of
from app.validation.checks.entries import Entries
from app.validation.checks.references import target_type
from app.validation.slicing import Item, Slicer
from app.validation.telling.report import Scope


def held(reference: str, scope: Scope) -> dict[str, Any] | None:
    """The contained resource or the entry a reference points at; None if it is not at hand or not the only one."""
    if reference.startswith("#"):
        return contained_of(scope).get(reference[1:]) if reference != "#" else None
    entries = scope.frame.resolver
    found = entries.find(reference) if isinstance(entries, Entries) else []
    return found[0].resource if len(found) == 1 else None


def reference_of(item: Item) -> str:
    reference = item.value.get("reference") if isinstance(item.value, dict) else None
    return reference if isinstance(reference, str) else ""


def resolved(slicer: Slicer, item: Item, scope: Scope) -> Item | None:
    """The resource a Reference points at, else a stand-in of the type its text names; None if that is not known."""
    reference = reference_of(item)
    resource = held(reference, scope) if reference else None
    if resource is not None:
        return slicer.item(resource, None, item.spot, None)
    if not reference or reference.startswith("#"):
        return None
    return slicer.item({"resourceType": target_type(reference)}, None, item.spot, None)


def scope_of_target(resource: dict[str, Any], scope: Scope, make: Any, path: str) -> Scope:
    """The scope to check a target in. make: Walk.scope_of."""
    if contained_of(scope).get(str(resource.get("id"))) is resource:
        inner: Scope = make(resource, path, scope, is_contained=True)
        return inner
    outer: Scope = make(resource, path, None, is_contained=False)
    if isinstance(scope.frame.resolver, Entries) and resource.get("resourceType") != "Bundle":
        outer.frame.resolver = scope.frame.resolver.within(resource)
    return outer
