"""Patches: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and FHIRPath Patch (R4, fhirpatch.html)."""

from app.fhir.patch.patch import MEDIA_TYPES, Patch, apply, read_patch, require_patch_type

__all__ = ["MEDIA_TYPES", "Patch", "apply", "read_patch", "require_patch_type"]
