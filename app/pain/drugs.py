"""Medicines as the clinic names them: by name, or by code."""

from typing import Any

from app.pain.coded import concept_reader, refuse_other_kinds, site_view, worded
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.reading import Place, Reader


def drug_reader(content: Content) -> Reader:
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


def drug_view(drug: Concept, content: Content) -> str | dict[str, str]:
    """The words where they give the drug again, else the coding as it was posted."""
    if drug.text and content.drugs.said(drug.text) == drug:
        return drug.text
    return site_view(drug)
