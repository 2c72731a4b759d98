"""A treatment plan: goals, and the medicines, therapies and procedures meant to reach them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pain.assessments import patient_view
from app.pain.coded import concept_reader, misnamed, site_reader, site_view, unchecked_site, worded
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content, Listing
from app.pain.plan_context import Fact, context_reader, override
from app.pain.reading import (
    Place,
    Reader,
    day,
    fields,
    integer,
    listed,
    number,
    patient,
    reference,
    several,
    text,
)

KINDS = ("drug", "therapy", "code")
OF_A_DRUG = ("route", "daily_dose_mg", "titration")
# No daily dose of a medicine in use reaches 100 g; above lies a slip of units.
MAX_DOSE_MG = 100_000


@dataclass(frozen=True, slots=True)
class TitrationStep:
    daily_dose_mg: int | Decimal
    days: int


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing to do: exactly one of drug, therapy (id of our list, or text) and code.

    route: id of our list, or text.  titration: steps before daily_dose_mg is reached.
    """

    drug: Concept | None = None
    therapy: str | None = None
    code: Concept | None = None
    route: str | None = None
    daily_dose_mg: int | Decimal | None = None
    site: Concept | None = None
    titration: tuple[TitrationStep, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """measure: id of our list, or text.  Either a reduction from baseline in percent, or a target: a value in the
    measure's unit, or words."""

    measure: str
    reduction_percent: int | Decimal | None = None
    target: int | Decimal | str | None = None
    due: str | None = None


@dataclass(frozen=True, slots=True)
class TreatmentPlan:
    """context: facts the rules need, by key.  override: rule id -> reason to go ahead in spite of it."""

    patient: str | Identifier
    activities: tuple[Activity, ...]
    diagnosis: str | None = None
    review_on: str | None = None
    goals: tuple[Goal, ...] = ()
    note: str | None = None
    encounter: str | None = None
    context: Mapping[str, Fact] = field(default_factory=dict)
    override: Mapping[str, str] = field(default_factory=dict)


def read_plan(payload: Any, content: Content, now: datetime) -> TreatmentPlan:
    """The plan in the clinic's JSON. Raises Rejected with every problem in it.

    now: unused so far, taken like by the other readers; a review in the past is a legal record of what was planned.
    """
    place = Place()
    readers: dict[str, Reader] = {
        "patient": patient,
        "activities": several(_activity(content), at_least=1),
        "diagnosis": reference("Condition"),
        "review_on": day,
        "goals": several(_goal(content)),
        "note": text,
        "encounter": reference("Encounter"),
        "context": context_reader(content),
        "override": override,
    }
    read = fields(payload, place, readers, required=("patient", "activities"))
    place.settle()
    return TreatmentPlan(**{key: value for key, value in read.items() if value is not None})


def plan_view(plan: TreatmentPlan, content: Content) -> dict[str, Any]:
    """The plan in the clinic's JSON; reading it again gives the same plan."""
    facts = {key: list(fact) if isinstance(fact, tuple) else fact for key, fact in plan.context.items()}
    view = {
        "patient": patient_view(plan.patient),
        "diagnosis": plan.diagnosis,
        "review_on": plan.review_on,
        "goals": [_shown(_goal_view(goal)) for goal in plan.goals] or None,
        "activities": [_shown(_activity_view(one, content)) for one in plan.activities],
        "note": plan.note,
        "encounter": plan.encounter,
        "context": facts or None,
        "override": dict(plan.override) or None,
    }
    return _shown(view)


def plan_notes(plan: TreatmentPlan, content: Content) -> list[str]:
    """What was accepted as text or code without being checked."""
    notes = []
    for index, goal in enumerate(plan.goals):
        notes += _unlisted(goal.measure, f"goals[{index}].measure", content.measures, "measures")
    for index, one in enumerate(plan.activities):
        path = f"activities[{index}]"
        notes += _unlisted(one.therapy, f"{path}.therapy", content.therapies, "therapies")
        notes += _unlisted(one.route, f"{path}.route", content.routes, "routes")
        if one.drug and not content.drugs.of(one.drug):
            notes.append(f"{path}.drug was not checked: not in the medicines list")
        if one.code and not content.therapies.of(one.code):
            notes.append(f"{path}.code was not checked: not in the list of therapies")
        for name, concept in (("drug", one.drug), ("code", one.code)):
            for coding in concept.codings if concept else ():
                notes += misnamed(coding, f"{path}.{name}", content)
        if one.site and one.site.codings:
            notes += unchecked_site(one.site, f"{path}.site", content)
    return notes


def _activity(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "drug": _drug(content),
        "therapy": _named(content.therapies),
        "code": _procedure(content),
        "route": _named(content.routes),
        "daily_dose_mg": number(above=0, high=MAX_DOSE_MG),
        "site": site_reader(content, free_text=True),
        "titration": several(_step),
        "note": text,
    }

    def read(value: Any, place: Place) -> Activity:
        read = fields(value, place, readers)
        read["titration"] = read["titration"] or ()
        if not isinstance(value, Mapping):
            return Activity()
        _refuse_mixture(value, place)
        listed_therapy = content.therapies.of(read["code"]) if read["code"] else None
        if listed_therapy and _is_ours(read["code"], content):
            read |= {"therapy": listed_therapy.id, "code": None}
        return Activity(**read)

    return read


def _is_ours(concept: Concept, content: Content) -> bool:
    return any(coding.system == content.systems["np-therapy"] for coding in concept.codings)


def _refuse_mixture(value: Mapping[str, Any], place: Place) -> None:
    given = [kind for kind in KINDS if value.get(kind) is not None]
    if not given:
        place.refuse("required", f"Expected one of {listed(KINDS)}.")
    if len(given) > 1:
        place.refuse("business-rule", f"Expected exactly one of {listed(KINDS)}.")
    for key in OF_A_DRUG:
        if given and "drug" not in given and value.get(key) is not None:
            place.at(key).refuse("business-rule", "Only a drug has this.")


def _drug(content: Content) -> Reader:
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        got = worded(value, place) if isinstance(value, str) else read_concept(value, place)
        if got is None or got.codings:
            return _translated(got, content) if got else None
        known = content.drugs.named(got.text or "")
        return known.concept if known else got

    return read


def _translated(drug: Concept, content: Content) -> Concept:
    """A drug with the codes our list has beside the one it was posted with; the posted one stays first."""
    row = content.drugs.of(Concept(drug.codings))
    posted = drug.codings[0]
    if row is None or posted.code not in (coding.code for coding in row.codings):
        return drug
    others = tuple(coding for coding in row.codings if coding.system != posted.system)
    return Concept((posted, *others), drug.text)


def _procedure(content: Content) -> Reader:
    """A reader of a coding; a text alone is not a code."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        got: Concept | None = read_concept(value, place)
        if got and not got.codings:
            place.refuse("required", "Expected a system and a code.")
        return got

    return read


def _named(listing: Listing) -> Reader:
    """A reader of a name: the id where our list has it, else the words."""

    def read(value: Any, place: Place) -> str | None:
        words = text(value, place)
        known = listing.named(words) if words else None
        return known.id if known else words

    return read


def _step(value: Any, place: Place) -> TitrationStep:
    readers = {"daily_dose_mg": number(above=0, high=MAX_DOSE_MG), "days": integer(1, 3650)}
    return TitrationStep(**fields(value, place, readers, required=tuple(readers) if isinstance(value, Mapping) else ()))


def _goal(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "measure": _named(content.measures),
        "reduction_percent": number(above=0, high=100),
        "target": _target,
        "due": day,
    }

    def read(value: Any, place: Place) -> Goal:
        read = fields(value, place, readers, required=("measure",) if isinstance(value, Mapping) else ())
        if isinstance(value, Mapping):
            given = [key for key in ("reduction_percent", "target") if value.get(key) is not None]
            if len(given) != 1:
                place.refuse(
                    "business-rule" if given else "required", "Expected exactly one of reduction_percent and target."
                )
        return Goal(**read)

    return read


def _target(value: Any, place: Place) -> int | Decimal | str | None:
    return text(value, place) if isinstance(value, str) else number(low=0, high=1_000_000)(value, place)


def _unlisted(name: str | None, path: str, listing: Listing, words: str) -> list[str]:
    return [] if name is None or name in listing.rows else [f"{path} was not checked: not in the list of {words}"]


def _goal_view(goal: Goal) -> dict[str, Any]:
    return {key: getattr(goal, key) for key in Goal.__slots__}


def _activity_view(one: Activity, content: Content) -> dict[str, Any]:
    return {
        "drug": _drug_view(one.drug, content) if one.drug else None,
        "therapy": one.therapy,
        "code": site_view(one.code) if one.code else None,
        "route": one.route,
        "daily_dose_mg": one.daily_dose_mg,
        "site": site_view(one.site) if one.site else None,
        "titration": [{"daily_dose_mg": step.daily_dose_mg, "days": step.days} for step in one.titration] or None,
        "note": one.note,
    }


def _drug_view(drug: Concept, content: Content) -> str | dict[str, str]:
    """The name where the list has it or there is no code, else the coding as it was posted."""
    known = content.drugs.named(drug.text) if drug.text else None
    if drug.text and (not drug.codings or (known and known.concept == drug)):
        return drug.text
    return site_view(drug)


def _shown(view: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}
