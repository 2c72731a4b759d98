"""Provenance that goes with a write: what a client says of it in X-Provenance, and from what this service derived.

It names the versions that were made; of a deletion the one that was deleted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.provenance import TYPE
from app.intake.integrity import Done
from app.intake.versions import Placed
from app.intake.writes import Caller, Write
from app.profiles import toml_files


@dataclass(frozen=True, slots=True)
class Records:
    """Makes them, in the transaction of what they are about. now: microseconds."""

    caller: Caller
    now: int
    new_id: Callable[[], str]

    def of(self, done: Sequence[Done], count: int) -> list[Placed]:
        """To be written behind what was done. count: how many writes were asked for, which is the place of the next."""
        changes = [one for one in done if one.is_change]
        made = [*self._said(changes, count), *self._derived(done)]
        return made if changes else []

    def _said(self, changes: Sequence[Done], place: int) -> Iterator[Placed]:
        said = self.caller.provenance
        if said is not None:
            yield self._placed({**lossless.parse_object(said.text), "target": _targets(changes)}, place, is_local=False)

    def _derived(self, done: Sequence[Done]) -> Iterator[Placed]:
        """One for what follows from each write, whether that itself changed anything or not."""
        origin = {one.placed.place: one for one in done if not one.placed.is_derived}
        parts: dict[int, list[Done]] = defaultdict(list)
        for one in done:
            if one.placed.is_derived and one.is_change:
                parts[one.placed.place].append(one)
        return (self._made(about, place, _version(origin[place])) for place, about in parts.items())

    def _made(self, about: Sequence[Done], place: int, of: Mapping[str, Any]) -> Placed:
        pattern = toml_files("audit")["provenance"]["derived"]
        tree = {
            **pattern,
            "target": _targets(about),
            "recorded": instant(self.now),
            "entity": [{**each, "what": dict(of)} for each in pattern["entity"]],
        }
        return self._placed(tree, place, is_local=True)

    def _placed(self, tree: Mapping[str, Any], place: int, *, is_local: bool) -> Placed:
        text = lossless.dumps(tree)
        write = Write("POST", TYPE, self.new_id(), text, lossless.parse_object(text), is_local=is_local)
        return Placed(place, write, is_fresh=True, is_derived=is_local)


def _targets(done: Sequence[Done]) -> list[dict[str, Any]]:
    return [_version(one) for one in done]


def _version(one: Done) -> dict[str, Any]:
    stored = one.written.stored
    return {"reference": f"{stored.type}/{stored.id}/_history/{stored.version - stored.deleted}"}
