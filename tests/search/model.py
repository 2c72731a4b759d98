"""Search as R4 3.1.1 puts it, one resource after the other: slow, and plain enough to be checked by reading.

Knows a few types and parameters, found by hand instead of by expressions. The service must answer the same.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]
Range = tuple[datetime, datetime]

UCUM = "http://unitsofmeasure.org"
_GRAMS = {"g": Decimal(1), "mg": Decimal("0.001"), "ug": Decimal("0.000001"), "kg": Decimal(1000)}
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Parameter:
    """A search parameter: its kind, and the values a resource has for it."""

    kind: str
    values: Callable[[Json], Iterable[Any]]


def _all(*path: str) -> Callable[[Json], Iterable[Any]]:
    """Every value at a path, lists gone through."""

    def found(node: Any, rest: tuple[str, ...]) -> Iterable[Any]:
        if isinstance(node, list):
            for each in node:
                yield from found(each, rest)
        elif not rest:
            yield node
        elif isinstance(node, Mapping) and rest[0] in node:
            yield from found(node[rest[0]], rest[1:])

    return lambda resource: found(resource, path)


def _names(patient: Json) -> Iterable[str]:
    for name in patient.get("name", ()):
        yield from (name[part] for part in ("family", "text") if part in name)
        yield from name.get("given", ())


PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Patient": {
        "active": Parameter("token", _all("active")),
        "gender": Parameter("token", _all("gender")),
        "identifier": Parameter("token", _all("identifier")),
        "family": Parameter("string", _all("name", "family")),
        "given": Parameter("string", _all("name", "given")),
        "name": Parameter("string", _names),
        "birthdate": Parameter("date", _all("birthDate")),
        "general-practitioner": Parameter("reference", _all("generalPractitioner")),
    },
    "Practitioner": {"family": Parameter("string", _all("name", "family"))},
    "Observation": {
        "code": Parameter("token", _all("code")),
        "status": Parameter("token", _all("status")),
        "category": Parameter("token", _all("category")),
        "date": Parameter("date", lambda o: [o[n] for n in ("effectiveDateTime", "effectivePeriod") if n in o]),
        "value-quantity": Parameter("quantity", _all("valueQuantity")),
        "value-string": Parameter("string", _all("valueString")),
        "subject": Parameter("reference", _all("subject")),
        # Only what a reference says to be a Patient.
        "patient": Parameter("reference", lambda o: [each for each in _all("subject")(o) if "reference" in each]),
        # Without its second half it is no value.
        "component-code-value-quantity": Parameter(
            "composite", lambda o: [each for each in o.get("component", ()) if "valueQuantity" in each]
        ),
    },
    "RiskAssessment": {
        "probability": Parameter("number", _all("prediction", "probabilityDecimal")),
        "subject": Parameter("reference", _all("subject")),
    },
    "ValueSet": {"url": Parameter("uri", _all("url"))},
}


class Model:
    """A set of resources, searched one by one."""

    def __init__(self, resources: Sequence[Json]) -> None:
        self._held = {f"{one['resourceType']}/{one['id']}": one for one in resources}

    def search(self, resource_type: str, asked: Sequence[tuple[str, str]]) -> set[str]:
        """The ids that match every (parameter, value)."""
        return {
            one["id"]
            for one in self._held.values()
            if one["resourceType"] == resource_type and all(self._matches(one, *each) for each in asked)
        }

    def included(self, matches: Iterable[str], asked: Sequence[tuple[str, str]]) -> set[str]:
        """What goes with matches, all as Type/id: 3.1.1.5.3, by (_include or _revinclude, Type:parameter[:Target])."""
        found = fresh = set(matches)
        wanted = list(asked)
        while fresh:
            fresh = {link for each in wanted for link in self._linked(*each, fresh)} & self._held.keys() - found
            found = found | fresh
            wanted = [each for each in asked if each[0].endswith(":iterate")]
        return found - set(matches)

    def _linked(self, name: str, asked: str, of: Iterable[str]) -> Iterable[str]:
        source, code, target, *_ = [*asked.split(":"), ""]
        for own, one in self._held.items():
            if one["resourceType"] != source:
                continue
            links = {each.get("reference", "") for each in PARAMETERS[source][code].values(one)}
            known = {each for each in links if each.startswith(target)}
            if name.startswith("_revinclude"):
                yield from [own] if known & set(of) else []
            elif own in of:
                yield from known

    def is_in_order(self, resource_type: str, first: str, second: str, sort: str) -> bool:
        """Whether one id may come before another by `_sort`; values are missing last, up and down."""
        for key in sort.split(","):
            one, other = (self._place(resource_type, name, key) for name in (first, second))
            if one != other:
                return other is None or (one is not None and (one > other if key[0] == "-" else one < other))
        return True

    def _place(self, resource_type: str, name: str, key: str) -> Any:
        """3.1.1.5.1: the least value, or going down the greatest one."""
        code, is_descending = key.removeprefix("-"), key[0] == "-"
        if code == "_id":
            return name
        parameter = PARAMETERS[resource_type][code]
        values = list(parameter.values(self._held[f"{resource_type}/{name}"]))
        if parameter.kind == "string":
            values = [folded(each) for each in values]
        elif parameter.kind == "date":
            values = [_range(each)[is_descending] for each in values]
        return (max if is_descending else min)(values, default=None)

    def _matches(self, resource: Json, name: str, value: str) -> bool:
        if name == "_id":
            return resource["id"] in value.split(",")
        if name.startswith("_has:"):
            return self._is_referred_to(resource, name, value)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = PARAMETERS[resource["resourceType"]][code]
        values = list(parameter.values(resource))
        if dot:
            targets = (self._held.get(one.get("reference", "")) for one in values)
            chosen = [one for one in targets if one and modifier in ("", one["resourceType"])]
            return any(rest_known(one, rest) and self._matches(one, rest, value) for one in chosen)
        if modifier == "missing":
            return (value == "true") == (not values)
        if modifier == "not":
            return not any(is_token(one, each) for one in values for each in value.split(","))
        test = _TESTS[parameter.kind]
        return any(test(one, each, modifier) for one in values for each in value.split(","))

    def _is_referred_to(self, resource: Json, name: str, value: str) -> bool:
        _, other_type, link, rest = name.split(":", 3)
        own = f"{resource['resourceType']}/{resource['id']}"
        for other in self._held.values():
            if other["resourceType"] != other_type or not self._matches(other, rest, value):
                continue
            if any(one.get("reference") == own for one in PARAMETERS[other_type][link].values(other)):
                return True
        return False


def rest_known(resource: Json, rest: str) -> bool:
    """Whether a chain can go on in a resource of this type."""
    code = rest.partition(".")[0].partition(":")[0]
    return rest.startswith("_") or code in PARAMETERS.get(resource["resourceType"], {})


def is_token(found: Any, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.10: code, system|code, |code, system|; the beginning of a text; system|code|value of an identifier."""
    if modifier == "text":
        return any(is_string(text, asked) for text in _said(found))
    if modifier == "of-type":
        kind, _, value = asked.rpartition("|")
        return bool(found["value"] == value) and is_token(found.get("type", {"coding": []}), kind)
    if isinstance(found, Mapping) and "coding" in found:
        return any(is_token(coding, asked) for coding in found["coding"])
    if isinstance(found, Mapping):
        code, system = found.get("code", found.get("value")), found.get("system", "")
    else:
        code, system = str(found).lower() if isinstance(found, bool) else found, ""
    if "|" not in asked:
        return bool(code == asked)
    own_system, own_code = asked.split("|")
    return system == own_system and own_code in ("", code)


def _said(found: Json) -> Iterable[str]:
    """The texts of a concept, or of the type of an identifier."""
    texts = [
        found.get("text"),
        found.get("type", {}).get("text"),
        *(each.get("display") for each in found.get("coding", ())),
    ]
    return [each for each in texts if each]


def is_string(found: str, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.8: starts with, whatever case and accents; contains; exactly."""
    if modifier == "exact":
        return found == asked
    if modifier == "contains":
        return folded(asked) in folded(found)
    return folded(found).startswith(folded(asked))


def folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def is_reference(found: Json, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.12: id, Type/id, and id of a given type; the identifier of what is referred to."""
    if modifier == "identifier":
        return "identifier" in found and is_token(found["identifier"], asked)
    kind, _, name = found.get("reference", "").partition("/")
    if "/" in asked:
        return bool(found.get("reference") == asked)
    return name == asked and modifier in ("", kind)


def is_uri(found: str, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.13."""
    if modifier == "below":
        return found.startswith(asked)
    return asked.startswith(found) if modifier == "above" else found == asked


def is_date(found: Any, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.7: ranges are compared."""
    prefix, text = prefixed(asked)
    low, high = _range(text)
    start, end = (
        (
            _range(found["start"])[0] if "start" in found else _EVER,
            _range(found["end"])[1] if "end" in found else _NEVER,
        )
        if isinstance(found, Mapping)
        else _range(found)
    )
    contains = low <= start and end <= high
    above, below = end > high, start < low
    return {
        "eq": contains,
        "ne": not contains,
        "gt": above,
        "ge": above or contains,
        "lt": below,
        "le": below or contains,
        "sa": start >= high,
        "eb": end <= low,
    }[prefix]


def _range(text: str) -> Range:
    if "T" in text:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment, moment + timedelta(seconds=1)
    parts = [int(part) for part in text.split("-")]
    year, month, day = (*parts, 1, 1)[:3]
    start = datetime(year, month, day, tzinfo=UTC)
    if len(parts) == 3:
        return start, start + timedelta(days=1)
    if len(parts) == 1:
        return start, start.replace(year=start.year + 1)
    return start, (start + timedelta(days=31)).replace(day=1)


def is_number(found: Decimal, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.6: equality to the digits given, other comparisons exact."""
    prefix, text = prefixed(asked)
    return compared(prefix, found, Decimal(text), half(text))


def half(text: str) -> Decimal:
    """Half a unit of the last digit."""
    exponent = Decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(10) ** exponent / 2


def compared(prefix: str, found: Decimal, asked: Decimal, margin: Decimal) -> bool:
    equal = asked - margin <= found < asked + margin
    return {
        "eq": equal,
        "ne": not equal,
        "gt": found > asked,
        "ge": found >= asked,
        "lt": found < asked,
        "le": found <= asked,
        "sa": found > asked,
        "eb": found < asked,
    }[prefix]


def is_quantity(found: Json, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.11: a number; with a unit of UCUM, whatever unit of the same kind it was written in."""
    number, _, unit = asked.partition("|")
    prefix, text = prefixed(number)
    value, wanted = Decimal(found["value"]), Decimal(text)
    if not unit:
        return compared(prefix, value, wanted, half(text))
    system, _, code = unit.partition("|")
    if not system:
        return code in (found.get("code"), found.get("unit")) and compared(prefix, value, wanted, half(text))
    if found.get("system") != system:
        return False
    if system == UCUM and code in _GRAMS and found["code"] in _GRAMS:
        scale, own = _GRAMS[code], _GRAMS[found["code"]]
        return compared(prefix, value * own, wanted * scale, half(text) * scale)
    return bool(found["code"] == code) and compared(prefix, value, wanted, half(text))


def is_composite(found: Json, asked: str, modifier: str = "") -> bool:
    """3.1.1.4.14: both in the same component."""
    code, quantity = asked.split("$")
    is_coded = any(is_token(coding, code) for coding in found["code"]["coding"])
    return is_coded and is_quantity(found["valueQuantity"], quantity)


def prefixed(asked: str) -> tuple[str, str]:
    return (asked[:2], asked[2:]) if asked[:1].isalpha() else ("eq", asked)


_TESTS: dict[str, Callable[[Any, str, str], bool]] = {
    "token": is_token,
    "string": is_string,
    "reference": is_reference,
    "uri": is_uri,
    "date": is_date,
    "number": is_number,
    "quantity": is_quantity,
    "composite": is_composite,
}
