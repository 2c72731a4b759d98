"""What the rules may know of a patient, from FHIR resources: those of the record, or those an EHR sent along.

A condition counts unless it is resolved, inactive, refuted or in error; a remission still counts, since what caused it
is still there. What is only suspected (provisional, differential) counts: the rules are about safety, and a reason
overrides them. A device counts while it is in use.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from app.mapping.elements import Element, Resource, code_in, concept_of, fixed, is_error
from app.mapping.facts.held import Held, found, name_of
from app.mapping.facts.medicines import MEDICINE_TYPES, medicines_of
from app.mapping.facts.observed import Observed, observed
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.context import Fact
from app.pain.rules.facts import Facts, Known, Medicine, Stated

_OVER = ("inactive", "resolved")
_EXCLUDED = ("refuted", "entered-in-error")
_IN_USE = ("active", "on-hold", "unknown", "intended")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts, and what is to be said about them: where they come from, and what was left aside."""

    facts: Facts
    notes: tuple[str, ...] = ()


def gathered(
    held: Held, content: Content, *, today: date, context: Mapping[str, Fact], leave: Iterable[str] = ()
) -> Gathered:
    """The facts of a record. context: facts stated now; they win over what was observed.

    leave: names of resources that are not to count, such as the requests of the plan that is being written anew.
    """
    counted = {name: one for name, one in held.items() if name not in set(leave) and not is_error(one)}
    seen = observed(_of_type(counted, "Observation"), content)
    stated = {key: Stated(fact, f"context.{key}") for key, fact in context.items()}
    name, patient = next(_of_type(counted, "Patient"), ("", {}))
    recorded = {key: Stated(words, name) for key, words in _recorded(patient, content) if key not in context}
    age, age_notes = _age(patient, today)
    facts = Facts(
        today=today,
        age=age,
        sex=patient.get("gender"),
        conditions=tuple(_conditions(counted)),
        past_conditions=tuple(_conditions(counted, over=True)),
        devices=tuple(_devices(counted)),
        medicines=tuple(_medicines(counted, held, content, today)),
        stated={**recorded, **seen.facts, **stated},
    )
    told = [f"{key} was taken from {name}: {', '.join(content.facts[key]['recorded_as'])}." for key in recorded]
    return Gathered(facts, (*age_notes, *told, *_observed_notes(seen, context)))


def condition_of(held: Held, name: str | None) -> Known | None:
    """A condition as the diagnosis of what is proposed."""
    concept = concept_of(held.get(name or "", {}).get("code"))
    return Known(concept, name) if concept and name else None


def grade_of(condition: Resource, content: Content) -> str | None:
    """The NeuPSIG grade a condition states."""
    system = content.systems["np-grade"]
    return next((code for stage in condition.get("stage", []) if (code := code_in(stage.get("summary"), system))), None)


def proposed(gathered: Gathered, medicines: Iterable[Medicine]) -> Gathered:
    """The facts with what is proposed beside what is taken."""
    facts = gathered.facts
    return replace(gathered, facts=replace(facts, medicines=(*facts.medicines, *medicines)))


def _of_type(held: Held, *types: str) -> Iterator[tuple[str, Resource]]:
    return ((name, one) for name, one in held.items() if one["resourceType"] in types)


def _age(patient: Resource, today: date) -> tuple[int | None, list[str]]:
    """Whole years. Of a birth date that leaves it open the highest age, since the rules protect the old."""
    said = patient.get("birthDate")
    if not said:
        return None, []
    year, month, day = (int(part) for part in (said + "-01-01")[:10].split("-"))
    age = today.year - year - ((today.month, today.day) < (month, day))
    partial = ["The birth date is not known to the day; the highest age it allows was taken."]
    return max(age, 0), [] if len(said) == 10 else partial


def _recorded(patient: Resource, content: Content) -> Iterator[tuple[str, str]]:
    """Facts that stand in extensions of the Patient."""
    for key, row in content.facts.items():
        found = [one for one in patient.get("extension", []) if one["url"] in row.get("recorded_as", ())]
        parts = (part for one in found for part in one.get("extension", []) if part["url"] == "text")
        for part in parts:
            yield key, part["valueString"]


def _conditions(held: Held, *, over: bool = False) -> Iterator[Known]:
    """What the patient has; over: what the patient had."""
    for name, one in _of_type(held, "Condition"):
        concept = concept_of(one.get("code"))
        if concept and not _is_excluded(one) and _is_over(one) == over:
            yield Known(concept, name)


def _is_over(condition: Resource) -> bool:
    clinical = code_in(condition.get("clinicalStatus"), fixed("active").system)
    return clinical in _OVER or (clinical is None and any(key.startswith("abatement") for key in condition))


def _is_excluded(condition: Resource) -> bool:
    return code_in(condition.get("verificationStatus"), fixed("confirmed").system) in _EXCLUDED


def _devices(held: Held) -> Iterator[Known]:
    """Devices of the patient, and those whose use is recorded; each once."""
    used = {name_of(one.get("device")) for _, one in _of_type(held, "DeviceUseStatement") if _is_used(one)}
    for name, one in _of_type(held, "Device"):
        concept = concept_of(one.get("type")) or _device_name(one)
        if concept and one.get("status", "active") in ("active", "unknown") and (one.get("patient") or name in used):
            yield Known(concept, name)
    for name, one in _of_type(held, "DeviceUseStatement"):
        said = (one.get("device") or {}).get("display")
        if _is_used(one) and said and not found(held, one["device"]):
            yield Known(Concept((), said), name)


def _is_used(statement: Resource) -> bool:
    return statement.get("status") in _IN_USE


def _device_name(device: Resource) -> Concept | None:
    names: list[Element] = device.get("deviceName", [])
    return next((Concept((), one["name"]) for one in names if one.get("name")), None)


def _medicines(counted: Held, held: Held, content: Content, today: date) -> Iterator[Medicine]:
    for name, one in _of_type(counted, *MEDICINE_TYPES):
        yield from medicines_of(one, name, held, content, today)


def _observed_notes(seen: Observed, context: Mapping[str, Fact]) -> Iterator[str]:
    """Where each observed fact comes from, and where the plan states another one."""
    yield from seen.notes
    for key, one in seen.facts.items():
        day = f" of {seen.days[key][:10]}" if seen.days[key] else ""
        if key not in context:
            yield f"{key} was taken from {one.source}{day}."
        elif not _agree(context[key], one.value):
            yield f"context.{key} is not what {one.source}{day} says; the context was taken."


def _agree(first: Any, second: Any) -> bool:
    numbers = (int, Decimal)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return Decimal(first) == Decimal(second)
    return bool(first == second)
