"""A QuestionnaireResponse against the Questionnaire it answers (R4, QuestionnaireResponse: 9.10.3).

The Questionnaire is looked for among the contained resources, among the entries of the Bundle, and with a function
that is handed in. Where it is not found nothing is checked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.outcomes import Severity
from app.terminology import Terminology
from app.validation.checks.answers import answer_flaw, is_enabled, value_of
from app.validation.checks.contained import contained_in
from app.validation.checks.entries import Entries
from app.validation.telling.report import Report

Json = dict[str, Any]
# A canonical URL, perhaps with |version -> the Questionnaire, None if it is not held.
Lookup = Callable[[str], Json | None]

# A response with one of these is not finished: what is missing may still come.
_OPEN = frozenset({"in-progress", "stopped", "entered-in-error"})


def by_canonical(questionnaires: Iterable[Mapping[str, Any]]) -> Lookup:
    """A lookup among Questionnaires at hand."""
    held: dict[str, Any] = {str(each["url"]): each for each in questionnaires if "url" in each}

    def find(canonical: str) -> Json | None:
        url, _, version = canonical.partition("|")
        found = held.get(url)
        return found if found and version in ("", str(found.get("version"))) else None

    return find


def find_questionnaire(response: Json, entries: Entries | None, lookup: Lookup | None) -> Json | None:
    canonical = response.get("questionnaire")
    if not isinstance(canonical, str):
        return None
    if canonical.startswith("#"):
        return next((each for each in contained_in(response) if each.get("id") == canonical[1:]), None)
    url, _, version = canonical.partition("|")
    bundled = [each.resource for each in entries.all()] if entries else []
    for each in bundled:
        is_it = each.get("resourceType") == "Questionnaire" and each.get("url") == url
        if is_it and version in ("", each.get("version")):
            return each
    return lookup(canonical) if lookup else None


def check_response(
    report: Report, response: Json, questionnaire: Mapping[str, Any], terminology: Terminology, path: str
) -> None:
    """Items known and in order, nested as asked, answered where required, with answers their questions allow."""
    given = dict(_given(response))
    severity: Severity = "warning" if str(response.get("status")) in _OPEN else "error"
    check = _Check(report, terminology, given, severity)
    check.items(_items(questionnaire), _items(response), path)


@dataclass(frozen=True, slots=True)
class _Check:
    """missing: how bad it is that a required answer is missing. given: the answers by linkId."""

    report: Report
    terminology: Terminology
    given: Mapping[str, list[tuple[str, Any]]]
    missing: Severity

    def items(self, asked: list[Json], found: list[Json], path: str) -> None:
        """The items of one level."""
        order = {str(each.get("linkId")): place for place, each in enumerate(asked)}
        by_link: dict[str, list[tuple[int, Json]]] = {}
        last = -1
        for place, item in enumerate(found):
            link, where = str(item.get("linkId")), f"{path}.item[{place}]"
            if link not in order:
                self._tell("dmt-item-unknown", "The questionnaire has no item with this linkId here", where)
                continue
            if order[link] < last:
                self._tell("dmt-item-order", "The items must be in the order of the questionnaire", where)
            last = order[link]
            by_link.setdefault(link, []).append((place, item))
        for question in asked:
            self._item(question, by_link.get(str(question.get("linkId")), []), path)

    def _item(self, question: Json, found: list[tuple[int, Json]], path: str) -> None:
        if not is_enabled(question, self.given):
            for place, _ in found:
                self._tell("dmt-item-disabled", "This item is not asked, as other answers are", f"{path}.item[{place}]")
            return
        if question.get("required") is True and not found:
            text = "A required item of the questionnaire is missing"
            self.report.add("required", text, f"{path}.item", severity=self.missing, rule="dmt-item-required")
        is_group = question.get("type") == "group"
        if len(found) > 1 and not (is_group and question.get("repeats") is True):
            self._tell("dmt-item-repeats", "This item may be given once only", f"{path}.item[{found[1][0]}]")
        for place, item in found:
            where = f"{path}.item[{place}]"
            if "text" in item and "text" in question and item["text"] != question["text"]:
                text = "The text differs from that of the questionnaire"
                self.report.add("value", text, f"{where}.text", severity="warning", rule="dmt-item-text")
            if is_group:
                self._group(question, item, where)
            else:
                self._question(question, item, where)

    def _group(self, question: Json, item: Json, where: str) -> None:
        if "answer" in item:
            self._tell("dmt-item-nesting", "A group has items, no answer", where)
        self.items(_items(question), _items(item), where)

    def _question(self, question: Json, item: Json, where: str) -> None:
        answers = _dicts(item.get("answer"))
        if _items(item):
            self._tell("dmt-item-nesting", "The items below a question stand in its answers", where)
        if question.get("type") == "display" and answers:
            self._tell("dmt-item-nesting", "An item that is only displayed has no answer", where)
            return
        if question.get("required") is True and not answers:
            text = "A required question has no answer"
            self.report.add("required", text, f"{where}.answer", severity=self.missing, rule="dmt-item-required")
        if len(answers) > 1 and question.get("repeats") is not True:
            self._tell("dmt-item-repeats", "This question takes one answer", where)
        for place, answer in enumerate(answers):
            self._answer(question, answer, f"{where}.answer[{place}]")

    def _answer(self, question: Json, answer: Json, where: str) -> None:
        name, value = value_of(answer)
        if name and not name.startswith("_"):
            rule, text = answer_flaw(question, name, value, self.terminology)
            if rule:
                self.report.add("value", text, where, rule=rule)
        self.items(_items(question), _items(answer), where)

    def _tell(self, rule: str, text: str, where: str) -> None:
        self.report.add("structure", text, where, rule=rule)


def _given(value: Json) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """All answers of a response by linkId."""
    found: dict[str, list[tuple[str, Any]]] = {}
    open_ = _items(value)
    while open_:
        item = open_.pop()
        open_ += _items(item)
        for answer in _dicts(item.get("answer")):
            open_ += _items(answer)
            named = value_of(answer)
            if named[0]:
                found.setdefault(str(item.get("linkId")), []).append(named)
    yield from found.items()


def _items(value: Mapping[str, Any]) -> list[Json]:
    return _dicts(value.get("item"))


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
