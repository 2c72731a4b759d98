"""What a code system says of one code: names, definition, properties, and what is above and below it."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.terminology.expansion import CodeSystem


@dataclass(frozen=True, slots=True)
class Concept:
    """One code as its system writes it. designations, properties: as in a CodeSystem resource."""

    code: str
    display: str
    definition: str = ""
    designations: Sequence[Mapping[str, Any]] = ()
    properties: Sequence[Mapping[str, Any]] = ()
    parents: Sequence[str] = ()
    children: Sequence[str] = ()

    def named(self, language: str) -> str:
        """What it is called in a language, e.g. de or de-AT; "" where that is not held."""
        for wanted in (language, language.partition("-")[0]):
            for each in self.designations:
                if str(each.get("language", "")).casefold() == wanted.casefold():
                    return str(each.get("value", ""))
        return ""


def flat(resource: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The concepts of a CodeSystem resource by their code, whatever their depth."""
    found: dict[str, Mapping[str, Any]] = {}
    open_ = deque(resource.get("concept", ()))
    while open_:
        concept = open_.popleft()
        open_ += concept.get("concept", ())
        if isinstance(concept.get("code"), str):
            found[concept["code"]] = concept
    return found


def concept_of(system: CodeSystem, code: str, said: Iterable[Mapping[str, Any]]) -> Concept | None:
    """A code of a system, None if it is not listed. said: what the resources of the system say of its code, the system
    itself before its supplements."""
    found = system.find(code)
    if found is None:
        return None
    every = list(said)
    return Concept(
        code=found,
        display=system.codes[found],
        definition=next((str(each["definition"]) for each in every if "definition" in each), ""),
        designations=[one for each in every for one in each.get("designation", ())],
        properties=[one for each in every for one in each.get("property", ())],
        parents=sorted(set(system.parents.get(found, ()))),
        children=[child for child, above in system.parents.items() if found in above],
    )


def subsumption(system: CodeSystem, one: str, other: str) -> str:
    """How two codes of a system stand to each other, in the words of $subsumes; "" where that cannot be told.

    Only a complete system can say that neither includes the other.
    """
    a, b = system.find(one), system.find(other)
    if a is None or b is None:
        return ""
    if a == b:
        return "equivalent"
    if b in system.below(a):
        return "subsumes"
    if a in system.below(b):
        return "subsumed-by"
    return "not-subsumed" if system.is_complete else ""
