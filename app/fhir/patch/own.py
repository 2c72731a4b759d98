"""What a patch may not touch: the identity of a resource, and what the server says of a version."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.fhir.outcomes import Issue, Unprocessable

_IDENTITY = ("resourceType", "id")
_SERVERS = ("versionId", "lastUpdated")


def refuse_own_elements(before: Mapping[str, Any], after: Any, at: Issue) -> None:
    """Refuse a resource whose identity is not what it was. at: an issue at the place of the operation to blame.

    A meta that was taken away is set again with the next version; one that says something else is refused.
    """
    if not isinstance(after, dict):
        raise Unprocessable([replace(at, code="structure", diagnostics=f"{at.diagnostics} leaves no resource.")])
    changed = [name for name in _IDENTITY if after.get(name) != before.get(name)]
    meta, was = after.get("meta"), before.get("meta") or {}
    if isinstance(meta, dict):
        changed += [f"meta.{name}" for name in _SERVERS if name in meta and meta[name] != was.get(name)]
    if changed:
        told = f"{at.diagnostics} changes {' and '.join(changed)}, which no patch may."
        raise Unprocessable([replace(at, code="business-rule", diagnostics=told)])
