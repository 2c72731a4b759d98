"""What terminology says about codes that are searched by value set or by their place in a hierarchy."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from app.store.search.tree import Codes, TooCostly
from app.terminology import Terminology
from app.terminology.expansion import CodeSystem

_ABOUT_TERMS = (":in", ":not-in", ":above", ":below", "_filter")
# SQLite takes 32,766 variables in a statement.
_MOST_CODES = 5_000


def asks_terms(names: Iterable[str]) -> bool:
    """Whether value sets, or hierarchies of code systems, may decide what parameters of these names mean."""
    return any(name.endswith(_ABOUT_TERMS) for name in names)


@dataclass(frozen=True, slots=True)
class Terms:
    """Questions to the terminology of now; it changes when value sets and code systems are posted."""

    terminology: Callable[[], Terminology]

    def spelling(self, system: str, code: str) -> str:
        """A code as its system writes it, where the system takes no notice of case."""
        known = self.terminology().code_system(system)
        return (known.find(code) if known and known.ignores_case else None) or code

    def members(self, value_set: str) -> Iterator[Codes]:
        """The codes of a value set. Raises ValueError where not all of them can be told here."""
        found = self.terminology().value_set(value_set)
        if found is None:
            raise ValueError("this value set is not known here")
        if found.is_open or found.open_systems & found.chosen_systems:
            raise ValueError("which codes this value set holds cannot be told here")
        _require_few(sum(map(len, found.codes.values())))
        yield from (Codes(tuple(sorted(codes)), system) for system, codes in sorted(found.codes.items()) if codes)
        yield from (Codes(None, system) for system in sorted(found.open_systems))

    def below(self, system: str, code: str) -> Codes:
        """A code and all it subsumes. Raises ValueError where the hierarchy is not known."""
        found, own = self._place(system, code)
        return _few(found.below(own), system)

    def above(self, system: str, code: str) -> Codes:
        """A code and all that subsume it. Raises ValueError where the hierarchy is not known."""
        known, own = self._place(system, code)
        found, open_ = {own}, [own]
        while open_:
            fresh = set(known.parents.get(open_.pop(), ())) - found
            found |= fresh
            open_ += fresh
        return _few(found, system)

    def _place(self, system: str, code: str) -> tuple[CodeSystem, str]:
        known = self.terminology().code_system(system)
        if known is None or not known.is_complete:
            raise ValueError("the hierarchy of this code system is not known here")
        own = known.find(code)
        if own is None:
            raise ValueError("this code system has no such code")
        return known, own


def _few(codes: set[str] | frozenset[str], system: str) -> Codes:
    _require_few(len(codes))
    return Codes(tuple(sorted(codes)), system)


def _require_few(count: int) -> None:
    if count > _MOST_CODES:
        raise TooCostly(f"at most {_MOST_CODES} codes can be searched at once; here are {count}")
