"""Writes the gate's functions for base R4: one for each type and nested element, from the rule tree."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from app.fhir.fhirpath.native import Translator, Untranslatable
from app.validation.checks.primitives import INTEGERS, MAX_STRING
from app.validation.gate.module import Module
from app.validation.rules import BaseRules, Constraint, Slot, TypeRule

# Types with at most so many JSON names are looked at name by name, wider ones property by property.
_NARROW = 12
# Types that have checks of their own in datatypes.py, and how the gate comes to them.
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration")
_OWN_CHECKS = {
    "Coding": "coding(v, c)",
    **{name: f"datatype(v, c, {name!r})" for name in ("Identifier", "Attachment")},
    **{
        name: f"(v.get('system'), v.get('code'), v.get('unit')) in quantities or quantity(v, c, {name!r})"
        for name in _QUANTITIES
    },
}
_RARE = frozenset({"id", "extension", "modifierExtension"})
_TEXTS = frozenset({"string", "markdown"})
_KEPT = frozenset({"code", "uri", "url", "canonical", "oid", "uuid"})
_CALL = re.compile(r"if not (\w+)\(v, c, ('[\w.\[\]]+')\): return False")
# Longer strings are left to the check that knows the limits.
_SHORT = 10_000
# Constraints whose verdict the walk qualifies.
QUALIFIED = frozenset({"bdl-8", "ras-2", "rng-2", "vs-1", "dom-6"})


class TypeWriter:
    """Writes types into a module. Each function takes the value v, the context c and the rule path p of the value's
    own element, and tells whether v is valid."""

    def __init__(self, module: Module, rules: BaseRules, translator: Translator) -> None:
        self.module, self.rules, self._translator = module, rules, translator
        self._written: set[str] = set()
        self._open: list[TypeRule] = []

    def name_of(self, rule: TypeRule) -> str:
        """The name of the function for a type; it is written with the others that are still open."""
        name = "T_" + rule.name.replace(".", "_")
        if name not in self._written:
            self._written.add(name)
            self._open.append(rule)
        return name

    def write_open(self) -> None:
        while self._open:
            self._write(self._open.pop())

    def _write(self, rule: TypeRule) -> None:
        name = self.name_of(rule)
        lines = ["if type(v) is not dict: return False", *self._memory(rule)]
        body = self._narrow(rule) if len(rule.slots) <= _NARROW else self._wide(rule, name)
        lines += [*body, *self._content(rule), *self._constraints(rule.constraints, rule.name)]
        lines.append(f"return {_OWN_CHECKS.get(rule.name, 'True')}")
        self.module.define(name, "v, c, p", "\n".join(lines))

    def _memory(self, rule: TypeRule) -> Iterator[str]:
        if rule.name == "Quantity":
            yield "k = v.get('system'), v.get('code'), v.get('unit')"
            yield "if len(v) == 4 and is_number(v.get('value')) and None not in k and k in quantities: return True"

    def _narrow(self, rule: TypeRule) -> Iterator[str]:
        yield "n = len(v)" + (" - 1" if rule.kind == "resource" else "")
        for key in [key for key in rule.slots if key not in _RARE]:
            yield from self._named(rule, key)
        # The rest is looked for only where there is more than that.
        yield "if n:"
        for key in [key for key in rule.slots if key in _RARE]:
            yield from (f"    {line}" for line in self._named(rule, key))
        yield "    if n: return other(v, n)"
        for element in rule.elements.values():
            if element.is_choice:
                keys = rule.keys_of(element)
                count = " + ".join(f"({key!r} in v)" for key in keys)
                yield f"if not {element.least} <= {count} <= 1: return False"

    def _named(self, rule: TypeRule, key: str) -> Iterator[str]:
        """What is under one JSON name, if it is there."""
        slot = rule.slots[key]
        yield f"if {key!r} in v:"
        yield from (f"    {line}" for line in (f"x = v[{key!r}]", "n -= 1", *self._property(slot, rule, "x")))
        if slot.element.least and not slot.element.is_choice:
            yield "else: return other(v, 1)"

    def _wide(self, rule: TypeRule, name: str) -> Iterator[str]:
        choices = [each for each in rule.elements.values() if each.is_choice]
        weights = {each.name: 256 ** (place + 1) for place, each in enumerate(choices)}
        entries = {
            key: f"({self._slot(rule, slot)}, {weights.get(slot.element.name, 0)})" for key, slot in rule.slots.items()
        }
        if rule.kind == "resource":
            entries["resourceType"] = "(is_name, '', 0)"
        self.module.table(f"D{name}", entries)
        yield from ("n = 0", "try:", "    for k, x in v.items():", f"        f, q, w = D{name}[k]")
        yield from ("        if not f(x, c, q or p): return False", "        n += w")
        yield from ("except KeyError:", "    return other(v, 1)")
        if choices:
            yield f"if n & {sum(254 * weight for weight in weights.values())}: return False"
        for element in rule.required:
            missing = f"not n & {weights[element.name]}" if element.is_choice else f"{element.name!r} not in v"
            yield f"if {missing}: return False"

    def _slot(self, rule: TypeRule, slot: Slot) -> str:
        """The function for a property and the path it is called with, "" for that of the value itself."""
        lines = list(self._property(slot, rule, "v"))
        if len(lines) == 1 and (match := _CALL.fullmatch(lines[0])):
            return f"{match[1]}, {match[2]}"
        return self.module.function("v, c, p", "\n".join([*lines, "return True"])) + ", ''"

    def _content(self, rule: TypeRule) -> Iterator[str]:
        if rule.kind != "resource":
            yield "if not v or (len(v) == 1 and 'id' in v): return False"

    def _property(self, slot: Slot, rule: TypeRule, name: str) -> Iterator[str]:
        """What one property must be, with all its repetitions."""
        if not slot.is_many:
            yield from self._item(slot, rule, name)
            return
        most = slot.element.most
        limit = f" or len({name}) > {most}" if most is not None else ""
        yield f"if type({name}) is not list or not {name}{limit}: return False"
        yield f"for y in {name}:"
        yield from (f"    {line}" for line in self._item(slot, rule, "y"))

    def _item(self, slot: Slot, rule: TypeRule, name: str) -> Iterator[str]:
        element, code = slot.element, slot.use.code
        if code == "Resource":
            yield f"if not inner({name}, c, {element.name == 'contained'}): return False"
            return
        own = self.rules.rule_of(slot)
        if own.is_primitive:
            yield f"if {self._primitive_flaw(slot, rule, name)}: return False"
        elif code == "Extension":
            yield f"if not extension({name}, c, {rule.name!r}, {element.path!r}, p): return False"
        elif code == "Reference":
            self.name_of(own)
            targets = self.module.constant("targets", tuple(sorted(slot.use.targets or self.rules.resource_types)))
            yield f"if not reference({name}, c, {element.path!r}, {targets}): return False"
        elif code == "Coding":
            # Nearly all are known: they are looked up here, without a call.
            key = ", ".join([*(f"{name}.get({each!r})" for each in ("system", "code", "display")), "c.language"])
            known = f"({key}, len({name})) in codings"
            yield f"if not ({known} or {self.name_of(own)}({name}, c, {element.path!r})): return False"
        else:
            yield f"if not {self.name_of(own)}({name}, c, {element.path!r}): return False"
        if element.binding and element.binding.strength == "required" and not own.is_primitive:
            bound = self.module.constant("bound", code, element.binding.value_set)
            yield f"if not {bound}({name}): return False"
        yield from self._constraints(element.constraints, own.name, name)
        for profile in slot.use.profiles:
            yield f"if not profiled({name}, c, {profile!r}): return False"

    def _primitive_flaw(self, slot: Slot, rule: TypeRule, name: str) -> str:
        """A Python expression that is true if a primitive is wrong."""
        code, binding = slot.use.code, slot.element.binding
        value_set = binding.value_set if binding and binding.strength == "required" else ""
        if code in INTEGERS:
            low, high = INTEGERS[code]
            return f"type({name}) is not int or not {low} <= {name} <= {high}"
        if code == "boolean":
            return f"type({name}) is not bool"
        if code == "xhtml":
            return f"not narrative({name})"
        if code in _KEPT or value_set:
            kept = self.module.constant("kept", code, slot.element.is_human_language, value_set)
            return f"{name} not in {kept}.known and not {kept}.keep({name})"
        checks = self.rules.checks
        own = next((each for each, check in checks.items() if check is slot.check), code)
        if rule.kind == "resource" and slot.element.name == "id":
            own = "id"
        check = self.module.constant("check", own)
        if own == "decimal":
            return f"type({name}) is not int and {check}({name})"
        if own in _TEXTS:
            is_short = f"len({name}) < {min(_SHORT, MAX_STRING)}"
            fine = f"type({name}) is str and {is_short} and {name}.isprintable() and {name}.strip()"
            return f"not ({fine}) and {check}({name})"
        return f"{check}({name})"

    def _constraints(self, constraints: tuple[Constraint, ...], type_: str, name: str = "v") -> Iterator[str]:
        for each in constraints:
            if each.severity == "error":
                yield f"if not {self.condition(each, type_, name)}: return False"

    def condition(
        self,
        constraint: Constraint,
        type_: str,
        name: str = "v",
        allowed: Mapping[str, list[str]] = MappingProxyType({}),
    ) -> str:
        """A Python expression that is true where a constraint holds. allowed: as in Translator.condition."""
        try:
            if constraint.key in QUALIFIED or constraint.is_posted:
                raise Untranslatable
            found = self._translator.condition(constraint.expression.text, type_, allowed)
        except Untranslatable:
            slow = self.module.constant(
                "slow", constraint.key, constraint.expression.text, constraint.human, type_, constraint.is_posted
            )
            return f"{slow}({name}, c)"
        if name == "v":
            return found
        return f"{self.module.function('v, c', f'return {found}')}({name}, c)"
