"""What the values of search parameters mean, without a database."""

from decimal import Decimal
from typing import Any

import pytest

from app.store.search.escapes import codes, split, unescape
from app.store.search.ranges import date_range, number
from app.store.search.tree import Address, Amount, Codes, Group, Match, No, Range, Target, Text, Value
from tests.store.searching import BASE, NOW, parsed

UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("text", "prefix", "low", "high"),
    [
        ("100", "eq", "99.5", "100.5"),
        ("100.00", "eq", "99.995", "100.005"),
        # R4 3.1.1.4.4 gives this one as 95 to 105.
        ("1e2", "eq", "95", "105"),
        ("5.40e-3", "eq", "0.005395", "0.005405"),
        ("-7", "eq", "-7.5", "-6.5"),
        ("ne2.0", "ne", "1.95", "2.05"),
        ("lt100", "lt", "100", "100"),
        ("ge5.40", "ge", "5.40", "5.40"),
        ("ap100", "ap", "90", "110"),
        ("ap-100", "ap", "-110", "-90"),
        ("ap1", "ap", "0.5", "1.5"),
        # A literal + of a URL arrives as a space.
        ("1e 2", "eq", "95", "105"),
    ],
)
def test_a_number_stands_for_the_range_of_its_digits(text: str, prefix: str, low: str, high: str) -> None:
    assert number(text) == (prefix, Decimal(low), Decimal(high))


@pytest.mark.parametrize("text", ["", "x", "1,5", "1.", "0x10", "1e9999", "lt", "zz5", "٣", "NaN", "1" * 61, "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a number|the prefix"):
        number(text)


@pytest.mark.parametrize("text", ["lt9999", "lt9999-12", "lt9999-12-31", "lt9999-12-31T23:59:59.999Z"])
def test_the_last_year_can_be_asked_for(text: str) -> None:
    assert date_range(text, NOW).low > NOW


def test_about_a_date_grows_with_its_distance_from_now() -> None:
    day = 86_400_000_000

    found = date_range("ap1970-01-11", 110 * day)

    assert found == Range("ap", 10 * day - 9.9 * day, 11 * day + 9.9 * day)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a,b", ["a", "b"]), (r"a\,b", [r"a\,b"]), (r"a\\,b", [r"a\\", "b"]), (",", ["", ""]), ("", [""])],
)
def test_only_separators_that_are_not_escaped_separate(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def test_escapes_stand_for_what_follows_them() -> None:
    assert unescape(r"a\,b\|c\$d\\e\n") == r"a,b|c$d\e\n"
    assert codes(r"urn:x|a\,b,c") == ["a,b", "c"]


@pytest.mark.parametrize(
    ("resource_type", "name", "text", "value"),
    [
        ("Observation", "code", "a", Codes(("a",), None)),
        ("Observation", "code", "s|a", Codes(("a",), "s")),
        ("Observation", "code", "s|", Codes(None, "s")),
        ("Observation", "code", "|a", Codes(("a",), "")),
        ("Patient", "family", "Müller", Text("starts", "muller")),
        ("Patient", "family:exact", "Müller", Text("exact", "Müller")),
        ("Observation", "subject", "7", Target("7")),
        ("Observation", "subject", "Patient/7", Target("7", "Patient")),
        ("Observation", "subject:Patient", "7", Target("7", "Patient")),
        ("Observation", "subject", f"{BASE}/Patient/7", Target("7", "Patient")),
        ("Observation", "subject", "Patient/7/_history/2", Target("7", "Patient")),
        ("Observation", "subject", "http://x.org/Patient/7", Target("http://x.org/Patient/7", "")),
        ("ValueSet", "url:below", "http://x.org/a", Address("below", "http://x.org/a")),
        ("Observation", "value-quantity", "5", Amount(Range("eq", 4.5, 5.5))),
        ("Observation", "value-quantity", "lt5||points", Amount(Range("lt", 5, 5), "points")),
        ("Observation", "value-quantity", f"lt5000|{UCUM}|mg", Amount(Range("lt", 5, 5), "g", None, True)),
        # A prefix of a type that has none is part of the value.
        ("Patient", "family", "gt5", Text("starts", "gt5")),
    ],
)
def test_a_value_is_read_by_the_type_of_its_parameter(resource_type: str, name: str, text: str, value: Value) -> None:
    (criterion,) = parsed(resource_type, (name, text)).criteria

    assert isinstance(criterion, Match)
    assert criterion.values == (value,)


def test_above_a_url_are_the_url_and_what_is_left_without_its_last_segments() -> None:
    (criterion,) = parsed("ValueSet", ("url:above", "http://x.org/a/b")).criteria

    assert isinstance(criterion, Match)
    found = [value.uri for value in criterion.values if isinstance(value, Address)]
    assert found[::2] == ["http://x.org/a/b", "http://x.org/a", "http://x.org"]


def test_the_parts_of_a_composite_are_values_of_their_own_types() -> None:
    (criterion,) = parsed("Observation", ("code-value-quantity", "s|a$gt5")).criteria

    assert isinstance(criterion, Match)
    (group,) = criterion.values
    assert isinstance(group, Group)
    code, amount = group.parts
    assert (code.field.param, code.values) == ("code-value-quantity.0", (Codes(("a",), "s"),))
    assert (amount.field.param, amount.values) == ("code-value-quantity.1", (Amount(Range("gt", 5, 5)),))


def test_not_is_about_all_values_together() -> None:
    (criterion,) = parsed("Observation", ("status:not", "final,amended")).criteria

    assert isinstance(criterion, No)
    assert isinstance(criterion.part, Match)
    assert len(criterion.part.values) == 2


def _depth(criterion: Any) -> int:
    return 1 + _depth(criterion.inner) if hasattr(criterion, "inner") else 0


@pytest.mark.parametrize(
    ("resource_type", "name", "links"),
    [
        ("Observation", "patient.organization.name", 2),
        ("Patient", "_has:Observation:patient:code", 1),
        ("Patient", "_has:Observation:patient:_has:Provenance:target:agent", 2),
        ("Observation", "patient._has:Condition:patient:code", 2),
        ("Practitioner", "_has:Observation:performer:patient.gender", 2),
    ],
)
def test_chains_and_has_stand_inside_each_other(resource_type: str, name: str, links: int) -> None:
    (criterion,) = parsed(resource_type, (name, "x"), now=NOW).criteria

    assert _depth(criterion) == links
