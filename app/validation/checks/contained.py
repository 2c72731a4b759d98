"""Contained resources: their ids, and that something refers to them (dom-3 to dom-5)."""

from typing import Any

from app.validation.telling.report import Report, Scope


def contained_in(resource: dict[str, Any]) -> list[dict[str, Any]]:
    found = resource.get("contained")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def contained_of(scope: Scope) -> dict[str, dict[str, Any]]:
    """The contained resources that fragments in a scope can mean, by id; the first of several."""
    if scope.contained is None:
        scope.contained = {}
        for each in contained_in(scope.owner):
            scope.contained.setdefault(str(each.get("id", "")), each)
    return scope.contained


def check_contained(report: Report, resource: dict[str, Any], path: str) -> None:
    contained = contained_in(resource)
    used = _fragments(resource) if contained else set()
    ids: set[str] = set()
    for place, each in enumerate(contained):
        where = f"{path}.contained[{place}]"
        name, meta = each.get("id"), each.get("meta")
        if isinstance(meta, dict):
            _check_meta(report, meta, path)
        if not isinstance(name, str):
            fix = 'Add "id", and refer to it with "#" and the id.'
            report.add("required", "A contained resource needs an id", where, rule="dmt-contained-id", suggestion=fix)
            continue
        if name in ids:
            text = "Two contained resources have the same id"
            report.add("value", text, where, rule="dmt-contained-id-unique", member="id")
        ids.add(name)
        if "#" + name not in used and "#" not in _fragments(each):
            report.add("invariant", "Nothing refers to the contained resource", where, rule="dom-3")


def _check_meta(report: Report, meta: dict[str, Any], path: str) -> None:
    if "versionId" in meta or "lastUpdated" in meta:
        text = "A contained resource must not have meta.versionId or meta.lastUpdated"
        report.add("invariant", text, path, rule="dom-4")
    if "security" in meta:
        report.add("invariant", "A contained resource must not have a security label", path, rule="dom-5")


def _fragments(value: Any) -> set[str]:
    """Every string of a resource that starts with #: in a reference, canonical, uri or url."""
    found: set[str] = set()
    open_: list[Any] = [value]
    while open_:
        node = open_.pop()
        if isinstance(node, str):
            if node.startswith("#"):
                found.add(node)
        elif isinstance(node, dict):
            open_ += node.values()
        elif isinstance(node, list):
            open_ += node
    return found
