"""What makes a definition unusable, told so that its author can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass

# More than this helps nobody.
MAX_FLAWS = 50


@dataclass(frozen=True, slots=True)
class Flaw:
    """One reason. element: the id of the element, "" for the whole; place: its position in the differential, or -1."""

    definition: str
    element: str
    reason: str
    place: int = -1

    def __str__(self) -> str:
        return f"{self.definition}{', ' + self.element if self.element else ''}: {self.reason}"


class BrokenProfile(Exception):
    """Profiles that cannot be compiled; flaws name profile, element and reason, the text has one a line."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("\n".join(map(str, self.flaws)))
