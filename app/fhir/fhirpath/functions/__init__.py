"""The functions of FHIRPath. Each module fills the one table; an unknown name is an error when compiling."""

from app.fhir.fhirpath.functions import collections, conversions, keys, loops, numbers, resources, strings
from app.fhir.fhirpath.functions.table import compile_call

__all__ = ["collections", "compile_call", "conversions", "keys", "loops", "numbers", "resources", "strings"]
