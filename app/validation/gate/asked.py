"""Python expressions for the values that profiles ask for, and for what tells slices apart. As in slicing.py."""

from typing import Any

from app.fhir.json import dumps
from app.validation.gate.module import Module
from app.validation.overlays import Overlay, Slicing
from app.validation.rules import BaseRules, Slot, TypeRule
from app.validation.slicing import Slicer, asks_anything, steps_of


class Unwritable(Exception):
    """The element is left to the diagnosing pass."""


class Asked:
    """Writes expressions on a value by its name in generated code."""

    def __init__(self, module: Module, rules: BaseRules, slicer: Slicer) -> None:
        self._module, self._rules, self._slicer = module, rules, slicer
        self._names = 0

    def rule(self, slot: Slot) -> TypeRule | None:
        """The rules of what a slot holds; None for a resource, whose type is told by itself."""
        return None if slot.use.code == "Resource" else self._rules.rule_of(slot)

    def same(self, name: str, fixed: Any) -> str:
        if isinstance(fixed, str):
            return f"({name} == {fixed!r})"
        return f"{self._module.constant('fixed', dumps(fixed))}({name})"

    def pattern(self, name: str, pattern: Any) -> str:
        """A Python expression: whether a value, or None, has a pattern."""
        if isinstance(pattern, str):
            return f"({name} == {pattern!r})"
        if isinstance(pattern, dict):
            self._names += 1
            inner = f"z{self._names}"
            tests = (self.pattern(f"{inner}.get({key!r})", each) for key, each in pattern.items())
            return f"(({inner} := {name}) is not None and {' and '.join(tests)})"
        if isinstance(pattern, list):
            return "(" + " and ".join(f"{self._has(each)}({name})" for each in pattern) + ")"
        return f"{self._module.constant('pattern', dumps(pattern))}({name})"

    def _has(self, pattern: Any) -> str:
        """A function: whether a list, or None, has an item with a pattern."""
        test = self.pattern("y", pattern)
        if isinstance(pattern, dict):
            test = " and ".join(self.pattern(f"y.get({key!r})", each) for key, each in pattern.items())
        return self._module.function("v", f"for y in v or ():\n    if {test}: return True\nreturn False")

    def belongs(self, slice_: Overlay, slicing: Slicing, slot: Slot, name: str) -> str:
        """A Python expression: whether an item belongs to a slice."""
        tests = [self._discriminates(slice_, kind, path, slot, name) for kind, path in slicing.discriminators]
        return " and ".join(tests)

    def _discriminates(self, slice_: Overlay, kind: str, path: str, slot: Slot, name: str) -> str:
        steps = steps_of(path)
        if kind not in ("value", "pattern") or any("(" in step for step in steps):
            raise Unwritable
        rules = list(self._slicer.overlays_at(slice_, steps))
        if not rules and path == "url":
            rules = [self._slicer.url_rule(slice_)]
        return self._reaches(
            [step for step in steps if step != "$this"], slot, list(filter(asks_anything, rules)), name
        )

    def _reaches(self, steps: list[str], slot: Slot, rules: list[Overlay], name: str) -> str:
        """A Python expression: whether any element at the end of the steps is as one of the rules asks."""
        if not steps:
            return "(" + (" or ".join(self._conforms(each, slot, name) for each in rules) or "False") + ")"
        below = self._below(slot, steps[0])
        child = f"{name}.get({below.element.name!r})"
        if below.is_many:
            test = self._module.function("v", f"return {self._reaches(steps[1:], below, rules, 'v')}")
            return f"any_of({test}, {child})"
        if steps[1:] or any(rule.children for rule in rules):
            test = self._reaches(steps[1:], below, rules, "v")
            return f"{self._module.function('v', f'return v is not None and {test}')}({child})"
        return self._reaches([], below, rules, child)

    def _below(self, slot: Slot, name: str) -> Slot:
        rule = self.rule(slot)
        found = rule.slots.get(name) if rule else None
        if found is None or found.element.is_choice:
            raise Unwritable
        return found

    def _conforms(self, overlay: Overlay, slot: Slot, name: str) -> str:
        """A Python expression: whether a value has what an overlay and those below it fix. As in slicing.py."""
        tests = []
        if overlay.fixed is not None:
            tests.append(self.same(name, overlay.fixed))
        if overlay.pattern is not None:
            tests.append(self.pattern(name, overlay.pattern))
        if overlay.binding and overlay.binding.strength == "required":
            tests.append(f"{self._module.constant('member', slot.use.code, overlay.binding.value_set)}({name})")
        for child, below in overlay.children.items():
            for part in (below, *below.slices.values()):
                if asks_anything(part):
                    tests.append(self._reaches([child], slot, [part], name))
        return f"({' and '.join(tests)})"
