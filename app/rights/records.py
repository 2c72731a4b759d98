"""Records of merges: what a merge is taken back by is written by the merge, and by nobody else."""

from collections.abc import Mapping
from typing import Any

from app.fhir.outcomes import Issue
from app.fhir.provenance import TYPE as PROVENANCE
from app.intake.writes import Caller, Write
from app.profiles import package

RECORD = f"{package()['canonical']}/rights-record"


def code_of(resource: Mapping[str, Any]) -> str:
    """What a Provenance is the record of, "" where it is none."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, Mapping) else None
    of_records = (each for each in tags or () if isinstance(each, Mapping) and each.get("system") == RECORD)
    return next((str(each.get("code") or "?") for each in of_records), "")


def is_record(resource: Mapping[str, Any]) -> bool:
    return resource.get("resourceType") == PROVENANCE and bool(code_of(resource))


async def rule(write: Write, _: Caller) -> list[Issue]:
    """What the door asks of a Provenance; records of this server are its own, and no target is told of them."""
    if write.is_local or write.tree is None or not is_record(write.tree):
        return []
    told = f"A Provenance with a tag of {RECORD} is written by $merge and $unmerge, for this server alone."
    return [Issue("business-rule", told, "Provenance.meta.tag")]
