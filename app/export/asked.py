"""What an export was asked for, as its job keeps it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["system", "patient", "group"]
NDJSON = "ndjson"
# Bulk Data Access 3.0.0, value set include-associated-data.
LATEST_PROVENANCE, RELEVANT_PROVENANCE = "LatestProvenanceResources", "RelevantProvenanceResources"


@dataclass(frozen=True, slots=True)
class Asked:
    """One export, every parameter read and checked.

    level: whose data, with the id of the Group at that level. types: the resource types to write, those of the level
    where none were named. since, until: microseconds since 1970, both exclusive: changed after since and before until.
    filters: resource type -> searches of it (status=active&code=x), of which one must match. elements: resource type,
    or "" for every type -> names of elements. patients: ids, () for all of the level. organize_by: the type whose
    instances head their blocks, "" for files by type. views: (name, ViewDefinition text) of a view export, and the
    format of its tables. request: the full URL that was asked. ignored: sentences that tell what was left out.
    """

    level: Level
    types: tuple[str, ...]
    request: str
    group: str = ""
    since: int | None = None
    until: int | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patients: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()
    organize_by: str = ""
    pseudonymised: bool = False
    format: str = NDJSON
    views: tuple[tuple[str, str], ...] = ()
    table_format: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """JSON, for the row of the job."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Asked":
        """The export of such a text."""
        return cls(**{name: _frozen(value) for name, value in json.loads(text).items()})


def _frozen(value: Any) -> Any:
    """What JSON has as lists, as tuples."""
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
