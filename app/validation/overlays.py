"""Profiles as overlays: what a StructureDefinition's differential asks beyond base R4, as a tree of elements.

A resource is always checked against base R4; a profile only adds to that, so its chain of differentials, merged from
the most general to the most special, is all that needs to be looked at: no snapshot is made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.fhir.fhirpath import Expression, ExpressionError, FhirPathError, compile_expression
from app.fhir.outcomes import Severity
from app.validation.rules import NATIVE, BaseRules, Binding, Constraint, Slot, TypeRule, severity_of
from app.validation.snapshots.broken import MAX_FLAWS, BrokenProfile, Flaw

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class ProfiledType:
    """One type a profile allows. targets: canonical URLs of what a Reference may point at."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slicing:
    """discriminators: (type, path) pairs. rules: open, closed or openAtEnd."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str = "open"
    is_ordered: bool = False


@dataclass(slots=True, eq=False)
class Overlay:
    """What a profile says of one element. None everywhere: nothing is said. most -1: any number."""

    path: str
    least: int | None = None
    most: int | None = None
    types: tuple[ProfiledType, ...] = ()
    fixed: Any = None
    pattern: Any = None
    binding: Binding | None = None
    constraints: tuple[Constraint, ...] = ()
    min_value: Any = None
    max_value: Any = None
    max_length: int | None = None
    slicing: Slicing | None = None
    slices: dict[str, "Overlay"] = field(default_factory=dict)
    children: dict[str, "Overlay"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Profile:
    """A compiled profile. Of an extension: contexts, (type, expression) pairs; paths, the contexts that are FHIRPath;
    invariants, what must hold where it stands; is_modifier, whether it stands in modifierExtension."""

    url: str
    type: str
    root: Overlay
    contexts: tuple[tuple[str, str], ...] = ()
    paths: tuple[Expression, ...] = ()
    invariants: tuple[Expression, ...] = ()
    is_modifier: bool = False

    @property
    def is_extension(self) -> bool:
        return self.type == "Extension"


class Profiles:
    """All profiles known here, each compiled when first asked for."""

    def __init__(self, rules: BaseRules, structures: Iterable[Mapping[str, Any]]) -> None:
        """structures: the short form of definitions.json.gz with `url` added, or what `differentials.prepared` makes
        of a StructureDefinition. Of several with one URL the first counts."""
        self._rules = rules
        self._structures: dict[str, Mapping[str, Any]] = {}
        for each in structures:
            if "url" in each and each.get("type") != each["url"]:
                self._structures.setdefault(each["url"], each)
        self._compiled: dict[str, Profile] = {}
        # What it is to claim a profile that is not known.
        self.unknown: Severity = "warning"

    def get(self, url: str) -> Profile | None:
        """The profile of a canonical URL, with or without |version; None if it is not known."""
        url = url.partition("|")[0]
        if url not in self._compiled:
            if url not in self._structures:
                return None
            self._compiled[url] = self._compile(url)
        return self._compiled[url]

    def claimed(self, canonical: str) -> Profile | None:
        """The profile a resource claims to conform to; None also for another version of it than the one known."""
        url, _, version = canonical.partition("|")
        if version and str(self._structures.get(url, {}).get("version")) != version:
            return None
        return self.get(url)

    def types_of(self, target: str) -> str:
        """The resource type a target profile stands for; "" if that is any or not known."""
        target = target.partition("|")[0]
        name = target.removeprefix(STRUCTURE)
        if self._rules.has(name):
            return "" if name == "Resource" else name
        known = self._structures.get(target)
        return str(known["type"]) if known else ""

    def _compile(self, url: str) -> Profile:
        chain = self._chain(url)
        special = chain[-1]
        root = Overlay(special["type"])
        flaws: list[Flaw] = []
        for structure in chain:
            named: dict[Overlay, tuple[ProfiledType, ...]] = {}
            for place, element in enumerate(_elements(structure)):
                try:
                    self._place(root, special["type"], element, named)
                except FhirPathError as error:
                    flaws.append(Flaw(structure["url"], element.get("id", element["path"]), str(error), place))
        contexts = tuple((each["type"], each["expression"]) for each in special.get("context", ()))
        paths = _expressions(url, [text for kind, text in contexts if kind == "fhirpath"], flaws)
        invariants = _expressions(url, special.get("contextInvariant", ()), flaws)
        if flaws:
            raise BrokenProfile(flaws[:MAX_FLAWS])
        return Profile(url, special["type"], root, contexts, paths, invariants, _is_modifier(special))

    def _chain(self, url: str) -> list[Mapping[str, Any]]:
        """The profile and what it is based on, most general first."""
        found: list[Mapping[str, Any]] = []
        while url in self._structures and len(found) < 50:
            found.insert(0, self._structures[url])
            url = found[0].get("baseDefinition", "").partition("|")[0]
        return found

    def _place(
        self,
        root: Overlay,
        type_: str,
        element: Mapping[str, Any],
        named: dict[Overlay, tuple[ProfiledType, ...]],
    ) -> None:
        """Find or make the overlay of an element and let the element add to it.

        named: the types of choices that the differential has named in its paths (valueQuantity); no others are
        allowed then, as in the snapshots of R4.
        """
        overlay: Overlay = root
        rule: TypeRule | None = self._rules.type_rule(type_)
        for step in _steps(element)[1:]:
            name, _, slice_name = step.partition(":")
            name, slot = _named(rule, name.removesuffix("[x]"), slice_name)
            if rule and not slot:
                raise ExpressionError(f"{rule.name} has no element {name}")
            overlay = overlay.children.setdefault(name, Overlay(f"{overlay.path}.{name}"))
            if slot and slot.element.is_choice and not slice_name and step != name + "[x]" and step != name:
                slice_name = step
                if step == element["path"].rpartition(".")[2]:
                    overlay.types = named[overlay] = (*named.get(overlay, ()), ProfiledType(slot.use.code))
            if slice_name:
                overlay = _slice(overlay, slice_name, slot)
            rule = self._rule_below(slot, overlay)
        self._add(overlay, element, rule.name if rule else "")

    def _rule_below(self, slot: Slot | None, overlay: Overlay) -> TypeRule | None:
        if slot is None:
            return None
        if slot.element.is_choice and len(overlay.types) == 1 and self._rules.has(overlay.types[0].code):
            return self._rules.type_rule(overlay.types[0].code)
        return self._rules.rule_of(slot) if not slot.element.is_choice or len(slot.element.types) == 1 else None

    def _add(self, overlay: Overlay, element: Mapping[str, Any], type_: str) -> None:
        if "min" in element:
            overlay.least = element["min"]
        if "max" in element:
            overlay.most = -1 if element["max"] == "*" else int(element["max"])
        if "type" in element:
            overlay.types = tuple(_profiled_type(each) for each in element["type"])
        binding = element.get("binding")
        if binding and "valueSet" in binding:
            overlay.binding = Binding(binding["strength"], binding["valueSet"], _greatest(binding))
        for name, value in element.items():
            _add_value(overlay, name, value)
        if "slicing" in element:
            overlay.slicing = _slicing(element["slicing"])
        known = {each.key for each in overlay.constraints}
        made = [self._constraint(each, type_) for each in element.get("constraint", ())]
        overlay.constraints += tuple(each for each in made if each and each.key not in known)

    def _constraint(self, constraint: Any, type_: str) -> Constraint | None:
        if isinstance(constraint, int):
            made = self._rules.constraint(constraint)
            return None if made.key in NATIVE else made
        key, text = constraint["key"], constraint.get("expression")
        if not text or (key in NATIVE and constraint.get("source", STRUCTURE).startswith(STRUCTURE)):
            return None
        return Constraint(
            key, severity_of(constraint["severity"]), constraint["human"], compile_expression(text, context=type_)
        )


def _expressions(url: str, texts: Iterable[str], flaws: list[Flaw]) -> tuple[Expression, ...]:
    """What an extension says in FHIRPath of where it may stand."""
    made: list[Expression] = []
    for text in texts:
        try:
            made.append(compile_expression(text))
        except FhirPathError as error:
            flaws.append(Flaw(url, "context", str(error), 0))
    return tuple(made)


def _is_modifier(structure: Mapping[str, Any]) -> bool:
    first = next(iter(_elements(structure)), {})
    return bool(structure.get("isModifier") or ("." not in first.get("path", ".") and first.get("isModifier")))


def _greatest(binding: Mapping[str, Any]) -> str:
    """The maximum value set of a binding, from the extension elementdefinition-maxValueSet."""
    for extension in binding.get("extension", ()):
        if str(extension.get("url")).endswith("/elementdefinition-maxValueSet"):
            return next((str(value) for name, value in extension.items() if name.startswith("value")), "")
    return ""


def _elements(structure: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if "element" in structure:
        return structure["element"]  # type: ignore[no-any-return]
    return structure.get("differential", {}).get("element", ())  # type: ignore[no-any-return]


def _steps(element: Mapping[str, Any]) -> list[str]:
    """Observation.component:systolic.code -> its steps, slices included."""
    id_ = element.get("id", "")
    if ":" in id_ or (id_ and "sliceName" not in element):
        return str(id_).split(".")
    steps = str(element["path"]).split(".")
    if "sliceName" in element:
        steps[-1] += ":" + element["sliceName"]
    return steps


def _named(rule: TypeRule | None, name: str, slice_name: str) -> tuple[str, Slot | None]:
    """The element a step means: `value`, or `valueQuantity` for short, with the slot of its type if it is clear."""
    if rule is None:
        return name, None
    by_type = rule.slots.get(slice_name)
    if by_type and by_type.element.is_choice and by_type.element.name == name:
        return name, by_type
    slot = rule.slots.get(name)
    if slot is None:
        slot = next((each for each in rule.slots.values() if each.element.name == name), None)
    return (slot.element.name if slot else name), slot


def _slice(overlay: Overlay, name: str, slot: Slot | None) -> Overlay:
    """The overlay of a slice; that of a re-slice a/b is among the slices of a."""
    whole, _, _ = name.rpartition("/")
    if whole:
        overlay = _slice(overlay, whole, slot)
    found = overlay.slices.get(name)
    if found is None:
        found = overlay.slices[name] = Overlay(f"{overlay.path}:{name}")
        if slot and slot.element.is_choice:
            # A slice of value[x] is told apart by its type, whether or not the profile says so.
            found.types = (ProfiledType(slot.use.code),)
            overlay.slicing = overlay.slicing or Slicing((("type", "$this"),))
    return found


def _slicing(slicing: Mapping[str, Any]) -> Slicing:
    pairs = tuple((each["type"], each["path"]) for each in slicing.get("discriminator", ()))
    return Slicing(pairs, slicing.get("rules", "open"), slicing.get("ordered", False))


def _add_value(overlay: Overlay, name: str, value: Any) -> None:
    if name.startswith("fixed"):
        overlay.fixed = value
    elif name.startswith("pattern"):
        overlay.pattern = value
    elif name.startswith("minValue"):
        overlay.min_value = value
    elif name.startswith("maxValue"):
        overlay.max_value = value
    elif name == "maxLength":
        overlay.max_length = value


def _profiled_type(type_: Mapping[str, Any]) -> ProfiledType:
    code = type_.get("code", "")
    for extension in type_.get("extension", ()):
        if extension["url"].endswith("structuredefinition-fhir-type"):
            code = next(value for name, value in extension.items() if name.startswith("value"))
    targets = tuple(each if "/" in each else STRUCTURE + each for each in type_.get("targetProfile", ()))
    return ProfiledType(
        code.removeprefix("http://hl7.org/fhirpath/System.").lower() if "/" in code else code,
        tuple(type_.get("profile", ())),
        targets,
    )
