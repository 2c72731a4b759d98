"""Dermatome: neuropathic pain as FHIR R4, mapped, validated, stored, served and synced."""
