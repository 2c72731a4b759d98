"""Answered instruments in tests: as the clinic sends them, and as a form filler does."""

from collections.abc import Mapping
from typing import Any

from app.mapping.questionnaires.questionnaire import response
from app.pain.content import load_content
from app.pain.instruments.assessments import Assessment
from app.pain.instruments.types import Answer
from app.profiles import canonical

Json = dict[str, Any]
TAKEN = "2026-05-01T09:30:00+02:00"
INSTRUMENTS = load_content().instruments
COMPLETE = {name: dict(one.examples[0]["answers"]) for name, one in INSTRUMENTS.items()}


def assessment(instrument: str, answers: Mapping[str, Answer], **changes: Any) -> Json:
    """What the clinic API takes."""
    return {"patient": "Patient/p", "instrument": instrument, "taken_at": TAKEN, "answers": dict(answers)} | changes


def answered(instrument: str, answers: Mapping[str, Answer], **changes: Any) -> Json:
    """The same by FHIR, as a stranger writes it: no profile, no version of the questionnaire, no texts."""
    one = INSTRUMENTS[instrument]
    made = response(Assessment("Patient/p", instrument, TAKEN, answers), one, "unused", "Patient/p")
    items = [{name: value for name, value in row.items() if name != "text"} for row in made["item"]]
    kept = {name: made[name] for name in ("resourceType", "status", "subject", "authored")}
    return {**kept, "questionnaire": canonical("Questionnaire", instrument), "item": items} | changes


def unlinked(resource: Json) -> Json:
    """A resource without what is its own wherever it is written: id, meta of the server, links to its siblings."""
    kept = {name: value for name, value in resource.items() if name not in ("id", "text")}
    kept["meta"] = {"profile": resource["meta"]["profile"]}
    for name in ("derivedFrom", "hasMember", "implicated"):
        if name in kept:
            kept[name] = len(kept[name])
    kept.pop("identifiedDateTime", None)
    if "evidence" in kept:
        kept["evidence"] = [one.get("code") for one in kept["evidence"]]
    return kept
