"""All code systems and value sets known here, found by canonical URL and expanded when first asked for."""

from collections import deque
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any

from app.profiles import r4, shared_json, toml_files
from app.terminology.concepts import Concept, concept_of, flat
from app.terminology.expansion import Answer, CodeSystem, ValueSet, expand, read_code_system, read_designations
from app.terminology.grammars import GRAMMARS

_MAX_DEPTH = 20


class Terminology:
    """Answers whether a code exists and whether a value set holds it."""

    def __init__(
        self,
        code_systems: Mapping[str, Mapping[str, Any]],
        value_sets: Mapping[str, Mapping[str, Any]],
        resources: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """code_systems, value_sets: in the short form of definitions.json.gz; resources: CodeSystems and ValueSets."""
        self._compact = code_systems
        self._composes: dict[str, Mapping[str, Any]] = dict(value_sets)
        self._systems: dict[str, CodeSystem | None] = {}
        self._value_sets: dict[str, ValueSet] = {}
        # Each value set that came as a resource; those of base R4 are held in one version only.
        self._resources: dict[str, Mapping[str, Any]] = {}
        # system -> code -> further displays, also from supplements.
        self._designations: dict[str, dict[str, frozenset[str]]] = {}
        # system -> what resources say of its codes: the system itself, then its supplements.
        self._said: dict[str, list[Mapping[str, Any]]] = {}
        for resource in resources:
            self._add(resource)

    def _add(self, resource: Mapping[str, Any]) -> None:
        url = resource.get("url")
        if not isinstance(url, str):
            return
        if resource["resourceType"] == "CodeSystem":
            is_supplement = resource.get("content") == "supplement"
            system = str(resource.get("supplements", "")).partition("|")[0] if is_supplement else url
            self._designations.setdefault(system, {}).update(read_designations(resource))
            before = self._said.get(system, [])
            self._said[system] = [*before, resource] if is_supplement else [resource, *before]
            if not is_supplement:
                self._systems[url] = system_of(resource)
        elif resource["resourceType"] == "ValueSet":
            self._composes[url] = composed(resource)
            self._resources[url] = resource
            self._value_sets.pop(url, None)

    def code_system(self, url: str) -> CodeSystem | None:
        if url not in self._systems:
            found = self._compact.get(url)
            if found is None:
                return None
            is_complete = found["content"] == "complete"
            ignores_case = found.get("case") is False
            self._systems[url] = CodeSystem(url, found["codes"], found.get("parents", {}), is_complete, ignores_case)
        return self._systems[url]

    def value_set(self, canonical: str, _above: tuple[str, ...] = ()) -> ValueSet | None:
        """The expanded value set of a canonical URL; None if it, or the |version asked for, is not known.

        A value set that includes itself through others is not known there: such a definition has no meaning.
        """
        url, _, version = canonical.partition("|")
        if version and self._version_of(url) not in ("", version):
            return None
        if url not in self._value_sets:
            if url not in self._composes or url in _above or len(_above) > _MAX_DEPTH:
                return None
            above = (*_above, url)
            made = expand(url, self._composes[url], self.code_system, lambda other: self.value_set(other, above))
            self._value_sets[url] = made
        return self._value_sets[url]

    def compose(self, url: str) -> Mapping[str, Any] | None:
        """The definition of a value set."""
        return self._composes.get(url)

    def resource(self, value_set: str) -> Mapping[str, Any] | None:
        """The ValueSet resource of a URL; None for those of base R4, of which only the definition is kept."""
        return self._resources.get(value_set)

    def _version_of(self, value_set: str) -> str:
        return str(self._resources.get(value_set, {}).get("version", ""))

    def expanded(self, resource: Mapping[str, Any]) -> ValueSet:
        """The codes of a ValueSet resource, whether or not it is one of those known by their URL."""
        return expand(str(resource.get("url", "")), composed(resource), self.code_system, self.value_set)

    def is_active(self, system: str, code: str) -> Answer:
        """Whether a code may still be used: its properties `inactive` and `status` say so (R4 concept-properties)."""
        concept = self.concept(system, code)
        if concept is None or system not in self._said:
            return Answer.UNCHECKED
        said = {
            str(each["code"]): str(value).lower()
            for each in concept.properties
            for name, value in each.items()
            if name != "code"
        }
        is_retired = said.get("inactive") == "true" or said.get("status") in ("retired", "inactive")
        return Answer.INVALID if is_retired else Answer.VALID

    def name_of(self, system: str) -> str:
        """What a code system is called: its name, or its URL where that is all there is."""
        return str(next((each["name"] for each in self._said.get(system, ()) if "name" in each), system))

    def joined_by(self, system: CodeSystem) -> "Terminology":
        """The same, with a code system that is asked about in place of the one of its URL."""
        made = copy(self)
        made._systems = self._systems | {system.url: system}
        made._value_sets = {}
        return made

    def concept(self, system: str, code: str) -> Concept | None:
        """What is known of a code of a system; None if the code is not listed."""
        known = self.code_system(system)
        found = known.find(code) if known else None
        if known is None or found is None:
            return None
        said = (flat(resource).get(found) for resource in self._said.get(system, ()))
        return concept_of(known, found, [each for each in said if each is not None])

    def codes(self, value_set: str) -> list[str]:
        """The codes of a value set, for telling; none if not all of them are known."""
        found = self.value_set(value_set)
        if found is None or found.is_open or found.open_systems:
            return []
        return sorted({code for codes in found.codes.values() for code in codes})

    def is_value_set(self, url: str) -> bool:
        """Whether a URL names a value set and no code system: a common mistake in Coding.system."""
        return url in self._composes and self.code_system(url) is None

    def has_code(self, system: str, code: str) -> Answer:
        """Whether a code system has a code. Only complete systems can say no."""
        grammar = GRAMMARS.get(system)
        if grammar:
            return Answer.INVALID if grammar(code) else Answer.VALID
        known = self.code_system(system)
        if known is None:
            return Answer.UNCHECKED
        if known.find(code) is not None:
            return Answer.VALID
        return Answer.INVALID if known.is_complete else Answer.UNCHECKED

    def flaw(self, system: str, code: str) -> str:
        """What is wrong with a code of a system that a grammar defines, as the end of a sentence; "" if nothing is."""
        grammar = GRAMMARS.get(system)
        return grammar(code) if grammar else ""

    def is_known(self, system: str) -> bool:
        """Whether anything can be told here of the codes of a system."""
        return system in GRAMMARS or self.code_system(system) is not None

    def display(self, system: str, code: str) -> str | None:
        """The display a known code system gives a code."""
        known = self.code_system(system)
        found = known.find(code) if known else None
        return known.codes[found] if known and found is not None else None

    def is_display(self, system: str, code: str, text: str) -> Answer:
        """Whether a text is the display of a code, or a designation of it, whatever its case.

        Only a complete code system can say no.
        """
        known = self.code_system(system)
        found = known.find(code) if known else None
        if known is None or found is None or not known.codes[found]:
            return Answer.UNCHECKED
        accepted = {known.codes[found], *self._designations.get(system, {}).get(found, ())}
        if text.casefold() in (each.casefold() for each in accepted):
            return Answer.VALID
        return Answer.INVALID if known.is_complete else Answer.UNCHECKED

    def contains(self, value_set: str, system: str | None, code: str) -> Answer:
        """Whether a value set holds a code. system None: any of its systems, as for an element of type code."""
        found = self.value_set(value_set)
        return Answer.UNCHECKED if found is None else self.among(found, system, code)

    def among(self, found: ValueSet, system: str | None, code: str) -> Answer:
        """The same of a value set that is at hand."""
        answer = found.contains_code(code) if system is None else found.contains(system, self._written(system, code))
        if answer is not Answer.UNCHECKED:
            return answer
        asked = found.open_systems if system is None else {system} & found.open_systems
        if asked and not found.is_open and all(each in GRAMMARS for each in asked):
            if all(GRAMMARS[each](code) for each in asked):
                return Answer.INVALID
            return Answer.UNCHECKED if asked & found.chosen_systems else Answer.VALID
        return answer

    def _written(self, system: str, code: str) -> str:
        known = self.code_system(system)
        return (known.find(code) if known and known.ignores_case else None) or code


def system_of(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource with a url, taken for a part of it where nobody has given us the whole."""
    made = read_code_system(resource)
    return replace(made, is_complete=False) if made.url in _fragments() else made


def composed(value_set: Mapping[str, Any]) -> Mapping[str, Any]:
    """The compose of a ValueSet resource, or what its stored expansion amounts to."""
    return value_set.get("compose") or _listed(value_set.get("expansion", {}))


def _listed(expansion: Mapping[str, Any]) -> dict[str, Any]:
    """The compose that a stored expansion amounts to."""
    systems: dict[str, list[str]] = {}
    open_ = deque(expansion.get("contains", ()))
    while open_:
        entry = open_.popleft()
        open_ += entry.get("contains", ())
        if "system" in entry and "code" in entry and not entry.get("abstract"):
            systems.setdefault(entry["system"], []).append(entry["code"])
    return {"include": [{"system": system, "concept": codes} for system, codes in systems.items()]}


@cache
def _fragments() -> frozenset[str]:
    """The terminologies of which nobody has given us the whole, whatever a resource says of itself."""
    file = toml_files("vocabulary")["systems"]
    return frozenset(file["system"][name] for name in file["fragments"])


def load_terminology(resources: Iterable[Mapping[str, Any]] = ()) -> Terminology:
    """Base R4, our own content, and further CodeSystem and ValueSet resources."""
    own = [each for each in shared_json("terminology").values() if each["resourceType"] in ("CodeSystem", "ValueSet")]
    base = r4()
    return Terminology(base["code_systems"], base["value_sets"], [*own, *resources])
