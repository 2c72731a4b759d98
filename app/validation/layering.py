"""Lays the differentials of a profile and of what it is based on over each other: one tree of overlays."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.fhir.fhirpath import Expression, ExpressionError, FhirPathError, compile_expression
from app.validation.overlays import Overlay, Profile, ProfiledType, Slicing
from app.validation.rules import NATIVE, BaseRules, Binding, Constraint, Slot, TypeRule, severity_of
from app.validation.snapshots.broken import MAX_FLAWS, BrokenProfile, Flaw

Json = Mapping[str, Any]


def layered(rules: BaseRules, chain: Sequence[Json], posted: frozenset[str] = frozenset()) -> Profile:
    """The profile at the end of a chain of structures, the most general of them first. Raises BrokenProfile.

    posted: the URLs of those that are a client's.

    Their elements have ids, as those of base R4 do and `differentials.prepared` gives them.
    """
    special = chain[-1]
    url, layers, flaws = special["url"], _Layers(rules, special["type"]), list[Flaw]()
    for structure in chain:
        flaws += layers.lay(structure, is_posted=structure["url"] in posted)
    contexts = tuple((each["type"], each["expression"]) for each in special.get("context", ()))
    paths = _expressions(url, [text for kind, text in contexts if kind == "fhirpath"], flaws)
    invariants = _expressions(url, special.get("contextInvariant", ()), flaws)
    if flaws:
        raise BrokenProfile(flaws[:MAX_FLAWS])
    is_modifier = _is_modifier(special)
    return Profile(url, special["type"], layers.root, contexts, paths, invariants, is_modifier, url in posted)


class _Layers:
    """One tree of overlays, to which each structure adds."""

    def __init__(self, rules: BaseRules, type_: str) -> None:
        self._rules, self._type = rules, type_
        self.root = Overlay(type_)
        # The types of choices that the differential at hand has named in its paths (valueQuantity); no others are
        # allowed then, as in the snapshots of R4.
        self._named: dict[Overlay, tuple[ProfiledType, ...]] = {}
        self._is_posted = False

    def lay(self, structure: Json, *, is_posted: bool) -> list[Flaw]:
        """Add a differential; returns what is wrong with it."""
        self._named, self._is_posted = {}, is_posted
        flaws = []
        for place, element in enumerate(structure["element"]):
            try:
                self._place(element)
            except FhirPathError as error:
                flaws.append(Flaw(structure["url"], element["id"], str(error), place))
        return flaws

    def _place(self, element: Json) -> None:
        """Find or make the overlay of an element and let the element add to it."""
        overlay = self.root
        rule: TypeRule | None = self._rules.type_rule(self._type)
        for step in element["id"].split(".")[1:]:
            overlay, slot = self._below(overlay, rule, step, element["path"])
            rule = self._rule_below(slot, overlay)
        self._add(overlay, element, rule.name if rule else "")

    def _below(self, overlay: Overlay, rule: TypeRule | None, step: str, path: str) -> tuple[Overlay, Slot | None]:
        name, _, slice_name = step.partition(":")
        name, slot = _named(rule, name.removesuffix("[x]"), slice_name)
        if rule and not slot:
            raise ExpressionError(f"{rule.name} has no element {name}")
        below = overlay.children.setdefault(name, Overlay(f"{overlay.path}.{name}"))
        if slot and slot.element.is_choice and not slice_name and step not in (name, name + "[x]"):
            slice_name = step
            if step == path.rpartition(".")[2]:
                below.types = self._named[below] = (*self._named.get(below, ()), ProfiledType(slot.use.code))
        return (_slice(below, slice_name, slot) if slice_name else below), slot

    def _rule_below(self, slot: Slot | None, overlay: Overlay) -> TypeRule | None:
        if slot is None:
            return None
        if slot.element.is_choice and len(overlay.types) == 1 and self._rules.has(overlay.types[0].code):
            return self._rules.type_rule(overlay.types[0].code)
        return self._rules.rule_of(slot) if not slot.element.is_choice or len(slot.element.types) == 1 else None

    def _add(self, overlay: Overlay, element: Json, type_: str) -> None:
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
        severity, expression = severity_of(constraint["severity"]), compile_expression(text, context=type_)
        return Constraint(key, severity, constraint["human"], expression, self._is_posted)


def _expressions(url: str, texts: Iterable[str], flaws: list[Flaw]) -> tuple[Expression, ...]:
    """What an extension says in FHIRPath of where it may stand."""
    made: list[Expression] = []
    for text in texts:
        try:
            made.append(compile_expression(text))
        except FhirPathError as error:
            flaws.append(Flaw(url, "context", str(error), 0))
    return tuple(made)


def _is_modifier(structure: Json) -> bool:
    first: Json = next(iter(structure["element"]), {})
    return bool(structure.get("isModifier") or ("." not in first.get("path", ".") and first.get("isModifier")))


def _greatest(binding: Json) -> str:
    """The maximum value set of a binding, from the extension elementdefinition-maxValueSet."""
    for extension in binding.get("extension", ()):
        if str(extension.get("url")).endswith("/elementdefinition-maxValueSet"):
            return next((str(value) for name, value in extension.items() if name.startswith("value")), "")
    return ""


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


def _slicing(slicing: Json) -> Slicing:
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


def _profiled_type(type_: Json) -> ProfiledType:
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
