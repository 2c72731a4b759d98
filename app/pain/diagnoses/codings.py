"""The codings of a diagnosis that follow from those the clinic sent."""

from datetime import UTC, datetime
from typing import Any

from app.pain.concepts import Coding
from app.pain.content import Content
from app.pain.diagnoses.diagnoses import Diagnosis
from app.pain.diagnoses.translations import Circumstances, months_between, suggestions, translations
from app.pain.reading import latest


def added_codings(diagnosis: Diagnosis, content: Content) -> list[Coding]:
    """Codes that certainly say the same as the posted ones, in code systems the clinic has not coded itself."""
    return translations(diagnosis.code, _circumstances(diagnosis), content)


def near_codings(diagnosis: Diagnosis, content: Content) -> list[dict[str, Any]]:
    """Codes near in meaning, in the clinic's JSON, for a person to choose from."""
    return suggestions(diagnosis.code, _circumstances(diagnosis), content)


def _circumstances(diagnosis: Diagnosis) -> Circumstances:
    """The duration is at least what is told here: an onset known to the year only may be as late as its last day."""
    months = None
    if diagnosis.onset:
        recorded = datetime.fromisoformat(diagnosis.recorded_at).astimezone(UTC).date()
        months = months_between(latest(diagnosis.onset), recorded)
    return Circumstances(diagnosis.laterality, diagnosis.stated_grade, months)
