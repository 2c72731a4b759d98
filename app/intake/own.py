"""Our own definitions are resources of this server too: read like any other, and changed by nobody else.

What they say is in force from the package, not from the database: a change of one could only mislead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.fhir.outcomes import Forbidden, Issue
from app.intake.problems import Problems
from app.intake.versions import Placed
from app.intake.writes import Write
from app.store.repository import Key

_RULE = "dmt-own-definition"


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """The definitions of this package. by_url: which of them has a canonical URL."""

    resources: Sequence[Mapping[str, Any]] = ()
    keys: frozenset[Key] = field(init=False)
    types: frozenset[str] = field(init=False)
    by_url: Mapping[str, Key] = field(init=False)

    def __post_init__(self) -> None:
        by_url = {str(one["url"]): (str(one["resourceType"]), str(one["id"])) for one in self.resources}
        object.__setattr__(self, "by_url", by_url)
        object.__setattr__(self, "keys", frozenset(by_url.values()))
        object.__setattr__(self, "types", frozenset(type_ for type_, _ in by_url.values()))

    def refuse(self, placed: Iterable[Placed], problems: Problems) -> None:
        """Refuse, in problems, what would change one of ours, or give another resource its url."""
        for one in placed:
            if one.write.type in self.types and not one.is_existing and (told := self._told(one)):
                with problems.kept():
                    raise Forbidden([Issue("forbidden", told, _path(one.write), rule=_RULE)])

    def _told(self, one: Placed) -> str:
        name = "/".join(one.key)
        if one.key in self.keys:
            return f"{name} is a definition of this service and cannot be changed: make one of your own, with its url."
        holder = self.by_url.get(str((one.tree or {}).get("url")))
        if holder:
            return f"This url belongs to {'/'.join(holder)}, a definition of this service: give yours another."
        return ""


def _path(write: Write) -> str:
    return write.where or write.type
