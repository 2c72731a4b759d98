"""What a plan does: medicines, therapies, orders and devices, as the clinic names them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pain.coded import (
    coded_or_worded,
    concept_reader,
    concept_said,
    misnamed,
    named_reader,
    refuse_other_kinds,
    site_reader,
    site_view,
    unchecked_site,
)
from app.pain.concepts import Concept
from app.pain.content import Content, Listing
from app.pain.drugs import drug_reader, drug_view
from app.pain.plans.done import Done, ImplantedDevice, Session, done_reader, done_view, sessions_reader, sessions_view
from app.pain.plans.doses import Dose, dose_reader, dose_view
from app.pain.plans.lists import LISTS
from app.pain.plans.outcomes import Outcome, outcome_reader, outcome_view
from app.pain.reading import Place, Reader, boolean, choice, fields, integer, listed, number, past_date, several, text

KINDS = ("drug", "therapy", "order", "device", "code")
OF_A_DRUG = ("route", "daily_dose_mg", "dose", "titration", "taper")
NOT_OF_A_DEVICE = ("site", "laterality")
# No daily dose of a medicine in use reaches 100 g; above lies a slip of units.
MAX_DOSE_MG = 100_000
_MG_A_DAY = ("mg", "day")


@dataclass(frozen=True, slots=True)
class TitrationStep:
    """Either mg a day, or a dose in another unit, for so many days."""

    daily_dose_mg: int | Decimal | None
    days: int
    dose: Dose | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing to do: exactly one of drug, therapy, order, device (ids of our lists, or text) and code.

    A device may be a code too.  route: id of our list, or text.  dose: beside daily_dose_mg, or instead of it where
    the medicine is not counted in mg a day.  titration: steps before that dose is reached; taper: they go down.
    laterality: side of the site.  started_on: since when it goes on.  appointment: when it takes place.
    done, outcome: what became of it.
    """

    drug: Concept | None = None
    therapy: str | None = None
    order: str | None = None
    device: str | Concept | None = None
    code: Concept | None = None
    route: str | None = None
    daily_dose_mg: int | Decimal | None = None
    dose: Dose | None = None
    site: Concept | None = None
    laterality: str | None = None
    titration: tuple[TitrationStep, ...] = ()
    taper: bool = False
    started_on: str | None = None
    appointment: tuple[Session, ...] = ()
    done: tuple[Done, ...] = ()
    outcome: Outcome | None = None
    note: str | None = None


def activity_reader(content: Content, now: datetime) -> Reader:
    readers: dict[str, Reader] = {
        "drug": drug_reader(content),
        "therapy": named_reader(content.therapies),
        "order": named_reader(content.orders),
        "device": coded_or_worded(content.devices, "np-device", ("device",), content),
        "code": _procedure(content),
        "route": named_reader(content.routes),
        "daily_dose_mg": number(above=0, high=MAX_DOSE_MG),
        "dose": dose_reader(content),
        "site": site_reader(content, free_text=True),
        "laterality": choice(content.sides),
        "titration": several(_step(content)),
        "taper": boolean,
        "started_on": past_date(now),
        "appointment": sessions_reader,
        "done": done_reader(content, now),
        "outcome": outcome_reader(content, now),
        "note": text,
    }

    def read(value: Any, place: Place) -> Activity:
        read = fields(value, place, readers)
        if not isinstance(value, Mapping):
            return Activity()
        _refuse_mixture(value, place)
        read |= {name: read[name] or () for name in ("titration", "appointment", "done")} | _in_mg(read)
        one = Activity(**read | _of_our_list(read["code"], content) | {"taper": bool(read["taper"])})
        _refuse_misplaced(one, place, content)
        return replace(one, done=tuple(_told(done, one, content) for done in one.done))

    return read


def device_used(one: Activity, content: Content) -> str | None:
    """The device of our list that an activity works through, where the list says so."""
    row = content.therapies.rows.get(one.therapy or "") or (content.therapies.of(one.code) if one.code else None)
    return row.row.get("device") if row else None


def activity_view(one: Activity, content: Content) -> dict[str, Any]:
    """The activity in the clinic's JSON, None where nothing was said."""
    return {
        "drug": drug_view(one.drug, content) if one.drug else None,
        "therapy": one.therapy,
        "order": one.order,
        "device": concept_said(one.device) if isinstance(one.device, Concept) else one.device,
        "code": site_view(one.code) if one.code else None,
        "route": one.route,
        "daily_dose_mg": one.daily_dose_mg,
        "dose": dose_view(one.dose) if one.dose else None,
        "site": site_view(one.site) if one.site else None,
        "laterality": one.laterality,
        "titration": [_step_view(step) for step in one.titration] or None,
        "taper": one.taper or None,
        "started_on": one.started_on,
        "appointment": sessions_view(one.appointment),
        "done": done_view(one.done),
        "outcome": outcome_view(one.outcome),
        "note": one.note,
    }


def activity_notes(one: Activity, path: str, content: Content) -> list[str]:
    """What was accepted as text or code without being checked, and what deserves a second look."""
    notes = [
        note
        for kind, (name, _) in LISTS.items()
        if isinstance(said := getattr(one, kind), str | None)
        for note in unlisted(said, f"{path}.{kind}", getattr(content, name), name)
    ]
    notes += unlisted(one.route, f"{path}.route", content.routes, "routes")
    if one.drug and not content.drugs.of(Concept(one.drug.codings) if one.drug.codings else one.drug):
        notes.append(f"{path}.drug was not checked: not in the medicines list")
    if one.code and not content.therapies.of(one.code) and not content.orders.of(one.code):
        notes.append(f"{path}.code was not checked: not in the list of therapies")
    for name, concept in (("drug", one.drug), ("code", one.code)):
        for coding in concept.codings if concept else ():
            notes += misnamed(coding, f"{path}.{name}", content)
    if one.site and one.site.codings:
        notes += unchecked_site(one.site, f"{path}.site", content)
    return notes


def unlisted(name: str | None, path: str, listing: Listing, words: str) -> list[str]:
    """A note where a name is not in a list."""
    return [] if name is None or name in listing.rows else [f"{path} was not checked: not in the list of {words}"]


def _of_our_list(code: Concept | None, content: Content) -> dict[str, str | None]:
    """A code of one of our own systems is the row it names."""
    ours = {content.systems[system]: kind for kind, (_, system) in LISTS.items()}
    found = ((ours[coding.system], coding.code) for coding in (code.codings if code else ()) if coding.system in ours)
    return next(({kind: row, "code": None} for kind, row in found), {})


def _in_mg(read: Mapping[str, Any]) -> dict[str, Any]:
    """A dose in mg by day is the daily dose in mg, said in another way."""
    dose, said = read["dose"], read["daily_dose_mg"]
    if dose is None or (dose.unit, dose.per) != _MG_A_DAY or said not in (None, dose.value):
        return {}
    return {"daily_dose_mg": dose.value, "dose": None}


def _told(done: Done, one: Activity, content: Content) -> Done:
    """What was done with what the activity tells of it: its device where none is named, its procedure never twice."""
    if isinstance(done.device, ImplantedDevice) and done.device.type is None and (used := device_used(one, content)):
        done = replace(done, device=replace(done.device, type=used))
    return replace(done, procedure=None) if done.procedure is not None and done.procedure == one.code else done


def _refuse_misplaced(one: Activity, place: Place, content: Content) -> None:
    """Notes problems where something is said of an activity that it cannot have."""
    for key in NOT_OF_A_DEVICE if one.device else ():
        if getattr(one, key) is not None:
            place.at(key).refuse("business-rule", "A request of a device names no site: plan what is done with it.")
    if one.appointment and (one.drug or one.device):
        place.at("appointment").refuse("business-rule", "Only a therapy, a procedure or an order has sessions.")
    stopped_on = one.outcome.stopped_on if one.outcome else None
    # Of two dates that are told with different precision only what both tell is compared.
    if one.started_on and stopped_on and stopped_on[: len(one.started_on)] < one.started_on[: len(stopped_on)]:
        place.at("outcome").at("stopped_on").refuse("business-rule", "It cannot stop before it has started.")
    for index, done in enumerate(one.done):
        where = place.at("done").nth(index) if len(one.done) > 1 else place.at("done")
        if done.procedure is None and (one.drug or one.device):
            where.at("procedure").refuse("required", "Expected the procedure: giving a medicine or a device is none.")
        if isinstance(done.device, ImplantedDevice) and done.device.type is None and not device_used(one, content):
            where.at("device").at("type").refuse("required", "Expected the type: the activity does not tell it.")


def _refuse_mixture(value: Mapping[str, Any], place: Place) -> None:
    given = [kind for kind in KINDS if value.get(kind) is not None]
    if not given:
        place.refuse("required", f"Expected one of {listed(KINDS)}.")
    if len(given) > 1:
        place.refuse("business-rule", f"Expected exactly one of {listed(KINDS)}.")
    for key in OF_A_DRUG:
        if given and "drug" not in given and value.get(key) is not None:
            place.at(key).refuse("business-rule", "Only a drug has this.")


def _procedure(content: Content) -> Reader:
    """A reader of the coding of a procedure or of what is to be observed; a text alone is not a code."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        got: Concept | None = read_concept(value, place)
        if got and not got.codings:
            place.refuse("required", "Expected a system and a code.")
        if got and not content.orders.of(Concept(got.codings)):
            refuse_other_kinds(got, ("procedure", "observation"), place.at("code"), content)
        return got

    return read


def _step(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "daily_dose_mg": number(above=0, high=MAX_DOSE_MG),
        "days": integer(1, 3650),
        "dose": dose_reader(content),
    }

    def read(value: Any, place: Place) -> TitrationStep:
        needed = ("days",) if isinstance(value, Mapping) else ()
        read = fields(value, place, readers, required=needed)
        given = [key for key in ("daily_dose_mg", "dose") if isinstance(value, Mapping) and value.get(key) is not None]
        if isinstance(value, Mapping) and not given:
            place.at("daily_dose_mg").refuse("required", "Expected one of daily_dose_mg and dose.")
        if len(given) > 1:
            place.refuse("business-rule", "Expected exactly one of daily_dose_mg and dose.")
        return TitrationStep(**read | _in_mg(read))

    return read


def _step_view(step: TitrationStep) -> dict[str, Any]:
    amount = {"dose": dose_view(step.dose)} if step.dose else {"daily_dose_mg": step.daily_dose_mg}
    return amount | {"days": step.days}
