"""One result of an examination: a value, what it was compared to, and where and how it was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.pain.coded import site_view
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.examinations.interpreting import Meaning, Range, meaning
from app.pain.examinations.types import ExaminationType, Number, Qualifier


@dataclass(frozen=True, slots=True)
class Result:
    """value: None where absent.  qualifiers: name -> what was said, e.g. {"nerve": …}.  interpretation: only what was
    stated; what follows is told by `meaning_of`.  was_converted: whether another unit was sent than is kept."""

    parameter: str
    value: Number | bool | str | None
    unit: str | None = None
    z_score: Number | None = None
    reference_range: Range | None = None
    interpretation: str | None = None
    body_site: Concept | None = None
    laterality: str | None = None
    qualifiers: Mapping[str, Concept] = field(default_factory=dict)
    skin_temperature: Number | None = None
    note: str | None = None
    was_converted: bool = field(default=False, compare=False)

    @property
    def about(self) -> tuple[str, ...]:
        """What the result is about: two results about the same contradict or repeat each other."""
        said = [f"{name}={_words(one)}" for name, one in sorted(self.qualifiers.items()) if name in _IDENTIFYING]
        return self.parameter, _words(self.body_site), self.laterality or "", *said


# Qualifiers that say what was examined; the others say how it is.
_IDENTIFYING = ("nerve", "segment", "muscle", "stimulus", "method")


def meaning_of(one: Result, kind: ExaminationType, content: Content) -> Meaning | None:
    """The interpretation that follows from a result, stated or not."""
    return meaning(
        one.value,
        kind.parameters[one.parameter],
        content.examinations,
        z_score=one.z_score,
        reference_range=one.reference_range,
    )


def result_view(one: Result, content: Content) -> dict[str, Any]:
    """A result in the clinic's JSON; reading it again gives the same result."""
    known = content.examinations.qualifiers
    norm = one.reference_range
    view = {
        "parameter": one.parameter,
        "value": one.value,
        "absent": True if one.value is None else None,
        "unit": one.unit,
        "z_score": one.z_score,
        "reference_range": norm and _present({"low": norm.low, "high": norm.high, "text": norm.text}),
        "interpretation": one.interpretation,
        "body_site": site_view(one.body_site) if one.body_site else None,
        "laterality": one.laterality,
        **{name: _said(concept, known[name]) for name, concept in one.qualifiers.items()},
        "skin_temperature": one.skin_temperature,
        "note": one.note,
    }
    return _present(view)


def _said(concept: Concept, known: Qualifier) -> str | dict[str, str]:
    """The id of an answer of the list; the words or code of another."""
    return next((name for name, one in known.answers.items() if one == concept), None) or site_view(concept)


def _words(concept: Concept | None) -> str:
    if concept is None:
        return ""
    return concept.codings[-1].code if concept.codings else f'"{concept.text}"'


def _present(view: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}


def repeated(results: Sequence[Result | None]) -> list[int]:
    """Places of results about what an earlier one is about."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for index, one in enumerate(results):
        if one is not None and one.about in seen:
            found.append(index)
        elif one is not None:
            seen.add(one.about)
    return found
