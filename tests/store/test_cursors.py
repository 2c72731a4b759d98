"""Page links: what is sealed comes back, and nothing else is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.cursors import seal, unseal, unseal_numbers
from app.store.snapshot import Snapshot

ASKED = "http://example.org/fhir/Patient?name=x"
PLACES = st.lists(st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False), max_size=5)
MOMENTS = st.integers(min_value=0, max_value=10**18 - 1)
SNAPSHOTS = st.builds(Snapshot, MOMENTS, MOMENTS, st.lists(MOMENTS, max_size=5).map(tuple))


@given(SNAPSHOTS, PLACES)
def test_a_sealed_place_comes_back(snapshot: Snapshot, place: list[object]) -> None:
    assert unseal(seal(ASKED, snapshot, place), ASKED) == (snapshot, place)


def test_a_cursor_is_bound_to_what_was_asked() -> None:
    cursor = seal(ASKED, Snapshot(3, 3), [1])

    with pytest.raises(ValueError, match="page link"):
        unseal(cursor, f"{ASKED}&active=true")


@given(st.data())
def test_a_cursor_with_another_letter_is_none(data: st.DataObject) -> None:
    cursor = seal(ASKED, Snapshot(3, 9, (5, 7)), ["Ångström", 1.5, None])
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.characters().filter(lambda one: one != cursor[place]))

    with pytest.raises(ValueError, match="page link"):
        unseal(cursor[:place] + letter + cursor[place + 1 :], ASKED)


@pytest.mark.parametrize("cursor", ["", "AAAA", "=", "AAAAAAAAAAAAAAAA", "é", "x" * 100_000, " ", "null"])
def test_what_was_never_sealed_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="page link"):
        unseal(cursor, ASKED)


@pytest.mark.parametrize("place", [[1], [1, 2, 3], [1, None], [1, "2"], [1, 2.0], [1, True], [1, -1], [1, 2**63]])
def test_a_place_with_a_right_checksum_and_other_things_than_numbers_is_refused(place: list[object]) -> None:
    cursor = seal(ASKED, Snapshot(3, 3), place)

    with pytest.raises(ValueError, match="place"):
        unseal_numbers(cursor, ASKED, 2)
