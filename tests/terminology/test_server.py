"""An outside terminology server: asked about little, believed for a while, and never trusted to answer well."""

import time
from collections.abc import Iterator

import pytest

from app.fhir.questions import Question
from app.terminology.expansion import Answer
from app.terminology.server import Limits, TerminologyServer
from app.terminology.validate_code import Verdict
from tests.processes import free_port
from tests.terminology.other_server import NO_ANSWERS, SNOMED, VALUE_SET, OtherServer, running

FIRST, UNKNOWN = Question(SNOMED, "1"), Question(SNOMED, "9")
SECOND = 1_000_000
QUICK = Limits(question_seconds=1, total_seconds=2)


class Clock:
    """Microseconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture(scope="module")
def shared() -> Iterator[OtherServer]:
    with running() as other:
        yield other


@pytest.fixture
def other(shared: OtherServer) -> OtherServer:
    shared.asked.clear()
    shared.headers.clear()
    return shared


async def verdict(other: OtherServer, way: str, question: Question, limits: Limits = QUICK) -> Verdict:
    async with TerminologyServer(f"{other.base}/{way}", Clock(), limits) as server:
        return (await server.verdicts([question]))[question]


@pytest.mark.parametrize(
    ("question", "answer", "is_misnamed"),
    [
        (FIRST, Answer.VALID, False),
        (UNKNOWN, Answer.INVALID, False),
        (Question(SNOMED, "1", display="First"), Answer.VALID, False),
        (Question(SNOMED, "1", display="Firts"), Answer.VALID, True),
        (Question(SNOMED, "9", display="First"), Answer.INVALID, False),
        (Question(SNOMED, "1", value_set=VALUE_SET, strength="required"), Answer.VALID, False),
        (Question(SNOMED, "2", value_set=VALUE_SET, strength="required"), Answer.INVALID, False),
    ],
)
async def test_a_code_is_valid_or_not(
    other: OtherServer, question: Question, answer: Answer, is_misnamed: bool
) -> None:
    found = await verdict(other, "good", question)

    assert (found.answer, found.is_misnamed, found.at) == (answer, is_misnamed, Clock().now)


async def test_only_the_code_and_what_it_belongs_to_is_sent(other: OtherServer) -> None:
    whole = Question(SNOMED, "1", "2026-01", "First", VALUE_SET, "required")

    await verdict(other, "good", whole)

    sent = {"url": VALUE_SET, "code": "1", "system": SNOMED, "systemVersion": "2026-01", "display": "First"}
    assert other.asked == [("good", "ValueSet", sent)]
    assert {"cookie", "authorization", "referer"}.isdisjoint(other.headers[0])


@pytest.mark.parametrize(
    "question",
    [
        Question(SNOMED, "Ann Example, born 1960"),
        Question(SNOMED, ""),
        Question(SNOMED, "1" * 101),
        Question("", "1"),
        Question("Ann Example", "1"),
        Question("#local", "1"),
        Question(SNOMED, "1", value_set="#local"),
        Question(SNOMED, "1\n2"),
    ],
)
async def test_what_does_not_look_like_a_code_is_not_sent(other: OtherServer, question: Question) -> None:
    found = await verdict(other, "good", question)

    assert (found.answer, found.reason[:9], other.asked) == (Answer.UNCHECKED, "not asked", [])


async def test_a_long_display_is_left_out(other: OtherServer) -> None:
    await verdict(other, "good", Question(SNOMED, "1", display="x" * 256))

    assert "display" not in other.asked[0][2]


@pytest.mark.parametrize("way", NO_ANSWERS)
async def test_a_bad_answer_leaves_a_code_unchecked_and_says_why(other: OtherServer, way: str) -> None:
    started = time.monotonic()

    found = await verdict(other, way, FIRST)

    assert found.answer is Answer.UNCHECKED
    assert found.reason
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("way", ["slow", "drip"])
async def test_a_slow_answer_is_given_up(other: OtherServer, way: str) -> None:
    started = time.monotonic()

    found = await verdict(other, way, FIRST, Limits(question_seconds=0.3))

    assert (found.answer, found.reason) == (Answer.UNCHECKED, "no answer within 0.3 s")
    assert time.monotonic() - started < 3.5


async def test_all_codes_together_have_a_deadline(other: OtherServer) -> None:
    questions = [Question(SNOMED, str(number)) for number in range(20)]
    started = time.monotonic()

    async with TerminologyServer(f"{other.base}/slow", Clock(), Limits(total_seconds=0.5)) as server:
        found = await server.verdicts(questions)

    assert {each.answer for each in found.values()} == {Answer.UNCHECKED}
    assert time.monotonic() - started < 3.5


async def test_a_server_that_is_away_is_told_and_left_alone_for_a_while() -> None:
    clock = Clock()

    async with TerminologyServer(f"http://127.0.0.1:{free_port()}/r4", clock, QUICK) as server:
        first = (await server.verdicts([FIRST]))[FIRST]
        again = (await server.verdicts([FIRST]))[FIRST]
        clock.forward(31)
        later = (await server.verdicts([FIRST]))[FIRST]

    assert first.reason == later.reason == "it cannot be reached (ConnectError)"
    assert again.reason == f"{first.reason}; it is asked again after a pause"


async def test_answers_are_believed_for_a_while_a_yes_for_longer(other: OtherServer) -> None:
    clock = Clock()

    async with TerminologyServer(f"{other.base}/good", clock, Limits(at_once=1)) as server:
        for seconds in (0, 3599, 1, 24 * 3600 - 3601, 1):
            clock.forward(seconds)
            await server.verdicts([FIRST, UNKNOWN])

    codes = [parts["code"] for _, _, parts in other.asked]
    assert codes == ["1", "9", "9", "9", "1"]


async def test_what_was_not_answered_is_not_remembered(other: OtherServer) -> None:
    async with TerminologyServer(f"{other.base}/missing", Clock()) as server:
        await server.verdicts([FIRST])
        await server.verdicts([FIRST])

    assert len(other.asked) == 2


async def test_few_are_asked_at_once_not_too_many_in_all_and_none_twice(other: OtherServer) -> None:
    questions = [Question(SNOMED, str(number)) for number in range(12)]

    async with TerminologyServer(f"{other.base}/unhurried", Clock(), Limits(at_once=3, questions=10)) as server:
        found = await server.verdicts([*questions, *questions])

    assert (len(other.asked), other.most_at_once["unhurried"]) == (10, 3)
    assert {each.reason for each in found.values()} == {"", "not asked, since there are more than 10 codes"}


async def test_of_many_answers_the_last_used_are_kept(other: OtherServer) -> None:
    one, two, three = (Question(SNOMED, each) for each in "123")

    async with TerminologyServer(f"{other.base}/good", Clock(), Limits(kept=2)) as server:
        for question in (one, two, one, three, one, two):
            await server.verdicts([question])

    assert [parts["code"] for _, _, parts in other.asked] == ["1", "2", "3", "2"]


async def test_a_text_of_the_server_is_short_and_printable_when_told(other: OtherServer) -> None:
    found = await verdict(other, "odd-display", FIRST)

    assert found.display.startswith("[31mA BC")
    assert found.display.isprintable()
    assert len(found.display) <= 255
