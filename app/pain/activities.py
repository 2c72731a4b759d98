"""What a plan does: medicines, therapies and procedures, as the clinic names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.pain.coded import (
    concept_reader,
    misnamed,
    refuse_other_kinds,
    site_reader,
    site_view,
    unchecked_site,
    worded,
)
from app.pain.concepts import Concept
from app.pain.content import Content, Listing
from app.pain.reading import Place, Reader, choice, fields, integer, listed, number, several, text

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

    route: id of our list, or text.  titration: steps before daily_dose_mg is reached.  laterality: side of the site.
    """

    drug: Concept | None = None
    therapy: str | None = None
    code: Concept | None = None
    route: str | None = None
    daily_dose_mg: int | Decimal | None = None
    site: Concept | None = None
    laterality: str | None = None
    titration: tuple[TitrationStep, ...] = ()
    note: str | None = None


def activity_reader(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "drug": _drug(content),
        "therapy": named_reader(content.therapies),
        "code": _procedure(content),
        "route": named_reader(content.routes),
        "daily_dose_mg": number(above=0, high=MAX_DOSE_MG),
        "site": site_reader(content, free_text=True),
        "laterality": choice(content.sides),
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


def activity_view(one: Activity, content: Content) -> dict[str, Any]:
    """The activity in the clinic's JSON, None where nothing was said."""
    return {
        "drug": _drug_view(one.drug, content) if one.drug else None,
        "therapy": one.therapy,
        "code": site_view(one.code) if one.code else None,
        "route": one.route,
        "daily_dose_mg": one.daily_dose_mg,
        "site": site_view(one.site) if one.site else None,
        "laterality": one.laterality,
        "titration": [{"daily_dose_mg": step.daily_dose_mg, "days": step.days} for step in one.titration] or None,
        "note": one.note,
    }


def activity_notes(one: Activity, path: str, content: Content) -> list[str]:
    """What was accepted as text or code without being checked, and what deserves a second look."""
    notes = unlisted(one.therapy, f"{path}.therapy", content.therapies, "therapies")
    notes += unlisted(one.route, f"{path}.route", content.routes, "routes")
    if one.drug and not content.drugs.of(Concept(one.drug.codings) if one.drug.codings else one.drug):
        notes.append(f"{path}.drug was not checked: not in the medicines list")
    if one.code and not content.therapies.of(one.code):
        notes.append(f"{path}.code was not checked: not in the list of therapies")
    for name, concept in (("drug", one.drug), ("code", one.code)):
        for coding in concept.codings if concept else ():
            notes += misnamed(coding, f"{path}.{name}", content)
    if one.site and one.site.codings:
        notes += unchecked_site(one.site, f"{path}.site", content)
    final = one.daily_dose_mg
    if final is not None and any(step.daily_dose_mg > final for step in one.titration):
        notes.append(f"{path}.titration: a step lies above the dose it leads to")
    return notes


def named_reader(listing: Listing) -> Reader:
    """A reader of a name: the id where our list has it, else the words."""

    def read(value: Any, place: Place) -> str | None:
        words = text(value, place)
        known = listing.named(words) if words else None
        return known.id if known else words

    return read


def unlisted(name: str | None, path: str, listing: Listing, words: str) -> list[str]:
    """A note where a name is not in a list."""
    return [] if name is None or name in listing.rows else [f"{path} was not checked: not in the list of {words}"]


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
        if got is None:
            return None
        if not got.codings:
            return content.drugs.said(got.text or "")
        refuse_other_kinds(got, ("medicine",), place.at("code"), content)
        if content.drugs.at_odds(got):
            place.refuse("business-rule", "The code and the words name different medicines.")
        return _translated(got, content)

    return read


def _translated(drug: Concept, content: Content) -> Concept:
    """A drug with the codes our list has beside the one it was posted with; the posted one stays first."""
    row = content.drugs.of(drug)
    posted = drug.codings[0]
    if row is None or posted.key not in (coding.key for coding in row.codings):
        return drug
    others = tuple(coding for coding in row.codings if coding.system != posted.system)
    return Concept((posted, *others), drug.text)


def _procedure(content: Content) -> Reader:
    """A reader of the coding of a procedure or of what is to be observed; a text alone is not a code."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        got: Concept | None = read_concept(value, place)
        if got and not got.codings:
            place.refuse("required", "Expected a system and a code.")
        refuse_other_kinds(got, ("procedure", "observation"), place.at("code"), content)
        return got

    return read


def _step(value: Any, place: Place) -> TitrationStep:
    readers = {"daily_dose_mg": number(above=0, high=MAX_DOSE_MG), "days": integer(1, 3650)}
    return TitrationStep(**fields(value, place, readers, required=tuple(readers) if isinstance(value, Mapping) else ()))


def _drug_view(drug: Concept, content: Content) -> str | dict[str, str]:
    """The words where they give the drug again, else the coding as it was posted."""
    if drug.text and content.drugs.said(drug.text) == drug:
        return drug.text
    return site_view(drug)
