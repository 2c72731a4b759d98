"""What is measured of an attack: how many of what, how fast, and the memory of the server."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.http import Answer, Request

# What the memory of the service may grow by, once it has done a part of the work.
MOST_GROWTH_MB = 100
# The part of the time after which all caches are full.
WARM_UP = 0.25


@dataclass
class Measures:
    """Figures of one attack."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def note(self, request: Request, answer: Answer) -> None:
        """One more request."""
        self.statuses[answer.status] += 1
        self.kinds[request.kind] += 1
        self.times.append(answer.seconds)
        self.slowest = max(self.slowest, (answer.seconds, f"{request.kind} {request.method} {request.url[:120]}"))

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.statuses.values())

    def percentile(self, share: float) -> float:
        """The time within which that share of the requests was answered."""
        return sorted(self.times)[int(share * (len(self.times) - 1))] if self.times else 0.0

    def growth(self) -> float:
        """MB of memory more at the end than after the warm-up; the middle of several readings each."""
        warm = self.memory[int(len(self.memory) * WARM_UP) :]
        return _middle(warm[-5:]) - _middle(warm[:5]) if warm else 0.0


def resident_mb(pid: int) -> float:
    """What a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
