"""The class of a medicine, however it is named."""

import pytest

from app.pain.concepts import Coding, Concept
from app.pain.content import load_content
from app.pain.treatment_class import treatment_class

CONTENT = load_content()


def coded(system: str, code: str, text: str | None = None) -> Concept:
    return Concept((Coding(CONTENT.systems[system], code, None),), text)


@pytest.mark.parametrize(
    ("drug", "told"),
    [
        (coded("rxnorm", "72625"), "snri"),
        (coded("atc", "N02BF01"), "gabapentinoid"),
        # Doxepin stands in no list of ours: its ATC group tells.
        (coded("atc", "N06AA12"), "tca"),
        (Concept((), "gabapentin 300 MG Oral Capsule"), "gabapentinoid"),
        (Concept((), "oxycodone / naloxone"), "opioid+opioid-antagonist"),
        (Concept((), "lidocaine 5 % patch"), "topical-local-anaesthetic"),
        (coded("atc", "A10BA02", "metformin"), None),
        (Concept(), None),
    ],
)
def test_the_class_is_told_by_code_group_or_name(drug: Concept, told: str | None) -> None:
    assert treatment_class(drug, CONTENT) == told
