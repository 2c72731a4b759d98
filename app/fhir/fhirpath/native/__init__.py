"""Constraints as generated Python."""

from app.fhir.fhirpath.native.quick import quick_test
from app.fhir.fhirpath.native.translator import Translator
from app.fhir.fhirpath.native.ways import Untranslatable

__all__ = ["Translator", "Untranslatable", "quick_test"]
