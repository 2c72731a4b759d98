"""What holds for data types beyond their definitions: systems, identifiers, attachments, ids, references."""

import base64
import hashlib
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.terminology import Terminology
from app.validation.checks.codes import check_coding
from app.validation.checks.contained import contained_of
from app.validation.checks.entries import Entries
from app.validation.checks.links import check_link, is_conditional, linked_type
from app.validation.checks.primitives import id_flaw
from app.validation.checks.references import is_well_formed, target_type
from app.validation.rules import BaseRules, TypeUse
from app.validation.telling import suggestions
from app.validation.telling.report import Report, Scope, Spot

_CODED = frozenset({"Coding", "Quantity", "Age", "Count", "Distance", "Duration"})
CHECKED = _CODED | {"Reference", "Identifier", "Attachment"}


def check_datatype(
    report: Report,
    rules: BaseRules,
    terminology: Terminology,
    value: dict[str, Any],
    use: TypeUse,
    spot: Spot,
    scope: Scope,
) -> None:
    """The checks a data type has of its own. CHECKED: the types that have any."""
    if use.code in _CODED:
        check_coding(report, terminology, value, spot, scope.resource.get("language"))
        _check_absolute(report, value.get("system"), spot)
    elif use.code == "Reference":
        check_reference(report, rules, value, use.targets, spot, scope)
    elif use.code == "Identifier":
        _check_identifier(report, value, spot)
    elif use.code == "Attachment":
        _check_attachment(report, value, spot)


def _check_absolute(report: Report, system: Any, spot: Spot) -> None:
    if isinstance(system, str) and system and ":" not in system and not system.startswith("#"):
        text = "system must be an absolute URI"
        report.add("value", text, spot, rule="dmt-system-absolute", expected="an absolute URI", member="system")


def _check_identifier(report: Report, value: dict[str, Any], spot: Spot) -> None:
    system, text = value.get("system"), value.get("value")
    _check_absolute(report, system, spot)
    if system == "urn:ietf:rfc:3986" and isinstance(text, str) and ":" not in text:
        text = "With the system urn:ietf:rfc:3986 the value must be a full URI"
        fix = "Write urn:uuid: or urn:oid: in front of the value, or give another system."
        report.add(
            "value", text, spot, rule="dmt-identifier-uri", expected="a full URI", suggestion=fix, member="value"
        )


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
        text = "The hash does not fit the data (SHA-1, base64)"
        report.add("value", text, spot, rule="dmt-attachment-hash", expected="the SHA-1 of data", member="hash")


def check_id(report: Report, resource: dict[str, Any], path: str) -> None:
    found = resource.get("id")
    if isinstance(found, str) and found and id_flaw(found):
        flaw = id_flaw(found)
        form = flaw.removeprefix("expected ")
        report.add("value", flaw.capitalize(), f"{path}.id", rule="dmt-primitive-id", expected=form)


def check_reference(
    report: Report, rules: BaseRules, value: dict[str, Any], targets: frozenset[str], spot: Spot, scope: Scope
) -> None:
    """The form of a reference, and the type it points at as far as its text or the contained resource tells."""
    reference = value.get("reference")
    entries = _entries(scope)
    if not isinstance(reference, str) or not reference:
        _check_stated(report, rules, value, "", targets, spot)
        return
    if is_conditional(reference, entries):
        return
    if not is_well_formed(reference):
        expected = "Type/id, an absolute URL, or # and the id of a contained resource"
        report.add(
            "value",
            f"Expected a reference: {expected}",
            spot,
            rule="dmt-reference-form",
            expected=expected,
            suggestion=lambda: suggestions.reference_form(reference, targets),
            member="reference",
        )
        return
    is_fragment = reference.startswith("#")
    linked = "" if is_fragment else linked_type(reference, entries)
    type_ = _contained_type(scope, reference[1:]) if is_fragment else linked or target_type(reference)
    if not is_fragment:
        check_link(report, reference, entries, spot)
    _check_stated(report, rules, value, type_ or "", targets, spot)
    if type_ is None:
        report.add(
            "invariant",
            "There is no contained resource with this id",
            spot,
            rule="ref-1",
            member="reference",
        )
    elif targets and type_ in rules.resource_types and type_ not in targets:
        allowed = ", ".join(sorted(targets))
        report.add(
            "value",
            f"A reference to {type_} is not allowed here, only to {allowed}",
            spot,
            rule="dmt-reference-type",
            expected=allowed,
            found=type_,
            member="reference",
        )


def _entries(scope: Scope) -> Entries | None:
    around = scope.frame.resolver
    return around if isinstance(around, Entries) else None


def _check_stated(
    report: Report, rules: BaseRules, value: dict[str, Any], actual: str, targets: frozenset[str], spot: Spot
) -> None:
    """Reference.type must be allowed here and be the type of what is referred to (R4 section 2.3.0.1)."""
    stated = value.get("type")
    if not isinstance(stated, str) or not stated:
        return
    name = stated.removeprefix(STRUCTURE)
    wanted = actual if actual in rules.resource_types and actual != name else ""
    if not wanted and targets and name not in targets:
        wanted = ", ".join(sorted(targets))
    if wanted:
        text = "The type does not fit what is referred to"
        report.add("value", text, spot, rule="dmt-reference-stated", expected=wanted, member="type")


def _contained_type(scope: Scope, wanted: str) -> str | None:
    """The type of a contained resource; None if there is none of this id. An empty id means the container."""
    if not wanted:
        return ""
    found = contained_of(scope).get(wanted)
    return None if found is None else str(found.get("resourceType"))
