"""The one table of what a target's answers mean for what was sent to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

# What was asked: to write one resource, to delete one, to read or search, or many at once in a Bundle.
Asked = Literal["write", "delete", "read", "bundle"]
EVERY: frozenset[Asked] = frozenset(("write", "delete", "read", "bundle"))
WRITES: frozenset[Asked] = frozenset(("write", "delete"))
NO_ANSWER = 0


class Meaning(Enum):
    """What an answer means for what was sent."""

    DONE = "the target has it"
    ALREADY = "the target had it before"
    ABSENT = "what was to be changed or read is not there"
    CONFLICT = "the target has another version than the one we knew"
    REFUSED = "the target has understood and refused"
    TOO_MUCH = "the target takes fewer or less at once"
    NOT_NOW = "the target cannot take this resource now; others it can"
    LATER = "nothing is known, or the target is not able to: try again"
    LOST = "the target does not let us in, or is not where it was"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: whatever has one of these statuses and is, or is not, FHIR (None: either) means this, because."""

    statuses: Iterable[int]
    is_fhir: bool | None
    asked: frozenset[Asked]
    meaning: Meaning
    because: str


def _only(*asked: Asked) -> frozenset[Asked]:
    return frozenset(asked)


# The first row that fits counts. FHIR is what a FHIR server answers: a resource (OperationOutcome for errors), or for a
# success of a write nothing. Anything else comes from something before the server: a proxy, a sign-in page.
TABLE: tuple[Row, ...] = (
    Row((NO_ANSWER,), None, EVERY, Meaning.LATER, "no answer: it may have been done or not"),
    # 304 answers a question that is not asked, and nobody but a cache gives it.
    Row((304,), None, EVERY, Meaning.LATER, "a cache answered in place of the server"),
    Row(range(300, 400), None, EVERY, Meaning.LOST, "it has moved; patient data goes where the operator says only"),
    Row((401, 407), None, EVERY, Meaning.LOST, "our credentials are not taken, a fresh token neither"),
    # One entry of a type we may not write is enough. Sent in parts, the others arrive.
    Row((403,), True, _only("bundle"), Meaning.REFUSED, "our credentials do not allow it, or not some entry"),
    Row((403,), None, EVERY, Meaning.LOST, "our credentials do not allow it"),
    # 202: promised, not done. The next look tells what became of it.
    Row((202,), None, EVERY, Meaning.LATER, "accepted for later: what becomes of it is not known"),
    Row(range(200, 300), True, EVERY, Meaning.DONE, "done"),
    Row(range(200, 300), False, EVERY, Meaning.LATER, "not a FHIR server's answer: a sign-in page is no delivery"),
    # As large the next time, whoever says it. Of a Bundle a half is smaller.
    Row((413,), None, _only("bundle"), Meaning.TOO_MUCH, "the Bundle is too large"),
    Row((413,), None, WRITES, Meaning.REFUSED, "the resource is too large"),
    Row((408, 425, 429), None, EVERY, Meaning.LATER, "the target asks for time"),
    # Nobody but the server itself compares versions; what it really has is read next, so a wrong one does no harm.
    Row((412,), None, WRITES, Meaning.CONFLICT, "what is there is not the version we knew"),
    # R4 http.html#delete: refused because something refers to it, which passes when that is deleted too.
    Row((409,), None, _only("delete"), Meaning.NOT_NOW, "something there still refers to it"),
    Row((409,), None, _only("write"), Meaning.CONFLICT, "another write came between, or another has its identity"),
    # Of a whole transaction: some entry. Sent in parts, it is told by its own answer.
    Row((409, 412), None, _only("bundle"), Meaning.REFUSED, "some entry is in conflict"),
    # R4 http.html#delete: 404 for what never was, 410 for what is deleted; both are what was wanted.
    Row((404, 410), True, _only("delete"), Meaning.ALREADY, "there is none, which was wanted"),
    Row((404, 410), True, _only("write", "read"), Meaning.ABSENT, "it is not there, or not any more"),
    # R4 http.html#update: a server that does not create by PUT answers 405; so does one without the interaction.
    Row((405,), True, _only("write"), Meaning.ABSENT, "it is not created by PUT there"),
    Row(range(400, 500), True, EVERY, Meaning.REFUSED, "understood and refused; the OperationOutcome says why"),
    Row(range(400, 500), False, EVERY, Meaning.LATER, "not a FHIR server's answer: a proxy's 404 is no refusal"),
    # R4 http.html#transaction: 501 for an interaction that is not offered.
    Row((501,), True, EVERY, Meaning.REFUSED, "the target does not offer it"),
    Row(range(500, 600), None, EVERY, Meaning.LATER, "the target is not able to at the moment"),
)
# A status that HTTP does not know.
_NEITHER = Meaning.LATER
# Statuses that are about the target, not about what was sent.
AWAY = (NO_ANSWER, 408, 425, 429, 503)
# What says that the target is at work, whatever it thinks of this resource.
UNDERSTOOD = frozenset((Meaning.DONE, Meaning.ALREADY, Meaning.ABSENT, Meaning.CONFLICT, Meaning.REFUSED))


def meaning_of(status: int, *, is_fhir: bool, asked: Asked) -> Meaning:
    """What an answer means, by the table."""
    for row in TABLE:
        if status in row.statuses and asked in row.asked and row.is_fhir in (None, is_fhir):
            return row.meaning
    return _NEITHER


def in_company(meaning: Meaning, status: int, *, is_fhir: bool, others_understood: bool) -> Meaning:
    """What an answer about one resource means when others sent at the same time were understood.

    The target is neither away nor are we shut out, so it is about this resource: a server that fails at one body, a
    filter before it that dislikes another, a type our credentials do not cover. It must not keep the others back.
    """
    if not others_understood:
        return meaning
    if meaning is Meaning.LOST and status == 403 and is_fhir:
        return Meaning.REFUSED
    alone = meaning is Meaning.LATER and status not in AWAY
    return Meaning.NOT_NOW if alone or meaning is Meaning.LOST else meaning
