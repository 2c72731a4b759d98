"""The validator: definitions compiled once, then asked for every resource."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from app.fhir.json import dumps
from app.fhir.outcomes import Issue, Severity
from app.profiles import r4, r4_digest, shared_json
from app.terminology import Terminology, load_terminology
from app.validation.checks.questionnaires import by_canonical
from app.validation.conformance import Conformance
from app.validation.gate.cache import Cache, digest
from app.validation.gate.gate import Gate
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules
from app.validation.slicing import Slicer
from app.validation.snapshots.differentials import prepared
from app.validation.snapshots.soundness import require_sound
from app.validation.snapshots.structures import Structures
from app.validation.telling.report import Report, Scope
from app.validation.walk import ResourceCheck, Walk

Json = Mapping[str, Any]


class Validator:
    """Checks resources against base R4 and against profiles. resource_types: the concrete types of R4."""

    def __init__(
        self,
        base: Json,
        terminology: Terminology,
        structures: Iterable[Json] = (),
        unknown_profiles: Severity = "warning",
        cache: Cache | None = None,
        questionnaires: Iterable[Json] = (),
        posted: frozenset[str] = frozenset(),
    ) -> None:
        """base: the content of definitions.json.gz; structures: StructureDefinitions, each made sure of now;
        cache: where compiled code is kept; questionnaires: Questionnaires that responses are held against; posted: the
        URLs of structures that are a client's.

        Raises BrokenProfile if one of them cannot be compiled.
        """
        self._rules = BaseRules(base)
        # Logical models and data types of other versions describe nothing that is checked here.
        profiles = (each for each in structures if each.get("derivation") == "constraint")
        own = [each for each in profiles if self._rules.has(each.get("type", ""))]
        self._terminology, self._questionnaires = terminology, by_canonical(questionnaires)
        known = [{**each, "url": url, "version": base["version"]} for url, each in base["profiles"].items()]
        found = Structures(base, own)
        self._profiles = Profiles(self._rules, [*known, *(prepared(each, found) for each in own)], posted)
        self._profiles.unknown = unknown_profiles
        self._conformance = Conformance(self._rules, self._profiles, Slicer(self._rules, self._profiles, terminology))
        self.resource_types = self._rules.resource_types
        self._urls = [each["url"] for each in own]
        self._key, self._cache = digest([dumps(sorted(posted)), *map(dumps, own)]), cache or Cache()
        self._cache.once(self._key, partial(require_sound, own, found, self._profiles))

    @property
    def terminology(self) -> Terminology:
        """The code systems and value sets that codes are checked with."""
        return self._terminology

    @cached_property
    def _gate(self) -> Gate:
        gate = Gate(self._rules, self._conformance, self._walk, self._cache)
        gate.prepare(self._urls, self._key)
        return gate

    def prepare(self) -> "Validator":
        """Write the fast gate now, not when it is first asked; gives the validator back."""
        self._gate  # noqa: B018 - making it is the purpose
        return self

    def admits(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> bool | None:
        """The fast gate's answer: True if `check` finds no error, False if it finds one, None if it is to be asked."""
        return self._gate.admits(resource, profiles)

    def problems(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
        """Nothing where the gate admits a resource; otherwise all that `check` finds. This is the way of writes."""
        return [] if self._gate.admits(resource, profiles) else self.check(resource, profiles=profiles)

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
        """Every problem of a resource at once: errors, warnings and information; errors decide.

        profiles: canonical URLs to check besides those in meta.profile. Never raises, whatever the JSON holds.
        """
        report = Report()
        asked = tuple(profiles)

        def check_resource(walk: Walk, inner: dict[str, Any], scope: Scope, path: str) -> None:
            self._conformance.check_resource(walk, inner, scope, path, asked if inner is resource else ())

        try:
            self._walk(report, check_resource).resource(resource, "")
        except RecursionError:
            # The parser bounds the depth of JSON; this is for callers who did not use it, and for circular profiles.
            report.add("structure", "The resource is nested too deeply", "", rule="dmt-depth")
        return report.issues

    def _walk(self, report: Report, check_resource: ResourceCheck | None = None) -> Walk:
        conformance = self._conformance
        return Walk(
            self._rules,
            self._terminology,
            report,
            conformance.check_extension,
            conformance.check_type,
            check_resource or conformance.check_resource,
            self._questionnaires,
        )


def load_validator(
    definitions: Iterable[Json] = (),
    posted: frozenset[str] = frozenset(),
    *,
    unknown_profiles: Severity = "warning",
    cache: Path | None = None,
) -> Validator:
    """The validator of base R4 and our own profiles.

    definitions: further StructureDefinitions, ValueSets, CodeSystems and Questionnaires, e.g. of a foreign guide.
    posted: the URLs of those that a client has posted. unknown_profiles: what it is to claim a profile that is not
    known. cache: a folder that compiled code is kept in between starts. Raises BrokenProfile.
    """
    further: dict[str, list[Json]] = {}
    for each in definitions:
        further.setdefault(str(each.get("resourceType")), []).append(each)
    terminology = load_terminology([*further.get("CodeSystem", ()), *further.get("ValueSet", ())])
    structures = [*shared_json("structuredefinitions").values(), *further.get("StructureDefinition", ())]
    kept = Cache(cache, r4_digest())
    return Validator(r4(), terminology, structures, unknown_profiles, kept, further.get("Questionnaire", ()), posted)
