"""What a limited client may write: what it changes, and what becomes of that, must be in what its scopes cover.

What it may not see is to it as if it were not there: nothing is told of it, neither by what is refused nor by how.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.fhir.outcomes import Forbidden, Issue, NotFound
from app.fhir.provenance import TYPE as PROVENANCE
from app.intake.problems import Problems
from app.intake.versions import Placed, names_itself
from app.intake.writes import Write, Written
from app.store import sight
from app.store.database import Connection
from app.store.repository import Key, Stored
from app.store.sight import VersionKey

_RULE = "dmt-scope"
# A patch tells by its tests, and by what it fails on, what is there: who patches must be allowed to read.
_NEEDED: Mapping[str, str] = {"POST": "c", "PUT": "u", "PATCH": "ur", "DELETE": "d"}
_READING = "rs"


def require_rights(writes: Sequence[Write], *, says: bool = False) -> None:
    """Before anything is looked at. Raises Forbidden naming every write to whose type the right is not given.

    says: whether a Provenance goes with them.
    """
    looking = sight.current()
    if looking is None:
        return
    problems = Problems()
    for write in writes:
        for right in _NEEDED[write.method] + ("s" if write.search else ""):
            with problems.kept():
                looking.require(right, [write.type], write.path)
    if says:
        with problems.kept():
            looking.require("c", [PROVENANCE])
    problems.refuse()


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands, as far as the one who writes may know of it. changeable: by the write's own right; looking None:
    all of it."""

    current: Mapping[Key, Stored]
    looking: sight.Sight | None = None
    changeable: frozenset[tuple[str, VersionKey]] = frozenset()
    visible: frozenset[VersionKey] = frozenset()

    def of(self, one: Placed) -> Stored | None:
        """What a write finds there. Raises Forbidden for what may be read and not changed, and NotFound for what cannot
        be made under an id of the client's choice without telling whether that is taken."""
        found = self.current.get(one.key)
        if self.looking is None or one.is_derived or one.is_existing:
            return found
        write = one.write
        is_known = found is not None and (write.method, _number(found)) in self.changeable
        if found is not None and not is_known and _number(found) in self.visible:
            told = f"The scopes of this token let it read {write.type}/{write.id}, and not do this to it."
            raise Forbidden([Issue("forbidden", told, write.path, rule=_RULE)])
        if write.method == "PUT" and (found is None or found.deleted or not is_known):
            self._require_creation(write, is_known=is_known)
        return found if is_known else None

    def _require_creation(self, write: Write, *, is_known: bool) -> None:
        looking = self.looking
        if looking is None:
            return
        if not is_known and names_itself(write) and not looking.is_whole("u", write.type):
            told = f"{write.type}/{write.id} is not here; with the scopes of this token, create it with POST."
            raise NotFound([Issue("not-found", told, write.path, rule=_RULE)])
        looking.require("c", [write.type], write.path)


async def standing(connection: Connection, placed: Sequence[Placed], current: Mapping[Key, Stored]) -> Standing:
    """What stands before the writes. current: all there is."""
    looking = sight.current()
    if looking is None:
        return Standing(current)
    changeable: set[tuple[str, VersionKey]] = set()
    for method in {one.write.method for one in placed}:
        found = [current[one.key] for one in placed if one.write.method == method and one.key in current]
        kept = None
        for right in _NEEDED[method]:
            covered = await looking.seen(connection, right, found)
            kept = covered if kept is None else kept & covered
        changeable |= {(method, key) for key in kept or ()}
    visible = await looking.seen(connection, _READING, current.values())
    return Standing(current, looking, frozenset(changeable), visible)


async def require_covered(connection: Connection, done: Iterable[tuple[Placed, Written]], problems: Problems) -> None:
    """Refuse, in problems, what would stand outside what the client's scopes cover."""
    looking = sight.current()
    if looking is None:
        return
    asked = [(one, written) for one, written in done if not one.is_derived and written.outcome in _RIGHTS]
    for outcome, right in _RIGHTS.items():
        of_it = [(one, written) for one, written in asked if written.outcome == outcome]
        covered = await looking.seen(connection, right, (written.stored for _, written in of_it))
        for one, written in of_it:
            if _number(written.stored) not in covered:
                with problems.kept():
                    told = f"What is to be stored is not within this token's scopes for {one.write.type} (.{right})."
                    raise Forbidden([Issue("forbidden", told, one.write.path, rule=_RULE)])


async def shown(connection: Connection, written: Written) -> Written:
    """The same, without content where the client may not read what now stands."""
    looking = sight.current()
    if looking is None or written.stored.deleted:
        return written
    is_seen = await looking.seen(connection, _READING, [written.stored])
    return written if is_seen else replace(written, is_shown=False)


_RIGHTS = {"created": "c", "updated": "u"}


def _number(stored: Stored) -> VersionKey:
    return stored.type, stored.id, stored.version
