"""Where an extension may stand (R4 section 2.5.1.1: context), and what is to be said of one that is not known."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.fhir.fhirpath import Expression, FhirPathError, Frame, Node
from app.validation.overlays import Profile
from app.validation.patience import TooCostly
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules
from app.validation.slicing import Item, Slicer
from app.validation.telling import breaches
from app.validation.telling.report import Report, Scope, Spot
from app.validation.walk import Walk

Apply = Callable[[Walk, Profile, Item, Scope], None]


class ExtensionCheck:
    """Checks extensions against their definitions. apply: checks an item against a profile."""

    def __init__(self, rules: BaseRules, profiles: Profiles, slicer: Slicer, apply: Apply) -> None:
        self._rules, self._profiles, self._slicer, self._apply = rules, profiles, slicer, apply

    def check(self, walk: Walk, value: dict[str, Any], spot: Spot, scope: Scope) -> None:
        """Check an extension against its definition, if that is known."""
        url = value.get("url")
        if not isinstance(url, str) or not url:
            return
        is_inner = spot.rule_path == "Extension.extension"
        if ":" not in url:
            if not is_inner:
                breaches.extension_url(walk.report, spot)
            return
        profile = self._profiles.get(url)
        is_modifier = spot.rule_path.endswith(".modifierExtension")
        if profile is None or not profile.is_extension:
            check_unknown(walk.report, url, spot, is_modifier=is_modifier)
            return
        check_modifier(walk.report, profile, spot, is_modifier=is_modifier)
        try:
            with walk.patience.bounded(scope.frame) if profile.is_posted else nullcontext(scope.frame) as frame:
                is_here = is_in_context(profile, self._holder_names(spot, scope), scope.holder, frame)
                holds = is_here and holds_there(profile, scope.holder, frame)
            if not is_here:
                breaches.extension_context(walk.report, profile, spot, scope.holder_path)
            elif not holds:
                breaches.extension_invariant(walk.report, spot)
        except TooCostly as error:
            told = f"Whether the extension may stand here could not be checked: {error}"
            walk.report.add("too-costly", told, spot, rule="dmt-extension-context")
        item = Item(value, None, spot, self._rules.type_rule("Extension"))
        self._apply(walk, profile, item, scope)
        self._check_inner(walk, profile, item)

    def _check_inner(self, walk: Walk, profile: Profile, item: Item) -> None:
        """Extensions in a complex extension that have a local name must be defined by it."""
        names = inner_names(profile)
        for each in self._slicer.children(item, "extension"):
            url = each.value.get("url") if isinstance(each.value, dict) else None
            if isinstance(url, str) and ":" not in url and url not in names:
                breaches.extension_inner(walk.report, each.spot, url, names)

    def _holder_names(self, spot: Spot, scope: Scope) -> frozenset[str]:
        """What the element that holds an extension is called: its path and its type, and what these derive from."""
        holder = spot.rule_path.removesuffix(".extension").removesuffix(".modifierExtension")
        parent = scope.holder_type
        names = {holder, *self._rules.ancestors(holder), parent, *self._rules.ancestors(parent)}
        names |= {scope.holder_path, scope.holder_path.removesuffix("[x]")}
        if "DomainResource" in names and "url" in self._rules.type_rule(parent).elements:
            names |= {"CanonicalResource", "MetadataResource"}
        return frozenset(names)


def inner_names(profile: Profile) -> set[str]:
    """The local names of extensions inside a complex extension."""
    inner = profile.root.children.get("extension")
    slices = inner.slices if inner else {}
    return set(slices) | {each.children["url"].fixed for each in slices.values() if "url" in each.children}


def is_in_context(profile: Profile, names: frozenset[str], holder: Node | None, frame: Frame) -> bool:
    """Whether one of the contexts of an extension fits.

    names: of the element that holds the extension, as path and as type, and of what these derive from.
    """
    if not profile.contexts:
        return True
    outer = holder.value.get("url") if holder and isinstance(holder.value, dict) else None
    if any(_fits(kind, expression, names, outer) for kind, expression in profile.contexts):
        return True
    return any(_selects(path, frame, holder) for path in profile.paths)


def _fits(kind: str, expression: str, names: frozenset[str], outer: Any) -> bool:
    if kind == "element":
        # A profile may stand before the path: url#path. Only the path can be told here.
        path = expression.rpartition("#")[2]
        return path in names or path in ("Element", "Any")
    return kind == "extension" and expression.partition("#")[0] == outer


def _selects(path: Expression, frame: Frame, holder: Node | None) -> bool:
    """Whether a path, starting at the resource, comes to the element that holds the extension."""
    if holder is None:
        return False
    try:
        found = path.on(frame, frame.resource)
    except (FhirPathError, ArithmeticError):
        return False
    return any(isinstance(each, Node) and _is_same(each, holder) for each in found)


def _is_same(one: Node, other: Node) -> bool:
    if other.value is None:
        return one.extra is not None and one.extra is other.extra
    return one.value is other.value


def holds_there(profile: Profile, holder: Node | None, frame: Frame) -> bool:
    """Whether the element that holds an extension fulfils what the extension asks of it (contextInvariant)."""
    if not profile.invariants:
        return True
    if holder is None:
        return False
    frame.context = holder
    return all(_is_true(each, frame, holder) for each in profile.invariants)


def _is_true(expression: Expression, frame: Frame, node: Node) -> bool:
    try:
        return expression.is_true(frame, node)
    except (FhirPathError, ArithmeticError):
        return False


def check_unknown(report: Report, url: str, spot: Spot, *, is_modifier: bool) -> None:
    """An extension without a definition here is no error: R4 forbids to refuse it for that alone (section 2.5.1)."""
    if is_modifier:
        text = "This modifier extension is not known here: it may change the meaning of what it stands in"
        report.add("extension", text, spot, severity="warning", rule="dmt-modifier-unknown")
    elif url.startswith(STRUCTURE):
        text = "R4 defines no extension with this name"
        report.add("extension", text, spot, severity="warning", rule="dmt-extension-unknown", member="url")
    else:
        text = "Not checked here: an extension whose definition is not held"
        report.add("informational", text, spot, severity="information", rule="dmt-extension-unchecked")


def check_modifier(report: Report, profile: Profile, spot: Spot, *, is_modifier: bool) -> None:
    """A modifier extension stands in modifierExtension, any other does not (R4 section 2.5.1.2)."""
    if profile.is_modifier != is_modifier:
        place = "modifierExtension" if profile.is_modifier else "extension"
        text = f"This extension must stand in {place}"
        report.add("structure", text, spot, rule="dmt-extension-modifier", expected=place)
