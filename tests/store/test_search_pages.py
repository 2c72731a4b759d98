"""Page links, limits and what a searcher tells of itself."""

from typing import Any

import pytest

from app.fhir.outcomes import Gone, Refused
from app.store.cursors import seal
from app.store.search.ranges import PREFIXES
from app.store.snapshot import Snapshot
from tests.store.searching import MINUTE, NOW, parsed, searcher

GENDER = ("gender", "male")


def _cursor(place: list[Any], *, meaning: Any = None) -> str:
    query = parsed("Patient", GENDER, ("_count", "5"))
    return seal(query.asked, Snapshot(3, 3), [*place, query.meaning if meaning is None else meaning])


def test_a_page_link_carries_its_moment_its_total_and_its_place() -> None:
    query = parsed("Patient", GENDER, ("_count", "5"), ("_cursor", _cursor([NOW - MINUTE, 12, [7]])))

    assert query.place is not None
    assert (query.place.snapshot, query.place.total, query.place.after) == (Snapshot(3, 3), 12, [7])
    assert query.at == NOW - MINUTE


def test_a_page_link_that_is_too_old_is_gone() -> None:
    with pytest.raises(Gone) as told:
        parsed("Patient", GENDER, ("_count", "5"), ("_cursor", _cursor([NOW - 11 * MINUTE, 12, [7]])))

    assert told.value.issues[0].code == "expired"


def test_a_page_link_whose_parameters_mean_something_else_by_now_is_gone() -> None:
    with pytest.raises(Gone) as told:
        parsed("Patient", GENDER, ("_count", "5"), ("_cursor", _cursor([NOW, 12, [7]], meaning="other")))

    assert told.value.issues[0].code == "expired"


@pytest.mark.parametrize(
    ("given", "cursor"),
    [
        ([("gender", "female"), ("_count", "5")], _cursor([NOW, 12, [7]])),
        ([GENDER, ("_count", "6")], _cursor([NOW, 12, [7]])),
        ([GENDER, ("_count", "5")], _cursor([NOW, 12, [7]])[:-2]),
        ([GENDER, ("_count", "5")], _cursor([NOW, 12, [7, 8]])),
        ([GENDER, ("_count", "5")], _cursor([NOW, 12, ["7"]])),
        ([GENDER, ("_count", "5")], _cursor([NOW, 12])),
        ([GENDER, ("_count", "5")], _cursor([NOW, 12, [7]], meaning=7)),
        ([GENDER, ("_count", "5")], _cursor(["soon", 12, [7]])),
        ([GENDER, ("_count", "5")], _cursor([NOW, "many", [7]])),
        ([GENDER, ("_count", "5")], "%%%"),
    ],
)
def test_a_page_link_of_another_search_or_of_another_form_is_refused(given: list[tuple[str, str]], cursor: str) -> None:
    with pytest.raises(Refused) as told:
        parsed("Patient", *given, ("_cursor", cursor))

    assert told.value.issues[0].expression == "_cursor"


@pytest.mark.parametrize(
    ("resource_type", "given"),
    [
        ("Patient", [("identifier", ",".join("a" * 201))]),
        ("Patient", [("_id", ",".join("a" * 1001))]),
        ("Patient", [GENDER] * 65),
        ("Organization", [("partof." * 6 + "name", "x")]),
        ("Patient", [("_filter", "(" * 11 + "gender eq male" + ")" * 11)]),
        ("Patient", [("_filter", " or ".join(["gender eq male"] * 65))]),
        ("Patient", [("_sort", ",".join(["_id"] * 9))]),
        ("Patient", [("_include", "Patient:organization")] * 33),
        ("Observation", [("code", ",".join(f"c{number}" for number in range(200)))] * 51),
    ],
)
def test_a_search_that_asks_for_too_much_is_told_so(resource_type: str, given: list[tuple[str, str]]) -> None:
    with pytest.raises(Refused) as told:
        parsed(resource_type, *given)

    assert {issue.code for issue in told.value.issues} == {"too-costly"}


def test_what_is_offered_is_what_is_read() -> None:
    offered = {each.name: each for each in searcher().of("Observation").parameters}

    assert offered["date"].comparators == PREFIXES
    assert {"identifier", "Device", "Group", "Location", "Patient"} <= set(offered["subject"].modifiers)
    assert {"missing", "not", "in", "of-type"} <= set(offered["code"].modifiers)
    assert {"_id", "_filter", "_has", "_text", "_tag", "code-value-quantity"} <= set(offered)
    assert "Observation:subject" in searcher().of("Observation").includes
    assert "Provenance:target" in searcher().of("Observation").reverse_includes
    assert {"_type", "_id", "_tag"} <= {each.name for each in searcher().of("").parameters}
