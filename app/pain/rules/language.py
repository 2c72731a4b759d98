"""The language rules are written in: a table with one operator becomes a question that can be asked of a patient.

all, any, not     of conditions
medicine          class; `use` (current and proposed), `at-least` different ones, `routes`, `site` (kinds of
                  topical-sites.toml), `stopped-within-days`
line              a medicine of a line of the edition; `use`
condition         group of conditions in the problem list; `ever = true`: those that are over count as well
diagnosis         group, of the plan's diagnosis; of the problem list where the plan names none
fact              key of plan-context.toml; `is`, `at-least`, `below`, `named` (list of words); `absent = "no"`
                  where a fact that is not known counts as not so
age, sex, grade   of the patient, of the diagnosis (`at-least`, `below`)
procedure, device group; what is proposed, what is implanted
plan              whether it has a "non-drug" activity, a "goal", a "review"
over-renal-limit  daily doses against the table of the jurisdiction
morphine-equivalents  sum per day: `at-least`, `below`
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.pain.rules.answers import Answer, every, negated, some
from app.pain.rules.case import Asked
from app.pain.rules.leaves import LEAVES, Names

Question = Callable[[Asked], Answer]


@dataclass(frozen=True, slots=True)
class Condition:
    """ask: the compiled question.  needs: facts it may ask for."""

    ask: Question
    needs: tuple[str, ...]


def condition(row: Any, names: Names, place: str) -> Condition:
    """Compiles a condition. Raises ValueError naming the place where an operator, an option or a name is not known."""
    operator, value, options = _parted(row, place)
    if operator == "not":
        inner = condition(value, names, f"{place}.not")
        return Condition(lambda asked: negated(inner.ask(asked)), inner.needs)
    if operator in ("all", "any"):
        inside = f"{place}.{operator}"
        parts = [condition(one, names, f"{inside}[{index}]") for index, one in enumerate(_listed(value, inside))]
        joined = every if operator == "all" else some
        needs = tuple(dict.fromkeys(need for part in parts for need in part.needs))
        return Condition(lambda asked: joined(part.ask(asked) for part in parts), needs)
    leaf = LEAVES[operator]
    _refuse_unknown(options, leaf.options, place)
    for problem in leaf.problems(value, options, names):
        raise ValueError(f"{place}: {problem}")
    return Condition(lambda asked: leaf.ask(value, options, asked), leaf.needs(value, options))


def _parted(row: Any, place: str) -> tuple[str, Any, Mapping[str, Any]]:
    operators = {"all", "any", "not", *LEAVES}
    if not isinstance(row, Mapping) or len(found := operators & set(row)) != 1:
        raise ValueError(f"{place}: expected a table with exactly one of {', '.join(sorted(operators))}")
    operator = found.pop()
    options = {key: value for key, value in row.items() if key != operator}
    if operator in ("all", "any", "not"):
        _refuse_unknown(options, (), place)
    return operator, row[operator], options


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{place}: expected an array of conditions")
    return value


def _refuse_unknown(options: Mapping[str, Any], known: Collection[str], place: str) -> None:
    strange = sorted(set(options) - set(known))
    if strange:
        raise ValueError(f"{place}: unknown option {', '.join(strange)}")
