"""What the attack is made of: valid resources and requests of this project, and of a folder that is given."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.rows import FOLDER, Step, read_table

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "app" / "profiles" / "examples"
# Larger ones make the attack slow, not better; one in a hundred requests is padded to any size.
_MOST_BYTES = 40_000
Json = dict[str, Any]


@dataclass(frozen=True)
class Material:
    """Everything valid that is there to be changed.

    resources: by type. posted: bodies of operations by their name. clinic: bodies by their address. steps: the requests
    of the conformance rows, with `${row}` where an id stands.
    """

    resources: Mapping[str, Sequence[Json]]
    posted: Mapping[str, Json]
    clinic: Mapping[str, Sequence[Json]]
    steps: Sequence[Step]

    @property
    def types(self) -> Sequence[str]:
        """The types that there are resources of."""
        return sorted(self.resources)


def load(folder: Path | None = None) -> Material:
    """The material of the project, with the resources of a folder of JSON files."""
    files = [*sorted((EXAMPLES / "valid").glob("*.json")), *(sorted(folder.rglob("*.json")) if folder else ())]
    by_type: dict[str, list[Json]] = defaultdict(list)
    for resource in _resources(files):
        by_type[resource["resourceType"]].append(resource)
    requests = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(EXAMPLES.glob("requests/*.json"))}
    posted = {name: body for name, body in requests.items() if "resourceType" in body}
    for resource in _inside(posted.values()):
        by_type[resource["resourceType"]].append(resource)
    return Material(dict(by_type), posted, _clinic(requests), list(_steps()))


def _resources(files: Sequence[Path]) -> Iterator[Json]:
    for file in files:
        if file.stat().st_size <= _MOST_BYTES:
            read = json.loads(file.read_text("utf-8"))
            if isinstance(read, dict) and isinstance(read.get("resourceType"), str):
                yield read


def _inside(posted: Iterable[Json]) -> Iterator[Json]:
    """The resources that bodies of requests are or bring, without those that only carry parameters."""
    for body in posted:
        if body["resourceType"] not in ("Bundle", "Parameters"):
            yield body
        yield from (entry["resource"] for entry in body.get("entry", ()))


def _clinic(requests: Mapping[str, Json]) -> dict[str, list[Json]]:
    bodies: dict[str, list[Json]] = {}
    for name in ("assessments", "diagnoses", "examinations", "treatment-plans"):
        bodies[f"/pain/{name}"] = [requests[name]]
    for hook in ("patient-view", "order-select", "order-sign"):
        bodies[f"/cds-services/dermatome-{hook}"] = [requests[f"cds-{hook}"]]
        bodies[f"/cds-services/dermatome-{hook}/feedback"] = [requests["cds-feedback"]]
    return bodies


def _steps() -> Iterator[Step]:
    for path in sorted(FOLDER.glob("*.toml")):
        table = read_table(path)
        yield from table.setup
        for row in table.rows:
            yield from row.steps
