"""What the rules of pseudonyms say of each element of each type of R4."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.export.pseudonym_rules import Rules
from app.validation.rules import BaseRules, Slot, TypeRule


@dataclass(frozen=True, slots=True)
class Way:
    """What is done with one JSON name of a type. name: the path of the element in its own type; below: where the count
    of its parts begins, "" for below the path of what holds it; treatment: a name of the rules; is_plain: a primitive;
    is_needed: that something must stand there."""

    slot: Slot
    name: str
    below: str
    treatment: str
    is_plain: bool
    is_needed: bool

    def path(self, holder: str) -> str:
        """For the count."""
        return self.below or f"{holder}.{self.slot.element.name}"


class Place(NamedTuple):
    """Where a value stands. path: for the count; holder: the object around it."""

    way: Way
    path: str
    holder: Mapping[str, Any]


class Ways:
    """The ways of each type, worked out when first needed."""

    def __init__(self, base: BaseRules, rules: Rules) -> None:
        self.base, self.rules = base, rules
        self._known: dict[str, dict[str, Way]] = {}

    def of(self, rule: TypeRule) -> Mapping[str, Way]:
        if rule.name not in self._known:
            self._known[rule.name] = {key: self._way(rule, key, slot) for key, slot in rule.slots.items()}
        return self._known[rule.name]

    def _way(self, rule: TypeRule, key: str, slot: Slot) -> Way:
        element, code = slot.element, slot.use.code
        name = f"{rule.name}.{element.name}"
        is_plain = code != "Resource" and self.base.rule_of(slot).is_primitive
        treatment = self.rules.treatment(name, code, is_primitive=is_plain)
        if element.name == "modifierExtension":
            treatment = "modifier"
        is_needed = element.least > 0 or f"{rule.name}.{key}" in self.rules.masked
        return Way(slot, name, element.shape, treatment, is_plain, is_needed)
