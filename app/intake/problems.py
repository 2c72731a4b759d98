"""Collecting what is wrong with many writes before refusing them all."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.fhir.outcomes import Refused


class Problems:
    """What was refused so far. `kept` goes on after a refusal; `refuse` then tells them all at once."""

    def __init__(self) -> None:
        self._found: list[Refused] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A refusal within the block is kept and ends the block only."""
        try:
            yield
        except Refused as refused:
            self._found.append(refused)

    def refuse(self) -> None:
        """Raises what was kept, if anything: as the kind it is, or as a plain refusal where the kinds differ."""
        if self._found:
            kinds = {type(one) for one in self._found}
            kind = kinds.pop() if len(kinds) == 1 else Refused
            raise kind(issue for one in self._found for issue in one.issues)
