"""Whether a value is what a profile fixes, and within the limits it sets."""

from typing import Any

from app.fhir.fhirpath import FhirPathError, Node
from app.fhir.fhirpath.nodes import system
from app.fhir.fhirpath.operators import compare
from app.validation.checks.equality import has_pattern, same
from app.validation.overlays import Overlay
from app.validation.slicing import Item
from app.validation.telling import breaches
from app.validation.telling.report import Report


def check_value(report: Report, item: Item, overlay: Overlay) -> None:
    if overlay.fixed is not None and not same(item.value, overlay.fixed):
        breaches.not_fixed(report, item.value, overlay.fixed, item.spot)
    elif overlay.fixed is not None and isinstance(item.extra, dict) and "extension" in item.extra:
        breaches.fixed_extension(report, item.spot)
    if overlay.pattern is not None and not has_pattern(item.value, overlay.pattern):
        breaches.not_pattern(report, item.value, overlay.pattern, item.spot)
    if overlay.max_length is not None and isinstance(item.value, str) and len(item.value) > overlay.max_length:
        breaches.too_long(report, overlay.max_length, len(item.value), item.spot)
    if overlay.min_value is not None and _order(item, overlay.min_value) == -1:
        breaches.below(report, overlay.min_value, item.spot)
    if overlay.max_value is not None and _order(item, overlay.max_value) == 1:
        breaches.above(report, overlay.max_value, item.spot)


def _order(item: Item, limit: Any) -> int | None:
    """-1 or 1 if the item is below or above a limit of the same type; None where they cannot be compared."""
    try:
        return compare([Node(item.value, item.spot.type)], [system(Node(limit, item.spot.type))])
    except (FhirPathError, ArithmeticError):
        return None
