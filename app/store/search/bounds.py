"""How much one search may ask for: what the operator sets. What no search needs more of stands where it is read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """parameters: of one search; values: it compares with in all; links: of one chain, `_has` among them; included:
    resources that go with the matches of one page."""

    parameters: int = 64
    values: int = 10_000
    links: int = 5
    included: int = 2_000


USUAL = Bounds()
