"""The fast gate: whether a resource is valid, told by functions generated from the rule tree."""

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

from app.fhir.fhirpath import FhirPathError, r4_model
from app.fhir.fhirpath.native import Translator
from app.fhir.references import is_id
from app.validation.checks.datatypes import check_datatype
from app.validation.checks.implied import as_implied, implied_profile
from app.validation.checks.narrative import is_plain, narrative_flaws
from app.validation.conformance import Conformance
from app.validation.gate.cache import Cache, Compiled
from app.validation.gate.constants import Constants
from app.validation.gate.module import Module
from app.validation.gate.profiles import ProfileWriter
from app.validation.gate.runtime import FUNCTIONS, MEMORY, Context, Unsure, remember
from app.validation.gate.types import TypeWriter
from app.validation.overlays import Overlay, Profile
from app.validation.rules import BaseRules, TypeUse
from app.validation.telling.report import Report, Spot
from app.validation.walk import Walk

Function = Callable[..., bool]
# Marks a profile that R4 applies by the code of an Observation.
_IMPLIED = "implied:"
# What generated code presumes may not be so in a resource that is not valid; the diagnosing pass then tells why.
_PRESUMED = (TypeError, AttributeError, LookupError, ArithmeticError, ValueError, RecursionError, FhirPathError)
# The url of an extension, and its value or its extensions.
_PLAIN = 2
# Types that are looked at as a whole, beyond their elements.
_WHOLES = frozenset({"Bundle", "QuestionnaireResponse"})
_CODING = frozenset({"system", "code", "display"})


class Gate:
    """Compiled once, for all types of R4; profiles are compiled when they are first asked for, or by `prepare`."""

    def __init__(
        self, rules: BaseRules, conformance: Conformance, new_walk: Callable[[Report], Walk], cache: Cache
    ) -> None:
        self._rules, self._conformance, self._new_walk = rules, conformance, new_walk
        self._codings: set[Any] = set()
        self._quantities: set[Any] = set()
        self._extensions: dict[tuple[str, str, str, str], Function] = {}
        self._claimed: dict[tuple[str, str], Function | bool] = {}
        self._profiles: dict[str, Function] = {}
        self._lock, self._cache = RLock(), cache
        self._constants = Constants(conformance, new_walk(Report()), self._root_of)
        self._namespace: dict[str, Any] = {**FUNCTIONS, "codings": self._codings, "quantities": self._quantities}
        self._namespace |= {name: getattr(self, "_" + name) for name in _CALLED}
        self._load(self._cache.compiled("base", self._base))
        self._types: dict[str, Function] = self._namespace["TYPES"]

    def admits(self, resource: Any, profiles: Sequence[str] = ()) -> bool | None:
        """True: the diagnosing pass would find no error. False: it would. None: it has to be asked.

        profiles: canonical URLs to check besides those in meta.profile.
        """
        try:
            return self._resource(resource, None, is_contained=False, asked=tuple(profiles))
        except (Unsure, *_PRESUMED):
            return None

    def prepare(self, urls: Sequence[str], key: str) -> None:
        """Compile profiles now, as one module that the cache can keep. key: a hash of what they were made from."""
        with self._lock:
            self._write(urls, self._cache, key)

    def _base(self) -> Module:
        module = Module()
        writer = TypeWriter(module, self._rules, Translator(r4_model(), module.function))
        names = {
            name: writer.name_of(self._rules.type_rule(name))
            for name in [*sorted(self._rules.resource_types), "Extension"]
        }
        writer.write_open()
        module.table("TYPES", names)
        return module

    def _load(self, module: Compiled) -> None:
        for name, recipe in module.recipes.items():
            self._namespace[name] = getattr(self._constants, recipe.maker)(*recipe.arguments)
        for part in module.code:
            exec(part, self._namespace)  # noqa: S102 - the text is written by this package

    def _resource(self, value: Any, outer: Context | None, *, is_contained: bool, asked: tuple[str, ...] = ()) -> bool:
        name = value["resourceType"]
        if name not in self._rules.resource_types or (is_contained and outer and outer.is_contained):
            return False
        c = Context(value, self._new_walk, outer, is_contained=is_contained)
        if not self._types[name](value, c, name):
            return False
        if "contained" in value or name in _WHOLES:
            c.walk.whole(value, "")
            c.walk.response(value, c.scope, "")
            if c.walk.report.has_errors:
                return False
        claimed = value["meta"].get("profile", ()) if "meta" in value else ()
        return self._claims(value, c, (*claimed, *asked) if claimed or asked else ())

    def _claims(self, value: dict[str, Any], c: Context, urls: tuple[str, ...]) -> bool:
        """Whether a resource conforms to the profiles it claims, it is asked for, and R4 applies by its code."""
        name = value["resourceType"]
        for url in urls:
            found = self._claimed.get((url, name))
            if found is None:
                found = self._claim(url, name)
            if found is False or (found is not True and not found(value, c)):
                return False
        implied = implied_profile(value) if name == "Observation" else ""
        if not implied or implied in {url.partition("|")[0] for url in urls}:
            return True
        return self._profile(_IMPLIED + implied)(value, c)

    def _claim(self, url: str, type_: str) -> Function | bool:
        """What a claimed profile comes to: a function, or a verdict where there is nothing to check."""
        profile = self._conformance.profiles.claimed(url)
        if profile is None and not self._conformance.is_base(url, type_):
            # It is for the diagnosing pass to say that it was not checked.
            raise Unsure
        found: Function | bool = True
        if profile:
            found = self._profile(profile.url) if profile.type == type_ else False
        if len(self._claimed) >= MEMORY:
            self._claimed.clear()
        self._claimed[url, type_] = found
        return found

    def _profile(self, key: str) -> Function:
        """The function of a profile. key: its URL, with a mark if it is implied."""
        if key not in self._profiles:
            with self._lock:
                self._write([key], Cache(), key)
        return self._profiles[key]

    def _write(self, keys: Sequence[str], cache: Cache, name: str) -> None:
        prefix = f"P{len(self._profiles)}_"
        self._load(cache.compiled(prefix + name, lambda: self._module(keys, prefix)))
        self._profiles |= self._namespace[f"{prefix}PROFILES"]

    def _module(self, keys: Sequence[str], prefix: str) -> Module:
        module = Module(prefix)
        types = TypeWriter(module, self._rules, Translator(r4_model(), module.function))
        writer = ProfileWriter(module, types, self._conformance.profiles, self._conformance.slicer)
        module.table(f"{prefix}PROFILES", {key: writer.write(key, self._overlaid(key)) for key in keys})
        return module

    def _overlaid(self, key: str) -> Profile:
        found = self._conformance.profiles.get(key.removeprefix(_IMPLIED))
        if found is None:
            raise KeyError(key)
        return as_implied(found) if key.startswith(_IMPLIED) else found

    def _root_of(self, key: str) -> Overlay:
        return self._overlaid(key).root

    # Called by generated code, without the underscore.

    def _inner(self, value: Any, c: Context, is_contained: bool) -> bool:
        return self._resource(value, c, is_contained=is_contained)

    def _reference(self, value: Any, c: Context, path: str, targets: frozenset[str]) -> bool:
        """A Reference. What is not plainly Type/id of one of the targets is left to the walk's check."""
        type_, _, id_ = value.get("reference", "").partition("/")
        is_plain = c.outer is None and type_ in targets and is_id(id_)
        if is_plain and len(value) == 1:
            return True
        if not self._namespace["T_Reference"](value, c, path):
            return False
        if "type" not in value and (is_plain or "reference" not in value):
            return True
        return self._datatype(value, c, "Reference", targets)

    def _datatype(self, value: Any, c: Context, type_: str, targets: frozenset[str] = frozenset()) -> bool:
        use = TypeUse(type_, (), targets)
        check_datatype(c.walk.report, self._rules, c.walk.terminology, value, use, Spot("", type_), c.scope)
        return not c.walk.report.has_errors

    def _coding(self, value: dict[str, Any], c: Context) -> bool:
        if not self._datatype(value, c, "Coding"):
            return False
        if value.keys() <= _CODING:
            key = (value.get("system"), value.get("code"), value.get("display"), c.language, len(value))
            remember(self._codings, key)
        return True

    def _quantity(self, value: dict[str, Any], c: Context, type_: str) -> bool:
        if not self._datatype(value, c, type_):
            return False
        remember(self._quantities, (value.get("system"), value.get("code"), value.get("unit")))
        return True

    def _narrative(self, value: Any) -> bool:
        return is_plain(value) or (
            not self._rules.checks["xhtml"](value) and next(narrative_flaws(value), None) is None
        )

    def _profiled(self, value: Any, c: Context, url: str) -> bool:
        """A profile that a type names, such as SimpleQuantity."""
        profile = self._conformance.profiles.get(url)
        if profile is None or profile.is_extension or not self._rules.has(profile.type):
            return True
        return self._profile(profile.url)(value, c)

    def _extension(self, value: Any, c: Context, holder: str, path: str, holder_path: str) -> bool:
        """An extension on an element. holder: the type that has it; path: its rule path; holder_path: its element's."""
        if not self._types["Extension"](value, c, path):
            return False
        url = value["url"]
        found = self._extensions.get((url, holder, path, holder_path))
        if found is not None:
            if len(value) != _PLAIN or "id" in value:
                has_value = any(name.startswith("value") for name in value)
                if has_value == ("extension" in value):
                    return False
            return found(value, c)
        profile = self._conformance.profiles.get(url)
        if profile and (profile.invariants or any(kind != "element" for kind, _ in profile.contexts)):
            # Where it may stand depends on more than the type and path of what holds it.
            raise Unsure
        c.scope.holder_type, c.scope.holder_path = holder, holder_path
        c.walk.extension(value, Spot("", "Extension", path), c.scope)
        if c.walk.report.has_errors:
            return False
        if len(self._extensions) >= MEMORY:
            self._extensions.clear()
        self._extensions[url, holder, path, holder_path] = self._extension_function(profile)
        return True

    def _extension_function(self, profile: Profile | None) -> Function:
        """What an extension must be where one was found fine before."""
        if profile is None or not profile.is_extension:
            return lambda value, c: True
        check, names = self._profile(profile.url), self._conformance.inner_names(profile)

        def is_fine(value: dict[str, Any], c: Context) -> bool:
            for each in value.get("extension", ()):
                if each["url"] not in names and ":" not in each["url"]:
                    return False
            return check(value, c)

        return is_fine


_CALLED = ("inner", "reference", "datatype", "coding", "quantity", "narrative", "profiled", "extension")
