"""What a check finds: which promise is broken, and where. No content and no identifier of a patient stands in it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# kind -> what it means. Those of WARNINGS are not damage: R4 allows them, and so may the settings.
KINDS: Mapping[str, str] = {
    "no-current": "resources without exactly one current version",
    "not-newest": "resources whose current version is not the newest, or in whose versions one is missing",
    "no-content": "versions whose content is missing",
    "extra-content": "contents of no version, or of a deletion",
    "changed-content": "contents that are not what was stored: another SHA-256",
    "unreadable-content": "contents that cannot be read, or are of another resource or version",
    "unproven-content": "contents without a digest",
    "wrong-values": "current versions whose search values are not those of their content",
    "extra-values": "versions with search values that should have none",
    "lost-item": "outbox items about a version that is not there",
    "wrong-ledger": "ledger rows about a version that is not there",
    "no-audit": "versions without an audit row",
    "extra-audit": "audit rows of a version that is not there",
    "dangling": "references of current versions to what is not here",
}
WARNINGS = frozenset({"unproven-content", "dangling"})
REPAIRABLE = frozenset({"wrong-values", "extra-values"})
_MOST_EXAMPLES = 20


@dataclass(slots=True)
class Findings:
    """Counted by kind, with the first places of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    repaired: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    compared: int = 0
    unindexed: tuple[str, ...] = ()

    def add(self, kind: str, place: str, count: int = 1) -> None:
        self.counts[kind] += count
        known = self.examples.setdefault(kind, [])
        if len(known) < _MOST_EXAMPLES:
            known.append(place)

    @property
    def has_damage(self) -> bool:
        """Whether something is broken and was not repaired."""
        return any(self.counts[kind] > self.repaired[kind] for kind in self.counts if kind not in WARNINGS)
