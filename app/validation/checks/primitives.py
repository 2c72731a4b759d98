"""What a primitive value must look like (R4 section 2.24.0.1)."""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

MAX_STRING = 1024 * 1024
INTEGERS = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
_NAMES = {"integer": "a whole number", "unsignedInt": "a whole number from 0", "positiveInt": "a whole number from 1"}
_BASE64 = re.compile(r"[0-9A-Za-z+/]*={0,2}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SPACE = re.compile(r"\s")
_PLAIN_URL = re.compile(r"https?://[!-~]*")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_SAYS = {
    "code": "a code without leading, trailing or double spaces",
    "date": "a date: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date, or a date and time with seconds and time zone",
    "instant": "a date and time with seconds and time zone",
    "time": "a time hh:mm:ss",
    "id": "1 to 64 letters, digits, - or .",
    "oid": "urn:oid: and an OID",
    "uuid": "urn:uuid: and a UUID in lower case",
}
DATED = frozenset({"date", "dateTime", "instant"})

Check = Callable[[Any], str]


def primitive_checks(types: Mapping[str, Any]) -> dict[str, Check]:
    """For each primitive type, and for Element.id, a function that tells what is wrong with a JSON value, "" if
    nothing is."""
    made = {
        name: _check(name, type_.get("regex")) for name, type_ in types.items() if type_["kind"] == "primitive-type"
    }
    return made | {"Element.id": element_id_flaw}


def _check(name: str, regex: str | None) -> Check:
    if name == "boolean":
        return lambda value: "" if isinstance(value, bool) else "expected true or false"
    if name in INTEGERS:
        return _integer_check(name)
    if name == "decimal":
        return decimal_flaw
    special = {"base64Binary": _base64, "uri": uri_flaw, "url": uri_flaw, "canonical": _canonical, "xhtml": _string}
    if name in special:
        return _on_string(special[name])
    if name == "code":
        # The published pattern lets tabs and line ends pass; the text allows single spaces only.
        return _on_string(_pattern_check(name, re.compile(r"\S+( \S+)*")))
    if name in ("string", "markdown") or regex is None:
        return _on_string(_string)
    return _on_string(_pattern_check(name, re.compile(regex, re.ASCII)))


def _integer_check(name: str) -> Check:
    low, high = INTEGERS[name]

    def check(value: Any) -> str:
        return "" if type(value) is int and low <= value <= high else f"expected {_NAMES[name]}"

    return check


def _on_string(check: Callable[[str], str]) -> Check:
    def checked(value: Any) -> str:
        if not isinstance(value, str):
            return "expected a JSON string"
        if not value:
            return "a string must not be empty"
        return check(value)

    return checked


def _string(value: str) -> str:
    return f"a string may have at most {MAX_STRING} characters" if len(value) > MAX_STRING else ""


def string_doubt(value: str) -> str:
    """What a string should not hold, though it may (R4 section 2.24.0.1, string)."""
    if value.isprintable() and not value.isspace():
        return ""
    if not value.strip():
        return "A string should hold more than spaces"
    return "A string should not hold control characters" if _CONTROL.search(value) else ""


def _pattern_check(name: str, pattern: re.Pattern[str]) -> Callable[[str], str]:
    flaw = f"expected {_SAYS[name]}"

    def check(value: str) -> str:
        # Longer than any of these can be; keeps matching cheap.
        if len(value) > 10_000 or not pattern.fullmatch(value):
            return flaw
        return flaw if name in DATED and not _is_in_calendar(value) else ""

    return check


def _is_in_calendar(value: str) -> bool:
    if len(value) < 10 or value[8:10] <= "28":
        return True
    return int(value[8:10]) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def _base64(value: str) -> str:
    plain = "".join(value.split())
    return "" if len(plain) % 4 == 0 and _BASE64.fullmatch(plain) else "expected base64"


def decimal_flaw(value: Any) -> str:
    """JSON has no infinity and no NaN, but some parsers read them."""
    is_number = type(value) is int or (type(value) in (Decimal, float) and isfinite(value))
    return "" if is_number else "expected a number"


def element_id_flaw(value: Any) -> str:
    """The id of an element inside a resource: any string without spaces (R4 section 2.27.0.1)."""
    if not isinstance(value, str):
        return "expected a JSON string"
    return "" if value and not _SPACE.search(value) else "expected an id without spaces"


def uri_flaw(value: str) -> str:
    if _PLAIN_URL.fullmatch(value):
        return ""
    if _SPACE.search(value):
        return "a URI must not hold spaces"
    if _CONTROL.search(value):
        return "a URI must not hold control characters"
    plain = value.partition("#")[0]
    if value.startswith(("urn:uuid:", "uuid:")) and not _UUID.fullmatch(plain.removeprefix("urn:uuid:")):
        return "expected urn:uuid: and a UUID in lower case"
    if value.startswith(("urn:oid:", "oid:")) and not _OID.fullmatch(plain.removeprefix("urn:oid:")):
        return "expected urn:oid: and an OID"
    return ""


def _canonical(value: str) -> str:
    if ":" not in value and not value.startswith("#"):
        return "a canonical must be an absolute URL or a fragment"
    # A version follows a UUID or an OID too, and is no part of it.
    return uri_flaw(value.partition("|")[0]) or ("a URI must not hold spaces" if _SPACE.search(value) else "")


def doubt(type_: str, value: Any) -> str:
    """What is unusual in a value that is allowed, as a sentence; "" if nothing is."""
    if type_ in DATED:
        # Years that clinical data can be about; others are mostly slips of the pen.
        return "" if "1800" <= value[:4] <= "2150" else "The year is not one of 1800 to 2150"
    return string_doubt(value) if type_ in ("string", "markdown") else ""


def id_flaw(value: str) -> str:
    return "" if _ID.fullmatch(value) else f"expected {_SAYS['id']}"
