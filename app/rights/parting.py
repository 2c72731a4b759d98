"""Taking merges back, the last first: what they moved is as it was before or, where it was changed since, refers to the
source again."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.fhir import json as lossless
from app.fhir.outcomes import Issue
from app.fhir.references import local
from app.rights.links import REPLACED, REPLACES, Tree, mentions, pointed, unlinked
from app.rights.person import identifiers_of
from app.store import repository
from app.store.database import Connection
from app.store.repository import Key, Stored


@dataclass(slots=True)
class Parting:
    """Of two patients. stored: what is there now, the two first; texts: what becomes of each; problems: what cannot be
    told apart any more."""

    connection: Connection
    base: str
    source: Stored
    target: Stored
    stored: dict[Key, Stored] = field(default_factory=dict)
    texts: dict[Key, bytes] = field(default_factory=dict)
    problems: dict[Key, Issue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in (self.target, self.source):
            self._keep(one)

    async def undo(self, record: Tree) -> None:
        """Go back to before one merge, from what is found so far."""
        for key, version in _versions(record, self.base):
            current = self.stored.get(key) or await repository.read(self.connection, *key)
            if current is None or current.content is None:
                continue
            self._keep(current)
            numbers = (version - 1, version)
            before, after = [await repository.read_version(self.connection, *key, each) for each in numbers]
            self._undo(key, (before and before.content) or b"", (after and after.content) or b"")

    def _keep(self, one: Stored) -> None:
        self.stored.setdefault(_key(one), one)
        self.texts.setdefault(_key(one), one.content or b"")

    def _undo(self, key: Key, before: bytes, after: bytes) -> None:
        """before, after: what the merge found, and made of it; nothing where that is erased."""
        now = self.texts[key]
        if before and after and lossless.same_content(now, after):
            self.texts[key] = before
        elif key == _key(self.source):
            self.texts[key] = lossless.dumps(_revived(_tree(now), _tree(before), self.target.id))
        elif key == _key(self.target):
            own = identifiers_of(_tree(self.source.content or b""))
            self.texts[key] = lossless.dumps(_separated(_tree(now), _tree(before), own, self.source.id))
        elif self._is_told(now, before):
            self.texts[key] = pointed(now, self.target.id, self.source.id, self.base)
        else:
            told = "was changed since, and which of its references are the source's cannot be told any more."
            self.problems[key] = Issue("conflict", f"{'/'.join(key)} {told}", key[0])

    def _is_told(self, now: bytes, before: bytes) -> bool:
        """Whether all references to the target that there are now were to the source."""
        count = mentions(now, self.target.id, self.base)
        if not count:
            return True
        if not before or mentions(before, self.target.id, self.base):
            return False
        return count <= mentions(before, self.source.id, self.base)


def _revived(source: Tree, before: Tree, target_id: str) -> Tree:
    """The source without the link, and active as it was."""
    made = {name: value for name, value in unlinked(source, target_id, REPLACED).items() if name != "active"}
    return made | ({"active": before["active"]} if "active" in before else {})


def _separated(target: Tree, before: Tree, own: set[tuple[str, str]], source_id: str) -> Tree:
    """The target without the link, and without the identifiers that it has of the source since."""
    made, since = unlinked(target, source_id, REPLACES), own - identifiers_of(before)
    kept = [each for each in made.get("identifier", ()) if not identifiers_of({"identifier": [each]}) & since]
    rest = {name: value for name, value in made.items() if name != "identifier"}
    return rest | ({"identifier": kept} if kept else {})


def _versions(record: Tree, base: str) -> Iterator[tuple[Key, int]]:
    """What a merge made, by its Provenance, as far as anybody's has such."""
    found = (local(str(each.get("reference", "")), base) for each in record["target"])
    yield from (((key[0], key[1]), int(key[2])) for key in found if key and key[2].isdecimal())


def _key(stored: Stored) -> Key:
    return stored.type, stored.id


def _tree(text: bytes) -> Tree:
    tree: Tree = lossless.parse_keeping_digits(text or b"{}")
    return tree
