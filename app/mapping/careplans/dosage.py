"""The dosage of a planned medicine, there and back."""

from collections.abc import Sequence
from decimal import Decimal

from app.mapping.elements import Element, fixed, plain, quantity
from app.pain.concepts import Coding
from app.pain.content import Content
from app.pain.plans.activities import Activity, TitrationStep
from app.pain.plans.doses import Dose

Mg = int | Decimal | None

_RATES = {"day": "d", "hour": "h"}


def dosage(one: Activity, content: Content, where: Element) -> list[Element]:
    """Titration steps in their order, then the dose they lead to. A daily dose says nothing about how it is divided:
    it is written as a rate, mg per day, and never as one intake a day. where: route and site, for each row."""
    rows = [_row(step.daily_dose_mg, step.dose, step.days, content) for step in one.titration]
    if one.daily_dose_mg is not None or one.dose is not None:
        rows.append(_row(one.daily_dose_mg, one.dose, None, content))
    if not rows:
        return [where] if where else []
    return [{"sequence": number, **row, **where} for number, row in enumerate(rows, start=1)]


def doses_of(rows: Sequence[Element], content: Content) -> tuple[Mg, Dose | None, tuple[TitrationStep, ...]]:
    """The daily dose in mg, the dose beside it, and the steps to them. Rows that state a dose in another form than ours
    are somebody else's way to dose: they are left aside here and stay where they are."""
    told = [(row, _mg_of(row), _dose_of(row, content)) for row in rows]
    steps = [TitrationStep(mg, days, dose) for row, mg, dose in told if (mg or dose) and (days := _days_of(row))]
    final = [(mg, dose) for row, mg, dose in told if (mg or dose) and not _is_bounded(row)]
    mg, dose = final[0] if final else (None, None)
    return mg, dose, tuple(steps)


def dose_words(daily_dose_mg: Mg, dose: Dose | None, content: Content) -> str:
    """A dose in words, e.g. "300 mg 3 times per day" or "60 mg per day"."""
    daily = f"{plain(daily_dose_mg)} mg per day" if daily_dose_mg is not None else ""
    if dose is None:
        return daily
    said = f"{plain(dose.value)} {content.dose_units[dose.unit]['label']}{_how_often(dose)}"
    return f"{said} ({daily})" if daily else said


def _how_often(dose: Dose) -> str:
    if dose.per != "dose":
        return f" per {dose.per}"
    told = f" {dose.times_per_day} times per day" if dose.times_per_day else ""
    told += f" every {dose.every_days} days" if dose.every_days else ""
    return told + (f", each for {plain(dose.hours)} hours" if dose.hours else "")


def _row(daily_dose_mg: Mg, dose: Dose | None, days: int | None, content: Content) -> Element:
    words = dose_words(daily_dose_mg, dose, content) + (f" for {days} days" if days else "")
    repeat = ({"boundsDuration": quantity(days, fixed("day"))} if days else {}) | _repeat(dose)
    timing = {"timing": {"repeat": repeat}} if repeat else {}
    return {"text": words, **timing, "doseAndRate": [*_stated(dose, content), *_rate(daily_dose_mg)]}


def _repeat(dose: Dose | None) -> Element:
    if dose is None:
        return {}
    stays = {"duration": dose.hours, "durationUnit": "h"} if dose.hours else {}
    often = {"frequency": dose.times_per_day or 1, "period": dose.every_days or 1, "periodUnit": "d"}
    return stays | (often if dose.times_per_day or dose.every_days else {})


def _stated(dose: Dose | None, content: Content) -> list[Element]:
    if dose is None:
        return []
    label = content.dose_units[dose.unit]["label"]
    rate = f"/{_RATES[dose.per]}" if dose.per in _RATES else ""
    unit = Coding(content.systems["ucum"], dose.unit + rate, label + rate)
    return [{"rateQuantity" if rate else "doseQuantity": quantity(dose.value, unit)}]


def _rate(dose_mg: Mg) -> list[Element]:
    return [] if dose_mg is None else [{"rateQuantity": quantity(dose_mg, fixed("mg-per-day"))}]


def _mg_of(row: Element) -> Mg:
    """The dose in mg per day, None where the row states another rate or none."""
    rates = (one.get("rateQuantity", {}) for one in row.get("doseAndRate", []))
    return next((rate.get("value") for rate in rates if rate.get("code") == fixed("mg-per-day").code), None)


def _dose_of(row: Element, content: Content) -> Dose | None:
    """The dose a row states beside mg per day; None where writing it again would not give the same row."""
    repeat = {key: value for key, value in row.get("timing", {}).get("repeat", {}).items() if key != "boundsDuration"}
    daily = fixed("mg-per-day").code
    own = [one for one in row.get("doseAndRate", []) if one.get("rateQuantity", {}).get("code") != daily]
    found = _read(own[0], repeat, content) if len(own) == 1 else None
    return found if found and _stated(found, content) == own and _repeat(found) == repeat else None


def _read(stated: Element, repeat: Element, content: Content) -> Dose | None:
    amount = stated.get("doseQuantity") or stated.get("rateQuantity") or {}
    code = str(amount.get("code"))
    per = "dose" if "doseQuantity" in stated else next((k for k, v in _RATES.items() if code.endswith(f"/{v}")), None)
    unit = code if per == "dose" else code[:-2]
    if per is None or unit not in content.dose_units or "value" not in amount:
        return None
    period = repeat.get("period")
    return Dose(
        value=amount["value"],
        unit=unit,
        per=per,
        # Once a day and every day are written alike: they are the same.
        times_per_day=repeat.get("frequency") if period == 1 else None,
        every_days=period if period != 1 else None,
        hours=repeat.get("duration"),
    )


def _is_bounded(row: Element) -> bool:
    return "boundsDuration" in row.get("timing", {}).get("repeat", {})


def _days_of(row: Element) -> int | None:
    """The whole days a titration step lasts; None for a row that is no step."""
    bounds = row.get("timing", {}).get("repeat", {}).get("boundsDuration", {})
    value = bounds.get("value", 0)
    return int(value) if bounds.get("code") == fixed("day").code and value == int(value) else None
