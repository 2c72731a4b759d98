"""Who wins where both sides changed an element: the rules of a target, and which side is the newer one."""

from collections.abc import Mapping
from typing import Literal

from app.fhir.fhirpath import r4_model
from app.sync.conflicts.merging import Decide, Decision, Side, is_taken_apart

Rule = Literal["ours", "theirs", "newest", "manual"]


def newer(ours: int, theirs: int) -> Side | None:
    """The side that was written later, by meta.lastUpdated of each, in microseconds; 0 where it is not known.

    None where neither is: of two writes of the same moment any choice would be a guess, and two servers that both
    prefer their own would exchange them for ever.
    """
    if not ours or not theirs or ours == theirs:
        return None
    return "ours" if ours > theirs else "theirs"


def decide(default: Rule, elements: Mapping[str, Rule], newest: Side | None) -> Decide:
    """What decides by the rules. elements: path -> rule; the longest path an element is at or below wins.

    A whole resource, deleted on one side and changed on the other, is decided by the rule for its type.
    """

    def decision(element: str) -> Decision:
        names = element.split(".")
        above = (".".join(names[:count]) for count in range(len(names), 0, -1))
        rule = next((elements[path] for path in above if path in elements), default)
        return (newest or "manual") if rule == "newest" else rule

    return decision


def problem_of(path: str) -> str:
    """Why a rule for a path would decide nothing, "" if it can: "Observation.value", "CarePlan.activity.detail"."""
    type_, *names = path.split(".")
    here = type_
    if type_ not in r4_model().resources:
        return f"{type_[:64]} is no R4 resource type"
    for name in names:
        if not is_taken_apart(type_):
            return f"{here} is taken whole, so the rule must be for {here}"
        child = r4_model().children(type_).get(name)
        if child is None:
            return f"{here} has no element {name[:64]} (a choice such as value[x] is written value)"
        here, type_ = f"{here}.{name}", child.variants[0].type if len(child.variants) == 1 else ""
    return ""
