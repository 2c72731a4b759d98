"""What holds for data types beyond their definitions: systems, identifiers, attachments, ids, references."""

import base64
import hashlib
from typing import Any

from app.terminology import Terminology
from app.validation.codes import check_coding
from app.validation.contained import contained_in
from app.validation.primitives import id_flaw
from app.validation.references import is_well_formed, target_type
from app.validation.report import Report, Scope, Spot
from app.validation.rules import BaseRules, Slot


def check_datatype(
    report: Report,
    rules: BaseRules,
    terminology: Terminology,
    value: dict[str, Any],
    slot: Slot,
    spot: Spot,
    scope: Scope,
) -> None:
    """The checks a data type has of its own."""
    match slot.use.code:
        case "Reference":
            check_reference(report, rules, value, slot.use.targets, spot, scope)
        case "Coding" | "Quantity":
            check_coding(report, terminology, value, spot)
            _check_absolute(report, value.get("system"), spot)
        case "Identifier":
            _check_identifier(report, value, spot)
        case "Attachment":
            _check_attachment(report, value, spot)


def _check_absolute(report: Report, system: Any, spot: Spot) -> None:
    if isinstance(system, str) and system and ":" not in system and not system.startswith("#"):
        report.add("value", "system must be an absolute URI", spot)


def _check_identifier(report: Report, value: dict[str, Any], spot: Spot) -> None:
    system, text = value.get("system"), value.get("value")
    _check_absolute(report, system, spot)
    if system == "urn:ietf:rfc:3986" and isinstance(text, str) and ":" not in text:
        report.add("value", "With the system urn:ietf:rfc:3986 the value must be a full URI", spot)


def _check_attachment(report: Report, value: dict[str, Any], spot: Spot) -> None:
    data, stated = value.get("data"), value.get("hash")
    if not isinstance(data, str) or not isinstance(stated, str):
        return
    try:
        content = base64.b64decode(data, validate=False)
    except ValueError:
        return
    # SHA-1 is what R4 asks for here (Attachment.hash); nothing rests on its strength.
    if base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode() != stated:
        report.add("value", "The hash does not fit the data (SHA-1, base64)", spot)


def check_id(report: Report, resource: dict[str, Any], path: str) -> None:
    found = resource.get("id")
    if isinstance(found, str) and found and id_flaw(found):
        report.add("value", f"{id_flaw(found).capitalize()}", f"{path}.id")


def check_reference(
    report: Report, rules: BaseRules, value: dict[str, Any], targets: frozenset[str], spot: Spot, scope: Scope
) -> None:
    """The form of a reference, and the type it points at as far as its text or the contained resource tells."""
    reference = value.get("reference")
    if not isinstance(reference, str) or not reference:
        return
    if not is_well_formed(reference):
        expected = "Type/id, an absolute URL, or # and the id of a contained resource"
        report.add("value", f"Expected a reference: {expected}", spot)
        return
    type_ = _contained_type(scope, reference[1:]) if reference.startswith("#") else target_type(reference)
    if type_ is None:
        report.add("invariant", "There is no contained resource with this id", spot, rule="ref-1")
    elif targets and type_ in rules.resource_types and type_ not in targets:
        allowed = ", ".join(sorted(targets))
        report.add("value", f"A reference to {type_} is not allowed here, only to {allowed}", spot)


def _contained_type(scope: Scope, wanted: str) -> str | None:
    """The type of a contained resource; None if there is none of this id. An empty id means the container."""
    if not wanted:
        return ""
    if scope.contained_types is None:
        found = contained_in(scope.owner)
        scope.contained_types = {str(each.get("id")): str(each.get("resourceType")) for each in found}
    return scope.contained_types.get(wanted)
