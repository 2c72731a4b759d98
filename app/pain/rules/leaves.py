"""The questions a rule may ask of a patient, each with the options it takes and the facts it may lack."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from app.pain.rules.answers import NO, Answer, every, some, told, unknown, yes
from app.pain.rules.case import Asked
from app.pain.rules.limits import CREATININE_CLEARANCE
from app.pain.rules.medicines import MedicineClass, Taken
from app.pain.topical import kinds_of_site

NOW = ("current", "proposed")
# Any medicine, whether it was recognised or not.
ANY = "any"
SKIN = "intact_skin"
_BROKEN = "non-intact-skin"

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """What a condition may name: kind -> names, e.g. "class" -> classes of medicines."""

    known: Mapping[str, Collection[str]]

    def unknown(self, kind: str, names: Iterable[str]) -> list[str]:
        return [f"unknown {kind} {name!r}" for name in names if name not in self.known[kind]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """problems: what is wrong with a row, at start.  needs: facts the answer may lack."""

    ask: Callable[[Any, Options, Asked], Answer]
    problems: Callable[[Any, Options, Names], list[str]]
    needs: Callable[[Any, Options], tuple[str, ...]] = lambda value, options: ()
    options: tuple[str, ...] = ()


def _medicine(value: str, options: Options, asked: Asked) -> Answer:
    if value == ANY:
        return some(yes(each.source) for each in asked.medicines if each.medicine.use in options.get("use", NOW))
    one = asked.classes[value]
    taken = [taken for taken in asked.medicines if taken.medicine.use in options.get("use", NOW)]
    answers = [(each, _counts(each, one, options, asked)) for each in taken]
    least = options.get("at-least", 1)
    if least == 1:
        return some(answer for _, answer in answers)
    sure = [each for each, answer in answers if answer.truth]
    if len({name for each in sure for name in each.holding(one)}) >= least:
        return yes(*(each.source for each in sure))
    open_ones = [answer for _, answer in answers if answer.truth is None]
    return some(open_ones) if len(sure) + len(open_ones) >= least else NO


def _counts(each: Taken, one: MedicineClass, options: Options, asked: Asked) -> Answer:
    parts = [each.member(one)]
    if "routes" in options:
        parts.append(told(each.medicine.route in options["routes"], each.source))
    if "site" in options:
        parts.append(_applied(each, options["site"], asked))
    if "stopped-within-days" in options:
        parts.append(_stopped(each, timedelta(days=options["stopped-within-days"]), asked))
    return every(parts)


def _stopped(each: Taken, span: timedelta, asked: Asked) -> Answer:
    until = each.medicine.until
    return unknown(f"{each.source}.until") if until is None else told(until >= asked.facts.today - span, each.source)


def _applied(each: Taken, kinds: Iterable[str], asked: Asked) -> Answer:
    """Whether a medicine is put on a site of one of the kinds. Whether the skin is intact may be said apart."""
    site = each.medicine.site
    found = kinds_of_site(site, asked.site_kinds) if site else set()
    places = [kind for kind in kinds if kind != _BROKEN]
    parts = []
    if places:
        parts.append(told(bool(found & set(places)), each.source) if site else unknown(f"{each.source}.site"))
    if _BROKEN in kinds:
        parts.append(_broken(each, found, asked))
    return some(parts)


def _broken(each: Taken, found: Collection[str], asked: Asked) -> Answer:
    stated = asked.stated(SKIN)
    if _BROKEN in found:
        return yes(each.source)
    if "intact-skin" in found:
        return NO
    return unknown(SKIN) if stated is None else told(stated.value is False, stated.source)


def _line(value: str, options: Options, asked: Asked) -> Answer:
    classes = [asked.classes[name] for name in asked.edition.lines.get(value, ())]
    uses = options.get("use", NOW)
    return some(taken.member(one) for taken in asked.medicines if taken.medicine.use in uses for one in classes)


def _diagnosis(value: str, options: Options, asked: Asked) -> Answer:
    plan = asked.facts.plan
    known = (plan.diagnosis,) if plan and plan.diagnosis else asked.facts.conditions
    return some(asked.conditions[value].names(one) for one in known)


def _fact(value: str, options: Options, asked: Asked) -> Answer:
    stated = asked.stated(value)
    if stated is None:
        return NO if options.get("absent") == "no" else unknown(value)
    if "named" in options:
        meant = asked.words[options["named"]].meant_by(str(stated.value))
        return unknown(value) if meant is None else told(meant, stated.source)
    # Findings and words are so by being there.
    there = isinstance(stated.value, tuple) or (isinstance(stated.value, str) and options.get("is") is True)
    fact = bool(stated.value) if there else stated.value
    if "is" in options:
        return told(fact == options["is"], stated.source)
    return told(_between(fact, options), stated.source)


def _between(value: Any, options: Options) -> bool:
    low, high = options.get("at-least"), options.get("below")
    return (low is None or value >= low) and (high is None or value < high)


def _age(value: Options, options: Options, asked: Asked) -> Answer:
    age = asked.facts.age
    return unknown("age") if age is None else told(_between(age, value))


def _sex(value: str, options: Options, asked: Asked) -> Answer:
    sex = asked.facts.sex
    return unknown("sex") if sex in (None, "unknown", "other") else told(sex == value)


def _plan(value: str, options: Options, asked: Asked) -> Answer:
    plan = asked.facts.plan
    parts = {"non-drug": plan and plan.procedures, "goal": plan and plan.has_goal, "review": plan and plan.has_review}
    return told(bool(parts[value]))


def _renal(value: bool, options: Options, asked: Asked) -> Answer:
    stated = asked.stated(CREATININE_CLEARANCE)
    # Read with the bounds of plan-context.toml: a number.
    clearance = None if stated is None else Decimal(stated.value)  # type: ignore[arg-type]
    over = some(asked.renal.over(asked.medicines, clearance))
    return replace(over, evidence=(*over.evidence, stated.source)) if over.truth and stated else over


def _morphine(value: Options, options: Options, asked: Asked) -> Answer:
    now = [one for one in asked.medicines if one.medicine.use in NOW]
    below = value.get("below")
    return asked.morphine.between(now, Decimal(value["at-least"]), None if below is None else Decimal(below))


def _known(kind: str) -> Callable[[Any, Options, Names], list[str]]:
    return lambda value, options, names: names.unknown(kind, [value])


def _medicine_problems(value: str, options: Options, names: Names) -> list[str]:
    found = names.unknown("class", [value]) + names.unknown("use", options.get("use", NOW))
    found += names.unknown("kind of site", options.get("site", ()))
    return found + names.unknown("route", options.get("routes", ()))


def _fact_problems(value: str, options: Options, names: Names) -> list[str]:
    found = names.unknown("fact", [value]) + names.unknown("list of words", filter(None, [options.get("named")]))
    asked = set(options) & {"is", "at-least", "below", "named"}
    return found + ([] if asked else [f"fact {value!r} without is, at-least, below or named"])


def _medicine_needs(value: str, options: Options) -> tuple[str, ...]:
    site = (*(("site",) if set(options.get("site", ())) - {_BROKEN} else ()), SKIN) if "site" in options else ()
    return (*site, *(("until",) if "stopped-within-days" in options else ()))


def _fact_needs(value: str, options: Options) -> tuple[str, ...]:
    return () if options.get("absent") == "no" else (value,)


def _flag(value: Any, options: Options, names: Names) -> list[str]:
    return [] if value is True else ["expected true"]


def _bounds(value: Any, options: Options, names: Names) -> list[str]:
    fits = isinstance(value, Mapping) and value and set(value) <= {"at-least", "below"}
    return [] if fits else ["expected at-least, below or both"]


def _condition(value: str, options: Options, asked: Asked) -> Answer:
    over = asked.facts.past_conditions if options.get("ever") else ()
    return some(asked.conditions[value].names(one) for one in (*asked.diagnosed(), *over))


LEAVES: Mapping[str, Leaf] = {
    "medicine": Leaf(
        _medicine, _medicine_problems, _medicine_needs, ("use", "at-least", "routes", "site", "stopped-within-days")
    ),
    "line": Leaf(_line, _known("line"), options=("use",)),
    "condition": Leaf(_condition, _known("condition"), options=("ever",)),
    "diagnosis": Leaf(_diagnosis, _known("condition")),
    "fact": Leaf(_fact, _fact_problems, _fact_needs, ("is", "at-least", "below", "named", "absent")),
    "age": Leaf(_age, _bounds, lambda value, options: ("age",)),
    "sex": Leaf(_sex, _known("sex"), lambda value, options: ("sex",)),
    "grade": Leaf(lambda value, options, asked: told(asked.facts.grade == value), _known("grade")),
    "procedure": Leaf(lambda value, options, asked: asked.planned(asked.procedures[value]), _known("procedure")),
    "device": Leaf(lambda value, options, asked: asked.implanted(asked.devices[value]), _known("device")),
    "plan": Leaf(_plan, _known("part of a plan")),
    "over-renal-limit": Leaf(_renal, _flag, lambda value, options: (CREATININE_CLEARANCE, "daily_dose_mg")),
    "morphine-equivalents": Leaf(_morphine, _bounds, lambda value, options: ("daily_dose_mg", "route")),
}
