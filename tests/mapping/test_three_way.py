"""What others wrote stays, and only once: a clinic amendment beside changes made through FHIR."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping.three_way import merged_list, three_way

Row = dict[str, Any]
OLD, NEW = {"sequence": 1, "dose": 60}, {"sequence": 1, "dose": 90}
OUR_NOTE, THEIR_NOTE = {"text": "ours"}, {"text": "theirs"}


@pytest.mark.parametrize(
    ("stored", "ours", "new", "kept"),
    [
        # An item of ours that others have added to is changed where we change it, and stays one item.
        ([OLD | {"patientInstruction": "x"}], [OLD], [NEW], [NEW | {"patientInstruction": "x"}]),
        ([{"linkId": "a", "answer": [1], "text": "t"}], [{"linkId": "a", "answer": [1]}],
         [{"linkId": "a", "answer": [0]}], [{"linkId": "a", "answer": [0], "text": "t"}]),
        ([{"reference": {"reference": "R/1"}, "progress": [1]}, {"reference": {"reference": "R/9"}}],
         [{"reference": {"reference": "R/1"}}], [{"reference": {"reference": "R/2"}}],
         [{"reference": {"reference": "R/2"}}, {"reference": {"reference": "R/9"}}]),
        # Only our own items are taken out.
        ([THEIR_NOTE, OUR_NOTE], [OUR_NOTE], None, [THEIR_NOTE]),
        ([THEIR_NOTE, OUR_NOTE], [OUR_NOTE], [{"text": "new"}], [{"text": "new"}, THEIR_NOTE]),
        ([OUR_NOTE], [OUR_NOTE], None, None),
        # What others have taken out stays out, unless we change it.
        ([{"linkId": "b"}], [{"linkId": "a"}, {"linkId": "b"}], [{"linkId": "a"}, {"linkId": "b"}, {"linkId": "c"}],
         [{"linkId": "b"}, {"linkId": "c"}]),
        # Where we change nothing, everything stays as it is stored.
        ([THEIR_NOTE], [OUR_NOTE], [OUR_NOTE], [THEIR_NOTE]),
        ({"code": "b"}, {"code": "a"}, {"code": "a"}, {"code": "b"}),
        ({"code": "b"}, {"code": "a"}, {"code": "c"}, {"code": "c"}),
    ],
)  # fmt: skip
def test_a_merge(stored: Any, ours: Any, new: Any, kept: Any) -> None:
    assert three_way(stored, ours, new) == kept


rows = st.lists(
    st.builds(lambda key, dose: {"sequence": key, "dose": dose}, st.integers(1, 4), st.integers()),
    max_size=4,
    unique_by=lambda row: row["sequence"],
)


@given(rows, rows)
def test_without_others_the_new_list_is_what_stands(ours: list[Row], new: list[Row]) -> None:
    assert merged_list(ours, ours, new) == new


@given(rows, rows, rows)
def test_nothing_stands_twice(stored: list[Row], ours: list[Row], new: list[Row]) -> None:
    kept = [row["sequence"] for row in merged_list(stored, ours, new)]

    assert len(kept) == len(set(kept))
