"""The validator: definitions compiled once, then asked for every resource."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.fhir.outcomes import Issue
from app.profiles import json_files, r4
from app.terminology import Terminology, load_terminology
from app.validation.conformance import Conformance
from app.validation.overlays import Profiles
from app.validation.report import Report, Scope
from app.validation.rules import BaseRules
from app.validation.slicing import Slicer
from app.validation.walk import Walk

Json = Mapping[str, Any]


class Validator:
    """Checks resources against base R4 and against profiles. resource_types: the concrete types of R4."""

    def __init__(self, base: Json, terminology: Terminology, structures: Iterable[Json] = ()) -> None:
        """base: the content of definitions.json.gz; structures: StructureDefinitions, each compiled now.

        Raises BrokenProfile if one of them cannot be compiled.
        """
        self._rules = BaseRules(base)
        # Logical models and data types of other versions describe nothing that is checked here.
        profiles = (each for each in structures if each.get("derivation") == "constraint")
        own = [each for each in profiles if self._rules.has(each.get("type", ""))]
        self._terminology = terminology
        known = [{**each, "url": url, "version": base["version"]} for url, each in base["profiles"].items()]
        self._profiles = Profiles(self._rules, [*known, *own])
        self._conformance = Conformance(self._rules, self._profiles, Slicer(self._rules, self._profiles, terminology))
        self.resource_types = self._rules.resource_types
        for each in own:
            self._profiles.get(each["url"])

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
        """Every problem of a resource at once: errors, warnings and information; errors decide.

        profiles: canonical URLs to check besides those in meta.profile. Never raises, whatever the JSON holds.
        """
        report = Report()
        asked = tuple(profiles)

        def check_resource(walk: Walk, inner: dict[str, Any], scope: Scope, path: str) -> None:
            self._conformance.check_resource(walk, inner, scope, path, asked if inner is resource else ())

        walk = Walk(
            self._rules,
            self._terminology,
            report,
            self._conformance.check_extension,
            self._conformance.check_type,
            check_resource,
        )
        try:
            walk.resource(resource, "")
        except RecursionError:
            # The parser bounds the depth of JSON; this is for callers who did not use it, and for circular profiles.
            report.add("structure", "The resource is nested too deeply", "")
        return report.issues


def load_validator(definitions: Iterable[Json] = ()) -> Validator:
    """The validator of base R4 and our own profiles. definitions: further StructureDefinitions, ValueSets and
    CodeSystems, e.g. of a foreign guide."""
    further = list(definitions)
    terminology = load_terminology(each for each in further if each.get("resourceType") in ("CodeSystem", "ValueSet"))
    own = json_files("structuredefinitions").values()
    foreign = [each for each in further if each.get("resourceType") == "StructureDefinition"]
    return Validator(r4(), terminology, [*own, *foreign])
