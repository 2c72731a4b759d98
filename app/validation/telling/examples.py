"""What an element that a profile asks for looks like, as far as the profile says."""

from typing import Any

from app.fhir.json import dumps
from app.validation.overlays import Overlay
from app.validation.rules import BaseRules, TypeRule

_LONGEST = 400


def example(rules: BaseRules, parent: TypeRule | None, overlay: Overlay) -> str:
    """A sentence that shows the missing element; "" where the profile says nothing of it. parent: what holds it."""
    name = overlay.path.rpartition(".")[2].partition(":")[0].removesuffix("[x]")
    value = _value(rules, _below(rules, parent, name), overlay)
    shown = written(value) if value else ""
    return f'Add to "{name}": {shown}.' if shown else ""


def written(value: Any) -> str:
    """A value of a profile as JSON; "" if it is too long to be told."""
    text = dumps(value).decode()
    return text if len(text) <= _LONGEST else ""


def _value(rules: BaseRules, rule: TypeRule | None, overlay: Overlay) -> Any:
    """The fixed and pattern values of an overlay and of what stands below; None where it says nothing."""
    if overlay.fixed is not None or overlay.pattern is not None:
        return overlay.pattern if overlay.fixed is None else overlay.fixed
    if len(overlay.types) == 1 and overlay.types[0].code == "Extension" and overlay.types[0].profiles:
        return {"url": overlay.types[0].profiles[0]}
    made = {}
    for name, child in overlay.children.items():
        # A choice has no one name in JSON.
        slot = rule.slots.get(name) if rule else None
        value = _value(rules, _below(rules, rule, name), child) if slot else None
        if slot and value is not None:
            made[name] = [value] if slot.is_many and not isinstance(value, list) else value
    return made or None


def _below(rules: BaseRules, rule: TypeRule | None, name: str) -> TypeRule | None:
    slot = rule.slots.get(name) if rule else None
    return rules.rule_of(slot) if slot else None
