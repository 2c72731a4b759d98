"""Facts about a patient, written short, for the tests of the guideline rules."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from app.pain.concepts import Coding, Concept
from app.pain.content import load_content
from app.pain.plans.context import Fact
from app.pain.rules.evaluate import evaluate
from app.pain.rules.facts import Facts, Known, Medicine, Plan, Stated
from app.pain.rules.results import RuleResults

CONTENT = load_content()
TODAY = date(2026, 11, 22)


def concept(said: str) -> Concept:
    """ "snomed|77386006", "icd-10-cm|I44.1|display", or words."""
    if "|" not in said:
        return Concept((), said)
    system, code, *display = said.split("|")
    return Concept((Coding(CONTENT.systems[system], code, display[0] if display else None),))


def medicine(said: str, use: Any, source: str) -> Medicine:
    """ "pregabalin 300", "fentanyl 0.6 @transdermal", "lidocaine patch #left foot", "phenelzine -14" (days ago)."""
    words, _, site = said.partition("#")
    words, _, route = words.partition("@")
    parts = words.split()
    ago = int(parts.pop()) if parts[-1].startswith("-") else None
    number = parts[-1].replace(".", "")
    dose = Decimal(parts.pop()) if number.isdigit() and len(parts) > 1 else None
    name = " ".join(parts)
    drug = concept(name) if "|" in name else CONTENT.drugs.said(name)
    return Medicine(
        drug=drug,
        use=use,
        source=source,
        daily_dose_mg=dose,
        route=route.strip() or None,
        site=concept(site.strip()) if site else None,
        until=TODAY + timedelta(days=ago) if ago is not None else None,
    )


def facts(
    *,
    proposed: Iterable[str] = (),
    current: Iterable[str] = (),
    past: Iterable[str] = (),
    conditions: Iterable[str] = (),
    over: Iterable[str] = (),
    devices: Iterable[str] = (),
    procedures: Iterable[str] = (),
    diagnosis: str | None = None,
    age: int | None = 40,
    sex: str | None = "male",
    grade: str | None = None,
    goal: bool = True,
    review: bool = True,
    **stated: Fact,
) -> Facts:
    """A man of 40 with a goal and a review, unless said otherwise."""
    medicines = [medicine(one, "proposed", f"activities[{n}]") for n, one in enumerate(proposed)]
    medicines += [medicine(one, "current", f"MedicationRequest/{n}") for n, one in enumerate(current)]
    medicines += [medicine(one, "past", f"MedicationStatement/{n}") for n, one in enumerate(past)]
    planned = [Known(concept(one), f"procedures[{n}]") for n, one in enumerate(procedures)]
    return Facts(
        today=TODAY,
        age=age,
        sex=sex,
        conditions=tuple(Known(concept(one), f"Condition/{n}") for n, one in enumerate(conditions)),
        past_conditions=tuple(Known(concept(one), f"Condition/over-{n}") for n, one in enumerate(over)),
        devices=tuple(Known(concept(one), f"Device/{n}") for n, one in enumerate(devices)),
        medicines=tuple(medicines),
        stated={key: Stated(value, f"context.{key}") for key, value in stated.items()},
        grade=grade,
        plan=Plan(tuple(planned), Known(concept(diagnosis), "Condition/dx") if diagnosis else None, goal, review),
    )


def results(one: Facts, *, edition: str = "neupsig-2025", jurisdiction: str = "us") -> RuleResults:
    return evaluate(one, CONTENT.guidelines, edition=edition, jurisdiction=jurisdiction)


def answer(rule: str, found: RuleResults) -> str | tuple[str, ...] | None:
    """The severity of a raised rule, what a rule lacks, or None where it says nothing."""
    raised = {one.rule: one.severity for one in found.findings}
    needed = {one.rule: one.missing for one in found.data_needed}
    assert not raised.keys() & needed.keys()
    return raised.get(rule) or needed.get(rule)
