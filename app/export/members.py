"""Whose data an export of a Group is about."""

from collections.abc import Mapping
from typing import Any

from app.fhir.references import local


def members(group: Mapping[str, Any], base: str) -> tuple[set[str], set[str]]:
    """The ids of the patients of a Group, and of the Groups in it: of members that are not inactive, on this server."""
    entities = [each.get("entity", {}) for each in group.get("member", ()) if each.get("inactive") is not True]
    found = [local(str(each.get("reference", "")), base) for each in entities]
    targets = [each[:2] for each in found if each]
    return {id_ for type_, id_ in targets if type_ == "Patient"}, {id_ for type_, id_ in targets if type_ == "Group"}
