"""An outside terminology server, asked about codes that cannot be checked here.

Only $validate and `dermatome validate` ask it: no write ever waits for it. Whatever it does, an answer is one of three:
valid, invalid, or not checked, with the reason.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from app import outbound
from app.fhir.questions import Question
from app.terminology.expansion import Answer
from app.terminology.validate_code import Verdict, request, sendable, unfit, verdict_of

_SECOND = 1_000_000
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of a server, and for how long its answers are believed.

    Codes are added more often than they are taken away, so a no is believed for a shorter time than a yes.
    pause_seconds: how long a server that does not keep up is left alone.
    """

    question_seconds: float = 3
    total_seconds: float = 8
    pause_seconds: float = 30
    valid_seconds: float = 24 * 3600
    invalid_seconds: float = 3600
    at_once: int = 4
    questions: int = 100
    kept: int = 10_000


class TerminologyServer:
    """One server, its answers kept for a while. Use it within one event loop, and `async with`."""

    def __init__(self, base_url: str, clock: Callable[[], int], limits: Limits = Limits()) -> None:
        """clock: microseconds since 1970."""
        self.name = base_url
        self._clock, self._limits = clock, limits
        self._client = outbound.client(base_url)
        self._kept: OrderedDict[Question, Verdict] = OrderedDict()
        self._turns = asyncio.Semaphore(limits.at_once)
        self._away_until = 0
        self._away = ""

    async def __aenter__(self) -> "TerminologyServer":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def verdicts(self, questions: Collection[Question]) -> dict[Question, Verdict]:
        """An answer to every question, within the total time. Never raises."""
        asked = dict.fromkeys(map(sendable, questions))
        found = {each: self._known(each) or unfit(each) for each in asked}
        open_ = [each for each, known in found.items() if known is None]
        answers = await self._all(open_[: self._limits.questions])
        told = f"not asked, since there are more than {self._limits.questions} codes"
        too_many = Verdict(Answer.UNCHECKED, reason=told)
        return {each: found[sendable(each)] or answers.get(sendable(each), too_many) for each in questions}

    async def _all(self, questions: Sequence[Question]) -> dict[Question, Verdict]:
        """Ask several, some at a time; what takes too long is given up."""
        tasks = [asyncio.create_task(self._ask(each)) for each in questions]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=self._limits.total_seconds)
            return {each: _result(task) for each, task in zip(questions, tasks, strict=True)}
        finally:
            for task in tasks:
                task.cancel()

    def _known(self, question: Question) -> Verdict | None:
        kept = self._kept.get(question)
        if kept is None:
            return None
        limits = self._limits
        believed = limits.valid_seconds if kept.answer is Answer.VALID else limits.invalid_seconds
        if self._clock() - kept.at >= believed * _SECOND:
            del self._kept[question]
            return None
        self._kept.move_to_end(question)
        return kept

    def _keep(self, question: Question, verdict: Verdict) -> Verdict:
        self._kept[question] = verdict
        if len(self._kept) > self._limits.kept:
            self._kept.popitem(last=False)
        return verdict

    async def _ask(self, question: Question) -> Verdict:
        """Ask; of a code with a display that was refused, ask again without it: was it the code or its name?"""
        try:
            verdict = await self._turn(question)
            if verdict.answer is Answer.INVALID and question.display:
                bare = await self._turn(replace(question, display=""))
                if bare.answer is Answer.VALID:
                    verdict = replace(bare, is_misnamed=True)
        except outbound.Unusable as error:
            if error.is_away:
                self._away, self._away_until = str(error), self._clock() + int(self._limits.pause_seconds * _SECOND)
            return Verdict(Answer.UNCHECKED, reason=str(error))
        return self._keep(question, verdict) if verdict.answer is not Answer.UNCHECKED else verdict

    async def _turn(self, question: Question) -> Verdict:
        async with self._turns:
            if self._clock() < self._away_until:
                raise outbound.Unusable(f"{self._away}; it is asked again after a pause", is_away=False)
            seconds = self._limits.question_seconds
            answer = await outbound.ask(self._client, *request(question), most=_MOST_BYTES, seconds=seconds)
        return verdict_of(answer, self._clock())


def _result(task: "asyncio.Task[Verdict]") -> Verdict:
    if not task.done():
        return Verdict(Answer.UNCHECKED, reason="no answer in the time there is for all codes")
    # What we did not foresee is no reason to leave the record without a verdict.
    return Verdict(Answer.UNCHECKED, reason="its answer cannot be read") if task.exception() else task.result()
