"""The only import of fhir.resources: the typed models as a second opinion on what we build.

The library has no R4 models; R4B equals R4 for the types we build. Its output is never used: it rewrites
decimals (72.50 becomes 72.5) and dates.
"""

from typing import Any

from fhir.resources.R4B import get_fhir_model_class


def built(resource: dict[str, Any]) -> dict[str, Any]:
    """The same resource, after the typed model of its type accepted it. Raises ValueError (pydantic's) otherwise:
    a resource of ours that does not fit its type is a defect of a mapping."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return resource
