"""Doses other than milligrams a day: patches, units, rates an hour, intakes; and how doses compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.reading import Place, Reader, choice, fields, integer, listed, number

PER = ("day", "hour", "dose")
# No dose of a medicine in use reaches 100 000 of its unit; above lies a slip of units.
MAX_DOSE = 100_000
_OF_ONE_DOSE = ("times_per_day", "every_days", "hours")
_HOURS_A_DAY = 24
# What drugs.toml means where it does not say in what a drug is dosed.
_USUALLY = ("mass",)
MASS = "mass"

# What is counted ("mass by day", "patch by dose"), and how much of it: two amounts compare where the first agrees.
Amount = tuple[str, Decimal]


@dataclass(frozen=True, slots=True)
class Dose:
    """So much of a unit (UCUM code) by day, by hour, or by dose.

    times_per_day, every_days: how often one dose is given, at most one of them.  hours: how long one dose stays, e.g.
    a patch that is worn for 12 hours.
    """

    value: int | Decimal
    unit: str
    per: str
    times_per_day: int | None = None
    every_days: int | None = None
    hours: int | Decimal | None = None


def dose_reader(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "value": number(above=0, high=MAX_DOSE),
        "unit": choice(content.dose_units),
        "per": choice(PER),
        "times_per_day": integer(1, 48),
        "every_days": integer(2, 3650),
        "hours": number(above=0, high=24 * 366),
    }

    def read(value: Any, place: Place) -> Dose | None:
        needed = ("value", "unit", "per") if isinstance(value, Mapping) else ()
        one = Dose(**fields(value, place, readers, required=needed))
        if None in (one.value, one.unit, one.per):
            return None
        _refuse_timing(one, place, content)
        return one

    return read


def dose_view(dose: Dose) -> dict[str, Any]:
    view = {key: getattr(dose, key) for key in Dose.__slots__}
    return {key: value for key, value in view.items() if value is not None}


def kinds_of(drug: Concept | None, content: Content) -> tuple[str, ...]:
    """The kinds of unit a drug is dosed in; any where the drug is not listed."""
    row = content.drugs.of(drug) if drug else None
    return tuple(row.row.get("dosed_in", _USUALLY)) if row else tuple({u["kind"] for u in content.dose_units.values()})


def refuse_unit(dose: Dose, drug: Concept | None, place: Place, content: Content) -> None:
    """Notes a problem where a drug is not dosed in this unit."""
    kinds = kinds_of(drug, content)
    if content.dose_units[dose.unit]["kind"] not in kinds:
        fitting = [code for code, row in content.dose_units.items() if row["kind"] in kinds]
        place.at("unit").refuse(
            "business-rule", f"This medicine is not dosed in this unit; expected one of {listed(fitting)}."
        )


def amount(dose: Dose, content: Content) -> Amount:
    """What a dose comes to: in a day, or by dose where nothing says how often it is given."""
    row = content.dose_units[dose.unit]
    value = Decimal(dose.value) * Decimal(str(row["factor"]))
    if dose.per == "dose" and dose.times_per_day is None and dose.every_days is None:
        return f"{row['kind']} by dose", value
    times = Decimal(dose.times_per_day or (_HOURS_A_DAY if dose.per == "hour" else 1))
    return f"{row['kind']} by day", value * times / (dose.every_days or 1)


def daily(dose_mg: int | Decimal) -> Amount:
    return f"{MASS} by day", Decimal(dose_mg)


def _refuse_timing(one: Dose, place: Place, content: Content) -> None:
    allowed = content.dose_units[one.unit]["per"]
    if one.per not in allowed:
        place.at("per").refuse("business-rule", f"This unit is counted by {listed(allowed)}.")
    for name in _OF_ONE_DOSE if one.per != "dose" else ():
        if getattr(one, name) is not None:
            place.at(name).refuse("business-rule", 'Only a dose counted by "dose" has this.')
    if one.times_per_day and one.every_days:
        place.refuse("business-rule", "Expected at most one of times_per_day and every_days.")
    elif one.hours and one.hours * (one.times_per_day or 1) > _HOURS_A_DAY * (one.every_days or 1) and _is_timed(one):
        place.at("hours").refuse("business-rule", "The next dose would begin before this one ends.")


def _is_timed(one: Dose) -> bool:
    return one.times_per_day is not None or one.every_days is not None
