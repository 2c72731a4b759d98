"""Makes the snapshot of a profile from its differential and what it is based on (R4 5.1.0.5, 5.3.1.3)."""

from collections.abc import Mapping
from typing import Any

from app.validation.snapshots.broken import BrokenProfile, Flaw
from app.validation.snapshots.differentials import with_ids
from app.validation.snapshots.generation import MAX_PARTS, Generation
from app.validation.snapshots.parts import Part, defined, elements_of, tree_of
from app.validation.snapshots.slices import slicing_flaws
from app.validation.snapshots.structures import Structures

Json = Mapping[str, Any]

MAX_BASES = 50


class Snapshots:
    """Makes snapshots, each once; profiles that others build on are made on the way."""

    def __init__(self, structures: Structures) -> None:
        self.structures = structures
        self._made: dict[str, Part] = {}
        self._making: list[str] = []

    def of(self, structure: Json) -> list[dict[str, Any]]:
        """The elements of the snapshot. Raises BrokenProfile."""
        return list(elements_of(self.tree(structure), str(structure["type"])))

    def tree(self, structure: Json) -> Part:
        """The snapshot as a tree. Raises BrokenProfile."""
        url = str(structure["url"])
        if url not in self._made:
            self._making.append(url)
            try:
                self._made[url] = self._make(structure)
            except RecursionError:
                raise BrokenProfile([Flaw(url, "", "it is built too deeply on others")]) from None
            finally:
                self._making.pop()
        return self._made[url]

    def profile_tree(self, canonical: str) -> Part | None:
        """The tree of a type or profile by URL, None if it is not known. Raises BrokenProfile."""
        if name := self.structures.type_name(canonical):
            return self.structures.type_tree(name)
        structure = self.structures.get(canonical)
        if structure is None:
            return None
        url = str(structure["url"])
        if url in self._making:
            round_ = " -> ".join([*self._making[self._making.index(url) :], url])
            raise BrokenProfile([Flaw(self._making[-1], "", f"it is built on itself: {round_}")])
        return self.tree(structure)

    def _make(self, structure: Json) -> Part:
        if self.structures.counts_by_snapshot(structure):
            return self._given(structure)
        made = Generation(self, structure, self._base(structure))
        made.apply()
        return made.root

    def _given(self, structure: Json) -> Part:
        """The tree of the snapshot a profile brings along."""
        elements = structure["snapshot"]["element"]
        url = str(structure["url"])
        if len(elements) > MAX_PARTS:
            raise BrokenProfile([Flaw(url, "", f"the snapshot has more than {MAX_PARTS} elements")])
        tree = tree_of(with_ids(elements))
        if flaws := [Flaw(url, id_, reason) for id_, reason in slicing_flaws(tree, str(structure["type"]), self)]:
            raise BrokenProfile(flaws)
        return tree

    def _base(self, structure: Json) -> Part:
        url, named = str(structure["url"]), str(structure.get("baseDefinition", ""))
        if len(self._making) > MAX_BASES:
            raise BrokenProfile([Flaw(url, "", f"it is built on more than {MAX_BASES} others")])
        found = self.profile_tree(named)
        if found is None:
            raise BrokenProfile([Flaw(url, "", f"its baseDefinition {named or '(none)'} is not known here")])
        type_ = self.structures.type_name(named) or str((self.structures.get(named) or {}).get("type"))
        if type_ != structure["type"]:
            raise BrokenProfile([Flaw(url, "", f"it is for {structure['type']}, but its baseDefinition for {type_}")])
        return found


def with_snapshot(structure: Json, elements: list[dict[str, Any]]) -> dict[str, Any]:
    """The StructureDefinition with this snapshot."""
    return {**structure, "snapshot": {"element": [defined(each) for each in elements]}}
