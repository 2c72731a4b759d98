"""Settles what could not be checked here, by the answers of an outside terminology server."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Severity
from app.fhir.questions import Question
from app.terminology.expansion import Answer
from app.terminology.server import TerminologyServer
from app.terminology.validate_code import Verdict


async def settle(issues: Sequence[Issue], server: TerminologyServer | None) -> list[Issue]:
    """The issues, with those about unchecked codes replaced by what the server says. Without a server: as they are."""
    asked = {question for issue in issues for question in issue.questions}
    if server is None or not asked:
        return list(issues)
    verdicts = await server.verdicts(asked)
    return [
        found for issue in issues for found in (_settled(issue, verdicts, server.name) if issue.questions else [issue])
    ]


def _settled(issue: Issue, verdicts: dict[Question, Verdict], server: str) -> list[Issue]:
    """What becomes of one issue. A concept is right if one of its codes is; it is wrong only if all of them are."""
    found = {question: verdicts[question] for question in issue.questions}
    right = [question for question, each in found.items() if each.answer is Answer.VALID]
    told = replace(issue, questions=())
    if right:
        # The display is a matter of the code system, which has an issue of its own where it is not held here.
        named_wrong = (each for each in right if found[each].is_misnamed and not each.value_set)
        misnamed = [_misnamed(told, found[each], server) for each in named_wrong]
        return [_valid(told, found[right[0]], server), *misnamed]
    unchecked = next((each for each in found.values() if each.answer is Answer.UNCHECKED), None)
    if unchecked:
        return [replace(told, diagnostics=f"{issue.diagnostics} Asked {server}: {unchecked.reason}.")]
    return [_invalid(told, found, server)]


def _said(verdict: Verdict, server: str) -> str:
    return f"says {server} on {instant(verdict.at)}"


def _valid(issue: Issue, verdict: Verdict, server: str) -> Issue:
    text = _about(issue, f"The code is right, {_said(verdict, server)}")
    return replace(issue, diagnostics=text, rule="dmt-terminology-valid")


def _misnamed(issue: Issue, verdict: Verdict, server: str) -> Issue:
    return replace(
        issue,
        code="code-invalid",
        severity="warning",
        rule="dmt-terminology-display",
        diagnostics=_about(issue, f"The display is not one of this code, {_said(verdict, server)}"),
        expected=verdict.display,
        suggestion=f'Write the display "{verdict.display}", or leave it out.' if verdict.display else "",
    )


def _invalid(issue: Issue, found: dict[Question, Verdict], server: str) -> Issue:
    question, verdict = next(iter(found.items()))
    place = f"the value set {question.value_set}" if question.value_set else f"the code system {question.system}"
    # An unknown code is an error whatever the binding, one outside a value set as strong as its binding.
    severity: Severity = "warning" if question.strength == "extensible" else "error"
    return replace(
        issue,
        code="code-invalid",
        severity=severity,
        rule="dmt-terminology-invalid",
        diagnostics=_about(issue, f"The code is not in {place}, {_said(verdict, server)}"),
        expected=f"a code of {question.value_set or question.system}",
    )


def _about(issue: Issue, text: str) -> str:
    return f"{issue.expression}: {text}." if issue.expression else f"{text}."


class Checker(Protocol):
    """Whoever finds the problems of a resource."""

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]: ...


@dataclass(frozen=True, slots=True)
class _Asking:
    """A checker that asks a server about what it could not check. For callers without an event loop of their own."""

    checker: Checker
    server: TerminologyServer
    runner: asyncio.Runner

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
        return self.runner.run(settle(self.checker.check(resource, profiles=profiles), self.server))


@contextmanager
def asking(checker: Checker, base_url: str, clock: Callable[[], int]) -> Iterator[Checker]:
    """The checker, joined by the terminology server at an address; the checker alone where that is ""."""
    if not base_url:
        yield checker
        return
    server = TerminologyServer(base_url, clock)
    with asyncio.Runner() as runner:
        try:
            yield _Asking(checker, server, runner)
        finally:
            runner.run(server.__aexit__())
