"""One answer against its question in a Questionnaire, and when a question is asked (R4, Questionnaire: enableWhen)."""

import operator
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.terminology import Answer, Terminology

Json = Mapping[str, Any]

# Type of an item -> names of the answer's value.
_CHOSEN = ("valueCoding", "valueInteger", "valueDate", "valueTime", "valueString", "valueReference")
VALUES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": _CHOSEN,
    "open-choice": _CHOSEN,
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
_MOST_NAMED = 12
_LIMITS = (("minValue", operator.lt), ("maxValue", operator.gt))
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def value_of(answer: Any) -> tuple[str, Any]:
    """Name and content of an answer's value, ("", None) if it has none."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name.startswith("value"):
                return name, value
    return "", None


def answer_flaw(question: Json, name: str, value: Any, terminology: Terminology) -> tuple[str, str]:
    """(rule, sentence) of what is wrong with an answer; empty if nothing is or if it cannot be told here."""
    kind = str(question.get("type"))
    allowed = VALUES.get(kind, ())
    if allowed and name not in allowed:
        return "dmt-answer-type", f"An answer of the type {kind} is given as {' or '.join(allowed)}"
    if isinstance(value, str) and isinstance(question.get("maxLength"), int) and len(value) > question["maxLength"]:
        return "dmt-answer-length", f"At most {question['maxLength']} characters are allowed"
    if not _is_within(question, value):
        return "dmt-answer-range", f"The answer is outside the limits of its question: {_bounds(question)}"
    if kind in ("choice", "open-choice") and not _is_offered(question, kind, name, value, terminology):
        return "dmt-answer-option", f"The answer is none of those its question offers{_offered(question)}"
    return "", ""


def _is_within(question: Json, value: Any) -> bool:
    for name, is_beyond in _LIMITS:
        limit = next((each for each in _limits(question, name)), None)
        if limit is not None and is_comparable(value, limit) and is_beyond(value, limit):
            return False
    return True


def _bounds(question: Json) -> str:
    """The limits, as words."""
    words = {"minValue": "at least", "maxValue": "at most"}
    return ", ".join(f"{words[name]} {limit}" for name, _ in _LIMITS for limit in _limits(question, name))


def _offered(question: Json) -> str:
    """The codes a question offers, if there are few enough to be read."""
    options = (value_of(each)[1] for each in _list(question.get("answerOption")))
    codes = [str(each["code"]) for each in options if isinstance(each, dict) and "code" in each]
    return f": {', '.join(codes)}" if 0 < len(codes) <= _MOST_NAMED else ""


def _limits(question: Json, name: str) -> Iterator[Any]:
    for each in _list(question.get("extension")):
        if isinstance(each, dict) and each.get("url") == STRUCTURE + name:
            yield value_of(each)[1]


def is_comparable(one: Any, other: Any) -> bool:
    """Whether two values have an order: two numbers, or two dates or times of the same precision and zone."""
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, int | Decimal | float) and isinstance(other, int | Decimal | float):
        return True
    return isinstance(one, str) and isinstance(other, str) and len(one) == len(other)


def _is_offered(question: Json, kind: str, name: str, value: Any, terminology: Terminology) -> bool:
    if kind == "open-choice" and (name == "valueString" or (isinstance(value, dict) and "code" not in value)):
        return True
    options = [value_of(each) for each in _list(question.get("answerOption"))]
    if options:
        return any(_is_same(name, value, *option) for option in options)
    value_set = question.get("answerValueSet")
    if not isinstance(value_set, str) or name != "valueCoding" or not isinstance(value, dict):
        return True
    if value_set.startswith("#") or not isinstance(value.get("code"), str):
        return True
    system = value.get("system")
    answer = terminology.contains(value_set, system if isinstance(system, str) else "", value["code"])
    return answer is not Answer.INVALID


def _is_same(name: str, value: Any, other_name: str, other: Any) -> bool:
    """Whether two values are the same answer. For codings system and code count; an option may leave out the system."""
    if isinstance(value, dict) and isinstance(other, dict):
        keys = ("reference",) if name == "valueReference" else ("system", "code")
        return name == other_name and all(other.get(each) in (None, value.get(each)) for each in keys)
    return name == other_name and bool(value == other)


def is_enabled(question: Json, given: Mapping[str, list[tuple[str, Any]]]) -> bool:
    """Whether a question is asked, given the answers to others by linkId."""
    conditions = [each for each in _list(question.get("enableWhen")) if isinstance(each, dict)]
    if not conditions:
        return True
    met = [_is_met(each, given.get(str(each.get("question")), [])) for each in conditions]
    return all(met) if question.get("enableBehavior") == "all" else any(met)


def _is_met(condition: Json, answers: list[tuple[str, Any]]) -> bool:
    sign = condition.get("operator")
    wanted = next(((name, condition[name]) for name in condition if name.startswith("answer")), ("", None))
    if sign == "exists":
        return bool(answers) is (wanted[1] is True)
    name = "value" + wanted[0].removeprefix("answer")
    if sign in ("=", "!="):
        is_same = any(_is_same(each, value, name, wanted[1]) for each, value in answers)
        return is_same if sign == "=" else bool(answers) and not is_same
    compare = _COMPARISONS.get(str(sign))
    return compare is not None and any(
        each == name and is_comparable(value, wanted[1]) and compare(value, wanted[1]) for each, value in answers
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
