"""The record of where versions came from: one Provenance for what one transaction took over from a target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.fhir.instants import instant
from app.sync.pull.incoming import RECORD
from app.sync.pull.pages import Incoming

_TYPES = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@dataclass(frozen=True, slots=True)
class Taken:
    """A version that is written here because of one of the target's; of a deletion, the version that was there."""

    type: str
    id: str
    version: int
    incoming: Incoming


def provenance(taken: Sequence[Taken], *, target: str, base: str, record_id: str, now: int) -> dict[str, Any]:
    """The Provenance of a page: versions here, versions there, and the target as the one they come from.

    R4 Provenance: the target names versions, so it stays true; a deleted one is named by the version it removed.
    """
    return {
        "resourceType": "Provenance",
        "id": record_id,
        "meta": {"tag": [{"system": RECORD, "code": "pull"}]},
        "target": [{"reference": f"{one.type}/{one.id}/_history/{one.version}"} for one in taken],
        "recorded": instant(now),
        "activity": {
            "coding": [{"system": _LIFECYCLE, "code": "receive", "display": "Receive/Retain Record Lifecycle Event"}]
        },
        "agent": [
            {
                "type": {"coding": [{"system": _TYPES, "code": "custodian", "display": "Custodian"}]},
                "who": {"identifier": {"system": f"{RECORD}/target", "value": target}, "display": target},
            }
        ],
        "entity": [_entity(one.incoming, base) for one in taken],
    }


def _entity(incoming: Incoming, base: str) -> dict[str, Any]:
    version = f"/_history/{incoming.version}" if incoming.version else ""
    what = f"{base}/{incoming.type}/{incoming.id}{version}"
    return {"role": "removal" if incoming.deleted else "source", "what": {"reference": what}}
