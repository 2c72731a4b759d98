"""What verify found: how much of each kind, with some references, and how many resources of each type are where."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.store.repository import Key

Kind = Literal[
    "missing",
    "different",
    "stale",
    "unnoted",
    "not deleted",
    "twice",
    "not taken",
    "outdated",
    "still here",
    "unknown",
    "waiting",
    "to be read",
    "quarantined",
]
# What each kind means, for whoever reads a report.
KINDS: Mapping[Kind, str] = {
    "missing": "here and wanted, and not there",
    "different": "there with another content",
    "stale": "there as it is here, but in another version than the ledger says",
    "unnoted": "there as it is here, or deleted on both sides, and the ledger does not say so",
    "not deleted": "deleted here, and still there",
    "twice": "there more than once",
    "not taken": "there and wanted here, and neither here nor in quarantine",
    "outdated": "changed there, and not read since",
    "still here": "deleted there, and still here",
    "unknown": "the target could not be asked about it",
    "waiting": "in the outbox: not told yet, refused, or in conflict; this is no drift",
    "to be read": "written there since it was last read; this is no drift",
    "quarantined": "came from there, and could not be kept; this is no drift",
}
_NO_DRIFT: frozenset[Kind] = frozenset(("waiting", "to be read", "quarantined"))


@dataclass(slots=True)
class Amount:
    """How many of a type there are. here: that the target is to hold, or was taken from it; there: found of these;
    in_all: that the target says it has, whoever wrote them, None where it does not say."""

    here: int = 0
    there: int = 0
    in_all: int | None = None


@dataclass(slots=True)
class Report:
    """What was found so far. place of places: how far it has come; compared: contents that were read and compared."""

    place: int = 0
    places: int = 0
    seen: int = 0
    compared: int = 0
    repaired: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[str]] = field(default_factory=dict)
    types: dict[str, Amount] = field(default_factory=dict)

    @property
    def drift(self) -> int:
        """How many differ."""
        return sum(count for kind, count in self.counts.items() if kind not in _NO_DRIFT and kind != "unknown")

    @property
    def code(self) -> int:
        """0 for no drift, 1 for drift, 2 where something could not be compared and the rest is as it should be."""
        return 1 if self.drift else 2 * bool(self.counts["unknown"])

    def note(self, kind: Kind, key: Key, most: int = 20) -> None:
        """Count one, and name it while there are few."""
        self.counts[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < most:
            examples.append("/".join(key))

    def tally(self, resource_type: str, *, here: bool, there: bool) -> None:
        """Count one of a type."""
        amount = self.types.setdefault(resource_type, Amount())
        amount.here += here
        amount.there += there


def is_drift(kind: Kind) -> bool:
    """Whether a kind is something to be put right."""
    return kind not in _NO_DRIFT and kind != "unknown"
