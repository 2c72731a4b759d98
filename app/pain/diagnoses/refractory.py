"""Whether a pain is refractory to treatment: what is stated, and what the trials that are named support."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.pain.content import Content
from app.pain.reading import Place, Reader, boolean, choice, fields, reference, several

_TRIED = ("MedicationRequest", "MedicationStatement", "MedicationAdministration")


@dataclass(frozen=True, slots=True)
class Trial:
    """A first-line class that was tried. was_adequate: dose and duration, None where it is not known."""

    medicine_class: str
    outcome: str
    was_adequate: bool | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Refractory:
    """status: what counts, as stated or else as the trials support it."""

    status: str
    trials: tuple[Trial, ...] = ()


def supported(trials: Iterable[Trial], content: Content) -> str:
    """The status the trials support. A class counts where it failed at an adequate dose and duration, or was not
    tolerated."""
    tried = list(trials)
    failed = {one.medicine_class for one in tried if one.outcome == "not-tolerated" or _is_insufficient(one)}
    if any(one.outcome == "relief" for one in tried):
        return "not-refractory"
    return "refractory" if len(failed) >= content.refractory["classes"] else "undetermined"


def _is_insufficient(one: Trial) -> bool:
    return one.outcome == "insufficient-relief" and one.was_adequate is True


def refractory_reader(content: Content) -> Reader:
    """A reader of {"status"?: …, "trials"?: [{"class", "outcome", "adequate"?, "reference"?}]}; one is given."""
    readers: dict[str, Reader] = {
        "status": choice(_ids(content, "status")),
        "trials": several(_trial(content)),
    }

    def read(value: Any, place: Place) -> Refractory | None:
        got = fields(value, place, readers)
        trials = tuple(one for one in got["trials"] or () if one)
        if isinstance(value, Mapping) and value.get("status") is None and not value.get("trials"):
            place.refuse("required", "Expected a status, or the trials it follows from.")
        return Refractory(got["status"] or supported(trials, content), trials)

    return read


def _trial(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "class": choice(_ids(content, "class")),
        "outcome": choice(_ids(content, "outcome")),
        "adequate": boolean,
        "reference": reference(*_TRIED),
    }

    def read(value: Any, place: Place) -> Trial | None:
        got = fields(value, place, readers, required=("class", "outcome"))
        if not got["class"] or not got["outcome"]:
            return None
        return Trial(got["class"], got["outcome"], got["adequate"], got["reference"])

    return read


def _ids(content: Content, table: str) -> list[str]:
    return [row["id"] for row in content.refractory[table]]


def refractory_view(one: Refractory) -> dict[str, Any]:
    """The status in the clinic's JSON; reading it again gives the same."""
    trials = [_trial_view(trial) for trial in one.trials]
    return {"status": one.status} | ({"trials": trials} if trials else {})


def _trial_view(one: Trial) -> dict[str, Any]:
    view = {
        "class": one.medicine_class,
        "outcome": one.outcome,
        "adequate": one.was_adequate,
        "reference": one.reference,
    }
    return {key: value for key, value in view.items() if value is not None}


def refractory_notes(one: Refractory | None, content: Content) -> list[str]:
    """A note where what is stated is not what the trials support."""
    if one is None or one.status == (told := supported(one.trials, content)):
        return []
    return [f"refractory: {one.status} was stated; the trials named support {told}"]
