"""The table of answers, row by row, and what is read of an answer."""

import email.utils
from typing import Any

import pytest

from app.sync.answers import EVERY, TABLE, Asked, Meaning, in_company, meaning_of
from app.sync.client import Reply, read, read_entries, retry_after, says_too_much

OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}'
# status -> what it means for (write, delete, read, bundle), from a FHIR server and from anything else. D done,
# A already, 0 absent, C conflict, R refused, M too much, N not now, L later, X lost.
MEANT = {
    0: ("LLLL", "LLLL"),
    200: ("DDDD", "LLLL"),
    201: ("DDDD", "LLLL"),
    202: ("LLLL", "LLLL"),
    204: ("DDDD", "LLLL"),
    301: ("XXXX", "XXXX"),
    304: ("LLLL", "LLLL"),
    307: ("XXXX", "XXXX"),
    400: ("RRRR", "LLLL"),
    401: ("XXXX", "XXXX"),
    403: ("XXXR", "XXXX"),
    404: ("0A0R", "LLLL"),
    405: ("0RRR", "LLLL"),
    407: ("XXXX", "XXXX"),
    408: ("LLLL", "LLLL"),
    409: ("CNRR", "CNLR"),
    410: ("0A0R", "LLLL"),
    412: ("CCRR", "CCLR"),
    413: ("RRRM", "RRLM"),
    415: ("RRRR", "LLLL"),
    422: ("RRRR", "LLLL"),
    425: ("LLLL", "LLLL"),
    429: ("LLLL", "LLLL"),
    500: ("LLLL", "LLLL"),
    501: ("RRRR", "LLLL"),
    502: ("LLLL", "LLLL"),
    503: ("LLLL", "LLLL"),
    504: ("LLLL", "LLLL"),
    600: ("LLLL", "LLLL"),
}
LETTERS = {
    "D": Meaning.DONE,
    "A": Meaning.ALREADY,
    "0": Meaning.ABSENT,
    "C": Meaning.CONFLICT,
    "R": Meaning.REFUSED,
    "M": Meaning.TOO_MUCH,
    "N": Meaning.NOT_NOW,
    "L": Meaning.LATER,
    "X": Meaning.LOST,
}
KINDS: tuple[Asked, ...] = ("write", "delete", "read", "bundle")


@pytest.mark.parametrize("status", MEANT)
@pytest.mark.parametrize("is_fhir", [True, False])
def test_every_status_means_what_the_table_says(status: int, is_fhir: bool) -> None:
    meant = [meaning_of(status, is_fhir=is_fhir, asked=asked) for asked in KINDS]

    assert meant == [LETTERS[letter] for letter in MEANT[status][not is_fhir]]


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_every_row_decides_something_that_is_tested(number: int) -> None:
    row = TABLE[number]

    reached = [
        status
        for status in MEANT
        for asked in row.asked
        for is_fhir in (True, False)
        if next((n for n, r in enumerate(TABLE) if _fits(r, status, is_fhir, asked)), None) == number
    ]

    assert reached
    assert row.because


def _fits(row: Any, status: int, is_fhir: bool, asked: Asked) -> bool:
    return status in row.statuses and asked in row.asked and row.is_fhir in (None, is_fhir)


def test_nothing_but_a_fhir_servers_answer_is_a_delivery() -> None:
    meant = {meaning_of(status, is_fhir=False, asked=asked) for status in range(700) for asked in EVERY}

    assert not meant & {Meaning.DONE, Meaning.ALREADY, Meaning.ABSENT}


@pytest.mark.parametrize(
    ("meaning", "status", "is_fhir", "in_the_end"),
    [
        (Meaning.LATER, 500, True, Meaning.NOT_NOW),
        (Meaning.LATER, 404, False, Meaning.NOT_NOW),
        (Meaning.LOST, 403, True, Meaning.REFUSED),
        (Meaning.LOST, 403, False, Meaning.NOT_NOW),
        (Meaning.LATER, 0, False, Meaning.LATER),
        (Meaning.LATER, 429, True, Meaning.LATER),
        (Meaning.LATER, 503, True, Meaning.LATER),
        (Meaning.REFUSED, 422, True, Meaning.REFUSED),
    ],
)
def test_what_others_were_understood_beside_is_about_the_resource(
    meaning: Meaning, status: int, is_fhir: bool, in_the_end: Meaning
) -> None:
    assert in_company(meaning, status, is_fhir=is_fhir, others_understood=True) is in_the_end
    assert in_company(meaning, status, is_fhir=is_fhir, others_understood=False) is meaning


@pytest.mark.parametrize(
    ("status", "body", "asked", "meaning"),
    [
        (200, b"", "write", Meaning.DONE),
        (200, b"", "read", Meaning.LATER),
        (200, b"", "bundle", Meaning.LATER),
        (200, b"{}", "write", Meaning.LATER),
        (200, b'{"resourceType":"Pat', "write", Meaning.LATER),
        (200, b'{"resourceType":"Patient","resourceType":"Patient"}', "read", Meaning.LATER),
        (200, b"[]", "write", Meaning.LATER),
        (200, b"\xff", "write", Meaning.LATER),
        (200, OUTCOME, "bundle", Meaning.LATER),
        (200, b"<html></html>", "delete", Meaning.LATER),
        (201, b'{"resourceType":"Patient"}', "write", Meaning.DONE),
        (422, OUTCOME, "write", Meaning.REFUSED),
        (422, b'{"resourceType":"Patient"}', "write", Meaning.LATER),
        (422, OUTCOME[:40], "write", Meaning.LATER),
        (404, b"", "delete", Meaning.LATER),
        (400, OUTCOME.replace(b"invalid", b"too-costly"), "bundle", Meaning.TOO_MUCH),
    ],
)
def test_what_is_no_fhir_answer_is_neither_delivery_nor_refusal(
    status: int, body: bytes, asked: Asked, meaning: Meaning
) -> None:
    assert read(status, {}, body, asked).meaning is meaning


def test_the_outcome_is_kept_as_the_reason_and_a_page_is_only_named() -> None:
    refused = read(422, {}, OUTCOME, "write")
    page = read(502, {"content-type": "text/html; charset=x"}, b"<html>secret</html>", "write")

    assert refused.reason == f"422 {OUTCOME.decode()}"
    assert page.reason == "502, 19 bytes, text/html: not the answer of a FHIR server"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "999999999999999999999"}, 3600),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": email.utils.formatdate(1_000_030, usegmt=True)}, 30),
        ({"retry-after": email.utils.formatdate(999_000, usegmt=True)}, 0),
        ({"retry-after": email.utils.formatdate(9_000_000, usegmt=True)}, 3600),
        ({"x-ms-retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"x-ms-retry-after-ms": "x", "retry-after": "60"}, 60),
    ],
)
def test_the_wait_that_is_asked_for_is_read_in_every_form_and_bounded(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, now=1_000_000) == seconds


@pytest.mark.parametrize(
    ("headers", "body", "place"),
    [
        ({"location": "http://a.test/fhir/Patient/1/_history/2", "etag": 'W/"2"'}, b"", ("1", 'W/"2"', "2")),
        ({"location": "Patient/1/_history/2"}, b"", ("1", 'W/"2"', "2")),
        ({"location": "Patient/1"}, b"", ("1", "", "")),
        ({"location": "nonsense"}, b"", ("", "", "")),
        ({"etag": '"5"'}, b"", ("", '"5"', "5")),
        ({}, b'{"resourceType":"Patient","meta":{"versionId":"3"}}', ("", 'W/"3"', "3")),
        ({}, b'{"resourceType":"Patient","meta":[]}', ("", "", "")),
    ],
)
def test_where_it_is_now_and_in_which_version_is_read(
    headers: dict[str, str], body: bytes, place: tuple[str, str, str]
) -> None:
    found = read(201, headers, body, "write")

    assert (found.remote_id, found.etag, found.remote_version) == place


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"entry": []},
        {"type": "transaction-response", "entry": [{"response": {"status": "201"}}]},
        {"type": "transaction-response", "entry": [None, None]},
        {"type": "transaction-response", "entry": [{"response": {"status": "OK"}}, {"response": {"status": "200"}}]},
        {"type": "searchset", "entry": [{"response": {"status": "200"}}, {"response": {"status": "200"}}]},
    ],
)
def test_entries_that_cannot_be_told_apart_are_no_answer(answer: dict[str, Any]) -> None:
    assert read_entries(answer, ["write", "write"]) is None


def test_each_entry_is_read_by_itself() -> None:
    answer = {
        "type": "batch-response",
        "entry": [
            {"response": {"status": "201 Created", "location": "Patient/1/_history/1", "etag": 'W/"1"'}},
            {"response": {"status": "412", "outcome": {"resourceType": "OperationOutcome"}}},
            {"response": {"status": "404 Not Found"}},
        ],
    }

    found = read_entries(answer, ["write", "write", "delete"]) or []

    assert [one.meaning for one in found] == [Meaning.DONE, Meaning.CONFLICT, Meaning.ALREADY]
    assert isinstance(found[0], Reply)
    assert (found[0].remote_id, found[0].etag) == ("1", 'W/"1"')
    assert "OperationOutcome" in found[1].reason


@pytest.mark.parametrize(
    ("diagnostics", "is_about_size"),
    [
        ("Transaction bundles may have at most 50 entries", True),
        ("The number of entries in the bundle exceeded the configured limit of 500.", True),
        ("Bundle contains too many entries: 51", True),
        ("Bundle.entry[3]: the code is not known", False),
        ("Identifier longer than the limit", False),
    ],
)
def test_too_many_entries_is_told_from_other_refusals(diagnostics: str, is_about_size: bool) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "invalid", "diagnostics": diagnostics}]}

    assert says_too_much(outcome) is is_about_size
