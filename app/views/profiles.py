"""The head of a ViewDefinition, and the profiles it may claim: shareable and tabular (SQL on FHIR v2)."""

from collections.abc import Mapping
from typing import Any

from app.fhir.fhirpath.model import r4_model
from app.views.definition import Reading, Selection

_BASE = "ViewDefinition"
_PROFILES = "/StructureDefinition/"
_SHAREABLE, _TABULAR = "ShareableViewDefinition", "TabularViewDefinition"
_ELEMENTS = (
    *("resourceType", "meta", "implicitRules", "language", "text", "contained", "url", "identifier", "version"),
    *("versionAlgorithmString", "versionAlgorithmCoding", "name", "title", "status", "experimental", "date"),
    *("publisher", "contact", "description", "useContext", "jurisdiction", "purpose", "copyright", "copyrightLabel"),
    *("resource", "profile", "fhirVersion", "constant", "select", "where", "approvalDate", "lastReviewDate"),
    *("effectivePeriod", "topic", "author", "editor", "reviewer", "endorser", "relatedArtifact"),
)
_STATUSES = ("draft", "active", "retired", "unknown")


def top(reading: Reading, definition: Mapping[str, Any]) -> None:
    """Check what stands at the head."""
    reading.known(definition, _BASE, _ELEMENTS)
    if definition.get("resourceType", _BASE) != _BASE:
        reading.wrong("value", _BASE, "This is no ViewDefinition.")
    if definition.get("status", "unknown") not in _STATUSES:
        reading.wrong("code-invalid", f"{_BASE}.status", f"status is one of {', '.join(_STATUSES)}.")
    if "name" in definition:
        reading.name(definition, _BASE)
    versions = definition.get("fhirVersion", ["4.0.1"])
    if not isinstance(versions, list) or "4.0.1" not in versions:
        reading.wrong("not-supported", f"{_BASE}.fhirVersion", "This server has R4 only: 4.0.1 is not named.")


def claimed(reading: Reading, definition: Mapping[str, Any], selection: Selection) -> None:
    """Check the profiles that meta.profile claims."""
    meta = definition.get("meta")
    profiles = meta.get("profile", []) if isinstance(meta, Mapping) else []
    names = {str(each).partition(_PROFILES)[2].partition("|")[0] for each in profiles if isinstance(each, str)}
    if _SHAREABLE in names:
        for name in ("url", "name", "fhirVersion"):
            if not definition.get(name):
                reading.wrong("required", f"{_BASE}.{name}", f"A shareable ViewDefinition has a {name}.")
        _typed(reading, definition, _SHAREABLE)
    if _TABULAR in names:
        _typed(reading, definition, _TABULAR)
        for column in selection.all_columns():
            if column.collection:
                told = f"A tabular ViewDefinition has no collections: {column.name} is one."
                reading.wrong("invariant", f"{_BASE}.select", told)
            if column.type not in r4_model().primitives:
                told = f"The columns of a tabular ViewDefinition are primitive: {column.name} is no such."
                reading.wrong("invariant", f"{_BASE}.select", told)


def _typed(reading: Reading, definition: Mapping[str, Any], profile: str) -> None:
    for place, column in _columns(definition, _BASE):
        if not column.get("type"):
            reading.wrong("required", f"{place}.type", f"Every column of a {profile} says its type.")


def _columns(holder: Mapping[str, Any], place: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = [(f"{place}.column[{at}]", one) for at, one in _listed(holder, "column")]
    for name in ("select", "unionAll"):
        for at, one in _listed(holder, name):
            found += _columns(one, f"{place}.{name}[{at}]")
    return found


def _listed(holder: Mapping[str, Any], name: str) -> list[tuple[int, Mapping[str, Any]]]:
    items = holder.get(name, [])
    return [(at, one) for at, one in enumerate(items) if isinstance(one, Mapping)] if isinstance(items, list) else []
