"""Definitions from outside, of packages and posted ones: which of them take part in validation, and the validator
that knows them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.fhir.outcomes import Issue
from app.profiles import r4, shared_json
from app.validation.packages.notes import notes_on
from app.validation.packages.shapes import DEFINITION_TYPES, misshapen
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules
from app.validation.snapshots.broken import BrokenProfile, Flaw
from app.validation.snapshots.differentials import prepared
from app.validation.snapshots.patterns import pattern_flaws
from app.validation.snapshots.snapshot import Snapshots, with_snapshot
from app.validation.snapshots.soundness import flaws_of
from app.validation.snapshots.structures import Structures
from app.validation.validator import Validator

Json = Mapping[str, Any]
# Makes a validator of definitions, and the URLs of those among them that were posted.
Make = Callable[[Sequence[Json], frozenset[str]], Validator]

FHIR_VERSION = "4.0.1"


def unused(definition: Json) -> str:
    """Why a definition plays no part in validation, as the end of a sentence; "" if it does."""
    url = definition.get("url")
    if definition.get("resourceType") not in DEFINITION_TYPES:
        return "only profiles, extensions, value sets and code systems are used"
    if not isinstance(url, str):
        return "it has no url"
    if url in fixed_urls():
        return "base R4 or this service defines its url, and keeps its own definition"
    if definition["resourceType"] == "StructureDefinition":
        return _unused_structure(definition)
    return "supplements are not used" if definition.get("content") == "supplement" else ""


def _unused_structure(definition: Json) -> str:
    if definition.get("derivation") != "constraint":
        return "it is a type or logical model, no profile on a type of R4"
    if str(definition.get("type")) not in r4()["types"]:
        return "it is no profile on a type of R4"
    return ""


@cache
def fixed_urls() -> frozenset[str]:
    """The URLs that packages and clients cannot give another meaning."""
    base = r4()
    own = [*shared_json("structuredefinitions").values(), *shared_json("terminology").values()]
    types = (STRUCTURE + name for name in base["types"])
    return frozenset(
        [*base["profiles"], *base["value_sets"], *base["code_systems"], *types, *(str(each.get("url")) for each in own)]
    )


@cache
def _rules() -> BaseRules:
    return BaseRules(r4())


def flaws(structures: Sequence[Json], among: Iterable[Json], *, is_trusted: bool) -> dict[str, tuple[Flaw, ...]]:
    """The flaws of profiles that cannot be used, by URL.

    among: all profiles they may build on, themselves too. is_trusted: they are the operator's, not a client's.
    """
    base = r4()
    own = shared_json("structuredefinitions").values()
    known = Structures(base, [*own, *among])
    of_base = ({**each, "url": url} for url, each in base["profiles"].items())
    profiles = Profiles(_rules(), [*of_base, *(prepared(each, known) for each in [*own, *among])])
    found = flaws_of(structures, known, profiles)
    for each in structures:
        if more := tuple(pattern_flaws(each, is_trusted=is_trusted)):
            found[each["url"]] = (*found.get(each["url"], ()), *more)
    return found


def usable(definitions: Iterable[Json]) -> tuple[list[Json], list[Flaw]]:
    """Those of the definitions that a validator can be loaded with, and the flaws of the others."""
    own = [each for each in definitions if not unused(each)]
    profiles = [each for each in own if _is_profile(each)]
    found = flaws(profiles, profiles, is_trusted=True)
    return [each for each in own if each["url"] not in found], [flaw for each in found.values() for flaw in each]


def version_flaw(definition: Json) -> str:
    """Whether a StructureDefinition says it is for another FHIR version, as a sentence."""
    version = str(definition.get("fhirVersion", FHIR_VERSION))
    return "" if version == FHIR_VERSION else f"it is for FHIR {version}; {FHIR_VERSION} is needed"


class Definitions:
    """The validator of now. It is swapped as a whole when posted definitions change, so that every check sees either
    the old ones or the new ones."""

    def __init__(self, packages: Sequence[Json], make: Make) -> None:
        """packages: definitions that stay; make: the validator of base R4, ours, and further definitions.

        Raises BrokenProfile if a definition of a package cannot be compiled.
        """
        self._packages = tuple(packages)
        self._make = make
        self._of_packages = {str(each["url"]): each for each in packages}
        self._validator = make(self._packages, frozenset())
        self._posted: dict[str, Json] = {}
        # Whether definitions have been taken over that are not in force yet.
        self.is_behind = False
        self.resource_types = self._validator.resource_types

    @property
    def validator(self) -> Validator:
        """The validator of now: not to be kept from one request to the next."""
        return self._validator

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
        """Every problem of a resource, by the definitions of now."""
        return self._validator.check(resource, profiles=profiles)

    def problems(self, resource: dict[str, Any]) -> list[Issue]:
        """Every problem of a resource that has an error, by the definitions of now."""
        return self._validator.problems(resource)

    def knows(self, canonical: str) -> bool:
        """Whether a profile of this url, and of this |version if one is given, is known."""
        url, _, version = canonical.partition("|")
        if url in fixed_urls():
            return True
        found = self._posted.get(url) or self._of_packages.get(url)
        return found is not None and (not version or found.get("version") == version)

    def notes(self, definition: Json, others: Iterable[str] = ()) -> list[str]:
        """What a usable definition asks that cannot be checked here. others: urls that come in with it."""
        known = {*others, str(definition.get("url"))}
        return notes_on(definition, lambda url: url in known or self.knows(url)) if _is_profile(definition) else []

    def unused(self, definition: Json) -> str:
        """Why a posted definition plays no part in validation, as the end of a sentence; "" if it does."""
        if definition.get("url") in self._of_packages:
            return "a package of this server defines its url"
        return unused(definition)

    def flaws(self, changes: Mapping[str, Json | None]) -> dict[str, tuple[Flaw, ...]]:
        """The flaws that posted definitions would have after changes, by url.

        changes: by url, None for one that goes. Looked at are the changed ones and those that build on them.
        """
        after = self._posted | dict(changes)
        return self._flaws({url: each for url, each in after.items() if each is not None}, set(changes))

    def structure(self, canonical: str) -> Json | None:
        """The StructureDefinition of a url, with or without |version; None if none is known that way."""
        url, _, version = canonical.partition("|")
        found = self._structures().whole(url)
        return None if found is None or (version and found.get("version") != version) else found

    def snapshot(self, structure: Json) -> dict[str, Any]:
        """A StructureDefinition with the snapshot made here. Raises BrokenProfile."""
        if wrong := _shape_flaws(structure):
            raise BrokenProfile(wrong)
        structures = self._structures(structure)
        if structure.get("derivation") != "constraint" and structures.type_name(structure["url"]):
            return dict(structure)
        if reason := _unused_structure(structure):
            raise BrokenProfile([Flaw(structure["url"], "", reason)])
        return with_snapshot(structure, Snapshots(structures).of(structure))

    def _structures(self, *first: Json) -> Structures:
        own = shared_json("structuredefinitions").values()
        others = [each for each in (*self._packages, *self._posted.values()) if _is_profile(each)]
        return Structures(r4(), [*first, *own, *others])

    def take(self, posted: Iterable[Json]) -> list[Flaw]:
        """Take over posted definitions, the first of each url; `build` puts them in force. Those that cannot be used
        are left out; answers why."""
        usable: dict[str, Json] = {}
        for each in posted:
            if not self.unused(each) and not misshapen(each):
                usable.setdefault(each["url"], each)
        before = self._posted
        changed = {url for url in usable.keys() | before.keys() if usable.get(url) is not before.get(url)}
        found = self._flaws(usable, changed)
        self._posted = {url: each for url, each in usable.items() if url not in found}
        self.is_behind = True
        return [flaw for each in found.values() for flaw in each]

    def build(self) -> None:
        """Put what was taken over in force, from the next check on."""
        try:
            self._validator = self._make([*self._packages, *self._posted.values()], frozenset(self._posted))
        finally:
            # Not before: whoever comes meanwhile has to wait.
            self.is_behind = False

    def _flaws(self, posted: Mapping[str, Json], changed: set[str]) -> dict[str, tuple[Flaw, ...]]:
        profiles = {url: each for url, each in posted.items() if _is_profile(each)}
        asked = [profiles[url] for url in _concerned(profiles, changed)]
        shaped = {each["url"]: found for each in asked if (found := _shape_flaws(each))}
        among = [
            each for each in (*self._packages, *profiles.values()) if _is_profile(each) and each["url"] not in shaped
        ]
        return shaped | flaws([each for each in asked if each["url"] not in shaped], among, is_trusted=False)


def _is_profile(definition: Json) -> bool:
    return bool(definition["resourceType"] == "StructureDefinition")


def _shape_flaws(structure: Json) -> tuple[Flaw, ...]:
    wrong = [*misshapen(structure), *filter(None, [version_flaw(structure)])]
    return tuple(Flaw(structure["url"], "", each) for each in wrong)


def _concerned(profiles: Mapping[str, Json], changed: set[str]) -> list[str]:
    """The changed profiles and, round after round, those that mention one of them."""
    mentions = {url: _mentioned(each) for url, each in profiles.items()}
    found = set(changed)
    while more := {url for url, names in mentions.items() if url not in found and names & found}:
        found |= more
    return [url for url in profiles if url in found]


def _mentioned(structure: Json) -> set[str]:
    """The URLs of what a profile is made of."""
    elements = structure.get("differential", {}).get("element", ())
    types = (type_ for each in elements for type_ in each.get("type", ()))
    named = [str(structure.get("baseDefinition", "")), *(url for type_ in types for url in type_.get("profile", ()))]
    return {url.partition("|")[0] for url in named}
