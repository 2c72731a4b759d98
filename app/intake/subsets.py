"""Resources that say they are not whole (R4 3.1.1.5.8, 3.1.1.5.9): what `_summary` and `_elements` left of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.fhir.outcomes import Issue
from app.fhir.subset import SUBSETTED, SUBSETTED_SYSTEM
from app.intake.writes import Write


def subset_issues(write: Write) -> list[Issue]:
    """Why a resource cannot be put back: what is missing in it would be lost."""
    if write.method != "PUT" or write.tree is None or not any(_says_so(one) for one in _tags(write.tree)):
        return []
    told = "The resource is tagged SUBSETTED: elements are missing in it, and storing it would lose them."
    return [Issue("business-rule", told, f"{write.type}.meta.tag", rule="dmt-subsetted")]


def _tags(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    meta = resource.get("meta")
    tags = meta.get("tag", ()) if isinstance(meta, Mapping) else ()
    yield from (one for one in tags if isinstance(one, Mapping))


def _says_so(tag: Mapping[str, Any]) -> bool:
    return tag.get("code") == SUBSETTED and tag.get("system") in (None, SUBSETTED_SYSTEM)
