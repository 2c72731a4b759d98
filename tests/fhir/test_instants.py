"""Dates of every precision stand for the right range of time."""

from datetime import UTC, datetime

import pytest

from app.fhir.instants import http_date, instant, microseconds, period

DAY = 86_400_000_000


def at(*parts: int) -> int:
    return microseconds(datetime(*parts, tzinfo=UTC))  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("9999", at(9999, 1, 1), at(9999, 1, 1) + 365 * DAY),
        ("9999-12", at(9999, 12, 1), at(9999, 12, 1) + 31 * DAY),
        ("2024-02", at(2024, 2, 1), at(2024, 3, 1)),
        ("2026-05-01", at(2026, 5, 1), at(2026, 5, 1) + DAY),
        ("2026-05-01T09:30+02:00", at(2026, 5, 1, 7, 30), at(2026, 5, 1, 7, 31)),
        ("2026-05-01T09:30:00Z", at(2026, 5, 1, 9, 30), at(2026, 5, 1, 9, 30, 1)),
        ("2026-05-01T09:30:00.5Z", at(2026, 5, 1, 9, 30) + 500_000, at(2026, 5, 1, 9, 30) + 600_000),
    ],
)
def test_a_date_stands_for_its_range(text: str, low: int, high: int) -> None:
    assert period(text) == (low, high)


@pytest.mark.parametrize("text", ["", "26", "2026-13", "2026-02-30", "2026-05-01T25:00Z", "tomorrow", "2026-05-01T09Z"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        period(text)


def test_an_instant_reads_back_to_the_same_millisecond() -> None:
    time = at(2026, 5, 1, 7, 30) + 123_000

    assert instant(time) == "2026-05-01T07:30:00.123Z"
    assert period(instant(time))[0] == time
    assert http_date(time) == "Fri, 01 May 2026 07:30:00 GMT"
