"""Doses of a plan that contradict each other: none of them could be followed."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations, pairwise

from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity, TitrationStep
from app.pain.plans.doses import MASS, Amount, amount, daily, kinds_of, refuse_unit
from app.pain.reading import Place, squeezed

_ENDED = ("completed", "stopped")


def refuse_contradictions(activities: Sequence[Activity], place: Place, content: Content) -> None:
    """Notes every contradiction between the doses of one activity, and between two activities."""
    for index, one in enumerate(activities):
        if one.drug is not None:
            _refuse_units(one, place.nth(index), content)
            _refuse_two_doses(one, place.nth(index), content)
            _refuse_steps(one, place.nth(index), content)
    drugs = [(index, one) for index, one in enumerate(activities) if one.drug is not None and not _is_over(one)]
    for (first, one), (second, other) in combinations(drugs, 2):
        if _means_same(one, other, content):
            _refuse_twice(place.nth(second), f"{place.nth(first).path}", _of(one, content) != _of(other, content))


def planned_daily_mg(one: Activity, content: Content) -> Decimal | None:
    """The greatest daily dose of an activity in mg, its titration included; None where it is not dosed in mass."""
    found = [_of(one, content), *(_step(step, content) for step in one.titration)]
    return max((value for told in found if told and (value := told[1]) and told[0] == daily(0)[0]), default=None)


def _refuse_units(one: Activity, place: Place, content: Content) -> None:
    told: list[tuple[Activity | TitrationStep, Place]] = [(one, place)]
    told += [(step, place.at("titration").nth(index)) for index, step in enumerate(one.titration)]
    for stated, at in told:
        if stated.daily_dose_mg is not None and MASS not in kinds_of(one.drug, content):
            at.at("daily_dose_mg").refuse("business-rule", "This medicine is not dosed in mg: state dose and unit.")
        if stated.dose is not None:
            refuse_unit(stated.dose, one.drug, at.at("dose"), content)


def _refuse_two_doses(one: Activity, place: Place, content: Content) -> None:
    if one.dose is None or one.daily_dose_mg is None:
        return
    if amount(one.dose, content) != daily(one.daily_dose_mg):
        place.at("dose").refuse(
            "business-rule", "This dose does not come to daily_dose_mg: state one of them, or two that agree."
        )


def is_falling(one: Activity, content: Content) -> bool:
    """Whether the last dose of an activity is below its first: a taper."""
    ladder = [told for told in _ladder(one, content) if told]
    return len(ladder) > 1 and ladder[-1][0] == ladder[0][0] and ladder[-1][1] < ladder[0][1]


def _refuse_steps(one: Activity, place: Place, content: Content) -> None:
    ladder = _ladder(one, content)
    word, right = ("rises", "a taper falls") if one.taper else ("falls", 'a titration rises, or says "taper": true')
    for index, (before, after) in enumerate(pairwise(ladder)):
        if before is None or after is None:
            continue  # a problem was noted where the step was read
        at = place.at("titration").nth(index)
        if before[0] != after[0]:
            at.refuse("business-rule", "A step cannot be compared with what follows it: state both by day, or by dose.")
        elif before[1] < after[1] if one.taper else before[1] > after[1]:
            at.refuse("business-rule", f"The dose {word} after this step; {right}, up to the dose it leads to.")
    if one.taper and None not in ladder and (len(ladder) < 2 or ladder[0] == ladder[-1]):
        place.at("taper").refuse("business-rule", "A taper ends below its first dose: state its steps.")


def _ladder(one: Activity, content: Content) -> list[Amount | None]:
    final = _of(one, content)
    return [*(_step(step, content) for step in one.titration), *([final] if final else [])]


def _refuse_twice(place: Place, first: str, differ: bool) -> None:
    what = "with another dose" if differ else "again"
    place.refuse(
        "business-rule",
        f"The medicine of {first} is planned {what}: state it once with its whole dose, or say by what the two differ, "
        "their route, their site or the form in their names.",
    )


def _means_same(one: Activity, other: Activity, content: Content) -> bool:
    """Whether two activities give the same medicine in the same way, as far as is said."""
    return (
        _named(one.drug, content) == _named(other.drug, content)
        and _may_agree(one.route, other.route)
        and _may_agree(_site(one), _site(other))
    )


def _may_agree(one: object, other: object) -> bool:
    return one is None or other is None or one == other


def _site(one: Activity) -> object:
    return (one.site, one.laterality) if one.site or one.laterality else None


def _named(drug: Concept | None, content: Content) -> object:
    """A medicine as two activities share it: the row of our list and the form in its name, else its code or words."""
    if drug is None:
        return None
    words = squeezed(drug.text or "")
    row = content.drugs.of(drug)
    if row is not None:
        return row.id, words if words in content.drugs.narrower else ""
    return drug.codings[0].key if drug.codings else words


def _is_over(one: Activity) -> bool:
    return one.outcome is not None and one.outcome.status in _ENDED


def _of(one: Activity, content: Content) -> Amount | None:
    """The dose an activity leads to."""
    if one.daily_dose_mg is not None:
        return daily(one.daily_dose_mg)
    return amount(one.dose, content) if one.dose else None


def _step(step: TitrationStep, content: Content) -> Amount | None:
    if step.daily_dose_mg is not None:
        return daily(step.daily_dose_mg)
    return amount(step.dose, content) if step.dose else None
