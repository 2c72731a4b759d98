"""Canonical URLs: where HL7's own definitions stand, and which profiles a resource claims."""

from collections.abc import Mapping
from typing import Any

# What every StructureDefinition of HL7 begins with.
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


def claimed_profiles(resource: Mapping[str, Any] | None) -> list[str]:
    """The profiles a resource claims in meta.profile; none where that is not of the right form."""
    meta = (resource or {}).get("meta")
    found = meta.get("profile") if isinstance(meta, dict) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
