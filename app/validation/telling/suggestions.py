"""How a problem may be put right, in a sentence; "" where nothing sensible can be said.

Asked only for issues that are told. No sentence repeats what the record holds: names and codes come from the
definitions, everything else is a form.
"""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from app.validation.rules import Element, TypeRule

# Names and codes longer than this are no slip of the pen; more candidates than this take too long to compare.
_LONGEST = 60
_MOST_CANDIDATES = 4000
_SKELETONS = {
    "Annotation": '{"text": "..."}',
    "BackboneElement": "{...}",
    "CodeableConcept": '{"coding": [{"system": "...", "code": "..."}]}',
    "Coding": '{"system": "...", "code": "..."}',
    "HumanName": '{"family": "...", "given": ["..."]}',
    "Identifier": '{"system": "...", "value": "..."}',
    "Meta": '{"profile": ["..."]}',
    "Narrative": '{"status": "generated", "div": "<div xmlns=\\"http://www.w3.org/1999/xhtml\\">...</div>"}',
    "Period": '{"start": "YYYY-MM-DD"}',
    "Quantity": '{"value": 0, "unit": "...", "system": "http://unitsofmeasure.org", "code": "..."}',
    "Reference": '{"reference": "Type/id"}',
    "boolean": "true",
    "date": '"YYYY-MM-DD"',
    "dateTime": '"YYYY-MM-DDThh:mm:ss+zz:zz"',
    "instant": '"YYYY-MM-DDThh:mm:ss+zz:zz"',
    "decimal": "0.0",
    "integer": "0",
    "positiveInt": "1",
    "unsignedInt": "0",
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?", re.ASCII)
_DATE_FORMS = (
    (r"\d{4}-\d\d-\d\d[ tT]\d\d:\d\d(:\d\d(\.\d+)?)?", "Add the time zone, and seconds: YYYY-MM-DDThh:mm:ss+zz:zz."),
    (
        r"\d{4}-\d\d-\d\d[ t]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)",
        "Write T between date and time: YYYY-MM-DDThh:mm:ss+zz:zz.",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d(Z|[+-]\d\d:?\d\d)", "Add the seconds: YYYY-MM-DDThh:mm:ss+zz:zz."),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d{4}", "Write the time zone with a colon: +zz:zz."),
    (r"\d{8}", "Write the date with dashes: YYYY-MM-DD."),
    (
        r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./]\d{1,2}[./]\d{1,2}|(?!\d{4}-\d\d-\d\d$)\d{4}-\d{1,2}-\d{1,2}",
        "Write YYYY-MM-DD.",
    ),
)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT.*", re.ASCII)
_DATED = ("date", "dateTime", "instant")


def nearest(word: str, candidates: Iterable[str]) -> str:
    """The candidate a word was most likely meant to be, "" if none is near."""
    if len(word) > _LONGEST:
        return ""
    names = [each for each in candidates if abs(len(each) - len(word)) <= 4][:_MOST_CANDIDATES]
    folded = {each.casefold(): each for each in names}
    found = get_close_matches(word.casefold(), folded, n=1, cutoff=0.75)
    return folded[found[0]] if found else ""


def element_name(key: str, rule: TypeRule) -> str:
    """For a property a type does not have: the element that was meant."""
    if key.startswith("_"):
        return "A name with _ in front holds id and extension of a primitive value only."
    names = [name for name in rule.slots if name != key]
    choice = rule.elements.get(key) or _choice_before(key, rule)
    if choice and choice.is_choice:
        return _choice_names(choice)
    meant = nearest(key, names)
    return f'Did you mean "{meant}"?' if meant else ""


def _choice_before(key: str, rule: TypeRule) -> Element | None:
    """The choice a name starts with: valueDecimal in a type whose value[x] has no decimal."""
    fits = (each for each in rule.elements.values() if each.is_choice and key.startswith(each.name))
    return next((each for each in fits if key[len(each.name) :][:1].isupper()), None)


def _choice_names(element: Element) -> str:
    names = [_key(element, use.code) for use in element.types]
    if len(names) > 12:
        return f"Write {element.name} with its type, e.g. {', '.join(names[:3])}."
    return f"Write {element.name} with its type: {' or '.join(names)}."


def _key(element: Element, type_: str) -> str:
    return element.name + type_[0].upper() + type_[1:] if element.is_choice else element.name


def missing(element: Element, codes: Callable[[str], list[str]]) -> str:
    """For an element that is required: what it looks like. codes: value set -> its codes, if they are few."""
    use = element.types[0]
    if len(element.types) > 1:
        return _choice_names(element)
    known = codes(element.binding.value_set) if element.binding and use.code == "code" else []
    shape = f'"{known[0]}"' if len(known) == 1 else _skeleton(use.code, element.shape)
    shape = f"[{shape}]" if element.is_many else shape
    told = f'Add "{_key(element, use.code)}": {shape}'
    return f"{told}, one of {', '.join(known)}." if 1 < len(known) <= 12 else f"{told}."


def _skeleton(type_: str, shape: str = "") -> str:
    if shape or type_ in ("Resource", "BackboneElement", "Element"):
        return "{...}"
    return _SKELETONS.get(type_, '"..."' if type_[0].islower() else "{...}")


def object_form(type_: str, value: Any) -> str:
    """For a value that must be an object of a type."""
    if type_ == "CodeableConcept" and isinstance(value, str):
        return 'Write {"text": "..."}, or better {"coding": [{"system": "...", "code": "..."}]}.'
    if isinstance(value, list):
        return "Write the object without [ ] around it."
    return f"Write {_SKELETONS[type_]}." if type_ in _SKELETONS else ""


def primitive_form(type_: str, value: Any) -> str:
    """For a primitive of the wrong form."""
    if type_ == "boolean":
        is_meant = str(value).casefold() in ("true", "false") or value in (0, 1)
        return "Write true or false, in small letters and without quotes." if is_meant else ""
    if type_ in ("integer", "positiveInt", "unsignedInt", "decimal"):
        return "Write the number without quotes." if isinstance(value, str) and _NUMBER.fullmatch(value) else ""
    if isinstance(value, str):
        return _text_form(type_, value)
    is_scalar = not isinstance(value, dict | list) and value is not None
    return "Write the value in quotes." if is_scalar else ""


def _text_form(type_: str, value: str) -> str:
    if not value:
        return "Leave the element out if there is no value."
    if value != value.strip() or (type_ == "code" and "  " in value):
        return "Remove the spaces before and after the value." if value.strip() else "Leave the element out."
    if type_ in _DATED:
        return _date_form(type_, value[:60])
    if type_ in ("uuid", "uri") and value[:9].casefold() == "urn:uuid:":
        return "Write the UUID in lower case, as 8-4-4-4-12 hexadecimal digits."
    return "Write an absolute URL, e.g. https://example.org/fhir/..." if type_ == "canonical" else ""


def _date_form(type_: str, value: str) -> str:
    if type_ == "date" and _DATE_TIME.fullmatch(value):
        return "Write the date without the time: YYYY-MM-DD."
    if type_ == "instant" and re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", value, re.ASCII):
        return "An instant needs date, time and time zone: YYYY-MM-DDThh:mm:ss+zz:zz."
    for form, sentence in _DATE_FORMS:
        if re.fullmatch(form, value, re.ASCII):
            return "Write the date alone: YYYY-MM-DD." if type_ == "date" and ":" in value else sentence
    is_whole = re.match(r"\d{4}-\d\d-\d\d", value, re.ASCII) is not None
    return "Look at the day, month and time: there is no such one in the calendar." if is_whole else ""


def reference_form(value: str, targets: Iterable[str]) -> str:
    """For a reference that is no reference."""
    allowed = sorted(targets)
    type_ = allowed[0] if len(allowed) == 1 else "Type"
    if re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", value, re.ASCII):
        return f"Write the type before the id: {type_}/id."
    if value.startswith("/"):
        return f"Write {type_}/id without a slash in front."
    head = re.match(r"[A-Za-z]{2,40}", value, re.ASCII)
    meant = nearest(head[0], allowed) if head else ""
    return f"Write {meant or type_}/id, the id in letters, digits, - and ."
