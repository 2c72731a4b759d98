"""Writes the gate's functions for profiles: what an overlay asks beyond base R4, which has been checked before."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields

from app.fhir.fhirpath.model import SYSTEM_TYPES
from app.validation.gate.asked import Asked, Unwritable
from app.validation.gate.module import Module
from app.validation.gate.types import TypeWriter
from app.validation.guards import Codes, guard_of
from app.validation.overlays import Overlay, Profile, Slicing
from app.validation.profiles import Profiles
from app.validation.rules import Element, Slot, TypeRule
from app.validation.slicing import DEFAULT, Slicer

# What of an overlay is written here. What else it may ask is left to the diagnosing pass.
_WRITTEN = """
    path least most types fixed pattern binding constraints min_value max_value max_length slicing slices children
"""
_EMPTY = Overlay("")
_OTHERS = [each.name for each in fields(Overlay) if each.name not in _WRITTEN.split()]
_CALL = re.compile(r"\w+\(v, c\)")
Place = tuple[str, ...]


class ProfileWriter:
    """Writes profiles into a module. Each function takes the value v and the context c.

    A place is the way from the root of a profile to an overlay: names of children, and of slices with a colon.
    """

    def __init__(self, module: Module, types: TypeWriter, profiles: Profiles, slicer: Slicer) -> None:
        self._module, self._types, self._profiles, self._slicer = module, types, profiles, slicer
        self._asked = Asked(module, types.rules, slicer)
        self._names = 0
        self._key = ""

    def write(self, key: str, profile: Profile) -> str:
        """The name of the function for a profile. key: what the runtime finds the profile by."""
        self._key = key
        rule = self._types.rules.type_rule(profile.type)
        try:
            lines = list(self._item(profile.root, (), None, rule, "v"))
        except Unwritable:
            # The root asks for what only the diagnosing pass knows; what is below it goes there too.
            lines = [f"if not {self._module.constant('whole', key, profile.type)}(v, c): return False"]
        return self._function(lines)

    def _fresh(self) -> str:
        self._names += 1
        return f"x{self._names}"

    def _function(self, lines: Iterable[str]) -> str:
        return self._module.function("v, c", "\n".join([*lines, "return True"]))

    def _item(
        self, overlay: Overlay, place: Place, slot: Slot | None, rule: TypeRule | None, name: str
    ) -> Iterator[str]:
        """What one repetition must be. slot: None for the root."""
        type_ = slot.use.code if slot else rule.name if rule else ""
        if _asks_more(overlay):
            raise Unwritable
        if slot and overlay.types:
            yield from self._type(overlay, slot, name)
        if overlay.fixed is not None:
            yield f"if not {self._asked.same(name, overlay.fixed)}: return False"
        if overlay.pattern is not None:
            yield f"if not {self._asked.pattern(name, overlay.pattern)}: return False"
        yield from self._limits(overlay, type_, name)
        if overlay.binding and overlay.binding.strength == "required":
            bound = self._module.constant("bound", type_, overlay.binding.value_set)
            yield f"if not {bound}({name}): return False"
        yield from self._constraints(overlay, rule.name if rule else type_, name)
        for child, below in overlay.children.items():
            yield from self._element(child, below, (*place, child), rule, name)

    def _limits(self, overlay: Overlay, type_: str, name: str) -> Iterator[str]:
        for limit, sign in ((overlay.min_value, "<"), (overlay.max_value, ">")):
            if limit is not None and SYSTEM_TYPES.get(type_) not in ("Integer", "Decimal"):
                raise Unwritable
            if limit is not None:
                yield f"if {name} {sign} {limit!r}: return False"
        if overlay.max_length is not None:
            yield f"if type({name}) is str and len({name}) > {overlay.max_length}: return False"

    def _constraints(self, overlay: Overlay, type_: str, name: str) -> Iterator[str]:
        errors = [each for each in overlay.constraints if each.severity == "error"]
        allowed = dict(self._choices(overlay, type_)) if errors else {}
        tests = [self._types.condition(each, type_, name, allowed) for each in errors]
        guards = [guard_of(each.expression.text) for each in errors] if self._has_code(type_) else [None] * len(errors)
        yield from self._once([test for test, guard in zip(tests, guards, strict=True) if guard is None])
        if any(guards):
            yield from self._by_code([(test, guard) for test, guard in zip(tests, guards, strict=True) if guard], name)

    def _once(self, tests: list[str]) -> Iterator[str]:
        """Constraints, where what several ask of the element is answered once."""
        asked = Counter(call for test in tests for call in _CALL.findall(test))
        for number, call in enumerate(call for call, count in asked.items() if count > 1):
            kept = f"r{number}"
            yield f"{kept} = None"
            tests = [test.replace(call, f"({kept} if {kept} is not None else ({kept} := {call}))") for test in tests]
        yield from (f"if not {test}: return False" for test in tests)

    def _by_code(self, guarded: list[tuple[str, Codes]], name: str) -> Iterator[str]:
        """Constraints about single codes: those of the codes an element has are found in a table."""
        pairs = {pair for _, guard in guarded for pair in guard}
        tests = {
            pair: [test.replace(f"({name}, c)", "(v, c)") for test, guard in guarded if pair in guard] for pair in pairs
        }
        entries = {pair: self._function(self._once(tests[pair])) for pair in sorted(pairs)}
        table = self._module.coded_table(entries)
        yield f"for y in {name}.get('code', {{}}).get('coding', ()):"
        yield f"    t = {table}.get((y.get('system'), y.get('code')))"
        yield f"    if t is not None and not t({name}, c): return False"

    def _has_code(self, type_: str) -> bool:
        """Whether the code of a type is one CodeableConcept."""
        slot = self._types.rules.type_rule(type_).slots.get("code") if self._types.rules.has(type_) else None
        return slot is not None and not slot.is_many and slot.use.code == "CodeableConcept"

    def _choices(self, overlay: Overlay, type_: str) -> Iterator[tuple[str, list[str]]]:
        """The names that the profile leaves to the choices of an element."""
        rule = self._types.rules.type_rule(type_)
        for child, below in overlay.children.items():
            element = rule.elements.get(child)
            if element and element.is_choice and below.types:
                yield child, [key for key in rule.keys_of(element) if _allows(below, rule.slots[key])]

    def _element(self, child: str, overlay: Overlay, place: Place, rule: TypeRule | None, name: str) -> Iterator[str]:
        """What an element must be, with all its repetitions."""
        element = rule.elements.get(child) if rule else None
        try:
            if rule is None or element is None or _asks_more(overlay):
                raise Unwritable
            write = self._many if element.is_many else self._single
            yield from list(write(element, overlay, place, rule, name))
        except Unwritable:
            slow = self._module.constant("element", self._key, place, rule.name if rule else "")
            yield f"if not {slow}({name}, c): return False"

    def _many(self, element: Element, overlay: Overlay, place: Place, rule: TypeRule, name: str) -> Iterator[str]:
        slot, items, item = rule.slots[element.name], self._fresh(), self._fresh()
        yield f"{items} = {name}.get({element.name!r}, ())"
        yield from _count(overlay, f"len({items})")
        yield from self._each(overlay, place, slot, items, item)
        slicing = self._slicer.slicing_of(overlay, element.name) if overlay.slices else None
        if slicing:
            lines = self._slices(overlay, slicing, place, slot, items, item)
            if any(each.least for each in overlay.slices.values()):
                yield from lines
            else:
                yield f"if {items}:"
                yield from (f"    {line}" for line in lines)

    def _each(self, overlay: Overlay, place: Place, slot: Slot, items: str, item: str) -> Iterator[str]:
        body = list(self._item(overlay, place, slot, self._asked.rule(slot), "v"))
        if body:
            yield f"for {item} in {items}:"
            yield f"    if not {self._function(body)}({item}, c): return False"

    def _slices(
        self, overlay: Overlay, slicing: Slicing, place: Place, slot: Slot, items: str, item: str
    ) -> Iterator[str]:
        is_unusual = DEFAULT in overlay.slices or any(each.slices for each in overlay.slices.values())
        if slicing.is_ordered or slicing.rules == "openAtEnd" or is_unusual:
            raise Unwritable
        found = {key: self._fresh() for key in overlay.slices}
        for key, slice_ in overlay.slices.items():
            yield f"{found[key]} = [{item} for {item} in {items} if {self._asked.belongs(slice_, slicing, slot, item)}]"
            yield from _count(slice_, f"len({found[key]})")
            yield from self._each(slice_, (*place, ":" + key), slot, found[key], item)
        if slicing.rules == "closed":
            tests = [self._asked.belongs(each, slicing, slot, item) for each in overlay.slices.values()]
            yield f"for {item} in {items}:"
            yield f"    if not ({' or '.join(tests)}): return False"

    def _single(self, element: Element, overlay: Overlay, place: Place, rule: TypeRule, name: str) -> Iterator[str]:
        slicing = self._slicer.slicing_of(overlay, element.name) if overlay.slices else None
        if slicing and slicing.discriminators != (("type", "$this"),):
            raise Unwritable
        keys = rule.keys_of(element)
        yield from self._presence(overlay, [key for key in keys if _allows(overlay, rule.slots[key])], keys, name)
        for slice_ in overlay.slices.values() if slicing else ():
            yield from self._presence(slice_, [key for key in keys if _allows(slice_, rule.slots[key])], [], name)
        for key in keys:
            item, slot = self._fresh(), rule.slots[key]
            body = list(self._value(overlay, slicing, place, slot, item)) if _allows(overlay, slot) else []
            if body:
                yield f"{item} = {name}.get({key!r})"
                yield f"if {item} is not None:"
                yield from (f"    {line}" for line in body)

    def _presence(self, overlay: Overlay, allowed: list[str], keys: list[str], name: str) -> Iterator[str]:
        """That one of the allowed names is there if it must be, and none of the other keys. Base R4 has made sure that
        there is at most one."""
        if overlay.most == 0:
            yield f"if has_any({name}, {tuple(keys or allowed)!r}): return False"
            return
        absent = " and ".join(f"{key!r} not in {name}" for key in allowed) or "True"
        if overlay.least:
            yield f"if {absent}: return False"
        elif len(allowed) < len(keys):
            others = self._module.constant("targets", tuple(key for key in keys if key not in allowed))
            yield f"if {absent} and not {others}.isdisjoint({name}): return False"

    def _value(self, overlay: Overlay, slicing: Slicing | None, place: Place, slot: Slot, item: str) -> Iterator[str]:
        """What a single element of one type must be, with what its slice asks."""
        rule = self._asked.rule(slot)
        yield from self._item(overlay, place, slot, rule, item)
        own = [(key, each) for key, each in overlay.slices.items() if slicing and _allows(each, slot)]
        for key, slice_ in own:
            yield from self._item(slice_, (*place, ":" + key), slot, rule, item)
        if slicing and slicing.rules == "closed" and not own:
            yield "return False"

    def _type(self, overlay: Overlay, slot: Slot, name: str) -> Iterator[str]:
        code = slot.use.code
        if code == "Resource":
            raise Unwritable
        allowed = [each for each in overlay.types if each.code in (code, "Resource")]
        for each in allowed:
            if code == "Reference" and each.targets:
                target = self._module.constant("target", tuple(each.targets))
                yield f"if not {target}({name}, c): return False"
        profiles = [url for each in allowed for url in each.profiles]
        if len(profiles) == 1 and code != "Extension":
            yield f"if not profiled({name}, c, {profiles[0]!r}): return False"


def _asks_more(overlay: Overlay) -> bool:
    """Whether an overlay asks what is not written here."""
    has_greatest = overlay.binding is not None and bool(overlay.binding.greatest)
    return has_greatest or any(getattr(overlay, name) != getattr(_EMPTY, name) for name in _OTHERS)


def _count(overlay: Overlay, count: str) -> Iterator[str]:
    if overlay.least:
        yield f"if {count} < {overlay.least}: return False"
    if overlay.most is not None and overlay.most >= 0:
        yield f"if {count} > {overlay.most}: return False"


def _allows(overlay: Overlay, slot: Slot) -> bool:
    """Whether a profile allows the type of a choice. Where there is no choice, base R4 has looked at it."""
    return not overlay.types or not slot.element.is_choice or any(each.code == slot.use.code for each in overlay.types)
