"""JSON without loss: what was sent is what is kept.

Numbers with a fraction or exponent become Decimal and are written back with the same digits. Stored
text is the client's own; only id and meta are spliced into it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from app.fhir.outcomes import Issue, Refused
from app.fhir.scan import flaw_at, is_plain_name, place

# R4 2.24.0.1: decimals have at most 18 significant digits. HL7's own example has trailing zeros beyond that.
MAX_DIGITS = 18
MAX_LENGTH = 40
MAX_EXPONENT = 300
MAX_DEPTH = 100
# Each value of a text but the first has one of these before it, in JSON or XML.
_BEFORE_A_VALUE = (b",", b"[", b"{", b"<")
# In longer texts the place of a flaw is not looked for: that takes another reading.
_MOST_LOCATED = 1_000_000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_encoder = msgspec.json.Encoder(decimal_format="number")
_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_split_entries = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_exact = msgspec.json.Decoder(float_hook=str)  # 1.10 and 1.1 differ


class _Flaw(ValueError):
    """A flaw found while parsing, told in words fit for the client. rule: the id of the rule that is broken."""

    def __init__(self, sentence: str, rule: str) -> None:
        self.rule = rule
        super().__init__(sentence)


def parse(text: bytes, *, depth: int = MAX_DEPTH) -> Any:
    """The JSON value of UTF-8 text, decimals exact. Raises Refused for anything that could not be kept as sent:
    not JSON, not UTF-8, a name twice in one object, NUL or lone surrogates, numbers out of range, too deep."""
    try:
        value = json.loads(text.decode("utf-8"), **_HOOKS)
    except _Flaw as flaw:
        raise Refused([_flaw(flaw, text.decode("utf-8"))]) from None
    except UnicodeDecodeError as error:
        told = f"The body is not UTF-8 at byte {error.start}."
        line, column = place(text[: error.start].decode("utf-8"), None)
        raise Refused([Issue("structure", told, rule="dmt-json-encoding", line=line, column=column)]) from None
    except json.JSONDecodeError as error:
        line, column = error.lineno, error.colno
        told = f"The body is not JSON: {error.msg} at line {line}, column {column}."
        raise Refused([Issue("structure", told, rule="dmt-json", line=line, column=column)]) from None
    except RecursionError:
        raise Refused([_too_deep(depth)]) from None
    if b"\\u" in text:
        _refuse_unstorable(value)
    _refuse_too_deep(value, depth)
    return value


def parse_object(text: bytes, *, depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Like parse, for a body that must be one JSON object."""
    value = parse(text, depth=depth)
    if not isinstance(value, dict):
        told = "The body must be one JSON object."
        raise Refused([Issue("structure", told, rule="dmt-json-object", expected="an object", line=1, column=1)])
    return value


def values_in(text: bytes | bytearray) -> int:
    """How many values a JSON or XML text holds at most, the first left out: what it will take in memory."""
    return sum(map(text.count, _BEFORE_A_VALUE))


def _flaw(flaw: _Flaw, text: str) -> Issue:
    issue = Issue("structure", str(flaw), rule=flaw.rule)
    if len(text) > _MOST_LOCATED:
        return issue
    line, column = place(text, flaw_at(text, json.JSONDecoder(**_HOOKS), _Flaw))
    return replace(issue, line=line, column=column)


def parse_keeping_digits(text: bytes) -> Any:
    """The JSON value of a text that was parsed before; every number is kept as it was written, for dumps."""
    return json.loads(text, parse_float=_as_written, parse_int=_as_written)


def dumps(value: Any) -> bytes:
    """JSON text of a value, Decimals as numbers with all their digits."""
    return _encoder.encode(value)


def pretty(text: bytes) -> bytes:
    """The same JSON laid out for people; numbers keep their digits."""
    return msgspec.json.format(text, indent=2)


def splice(text: bytes, *, resource_id: str, version: int, last_updated: str) -> bytes:
    """The client's resource text with id, meta.versionId and meta.lastUpdated set, all else as sent."""
    parts = _split.decode(text)
    own = {"resourceType": parts.pop("resourceType"), "id": dumps(resource_id), "meta": b""}
    meta: dict[str, Any] = _split.decode(parts.pop("meta")) if "meta" in parts else {}
    meta |= {"versionId": dumps(str(version)), "lastUpdated": dumps(last_updated)}
    own["meta"] = _join(meta)
    parts.pop("id", None)
    return _join(own | parts)


def entry_texts(bundle: bytes) -> list[bytes]:
    """The text of each resource of a Bundle's entries, b"" where an entry has none."""
    entries = _split.decode(bundle).get("entry", msgspec.Raw(b"[]"))
    return [bytes(entry.get("resource", b"")) for entry in _split_entries.decode(entries)]


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two resource texts say the same, number for number; versionId and lastUpdated do not count."""
    return bool(_content(one) == _content(other))


def _content(text: bytes) -> Any:
    resource = _exact.decode(text)
    meta = resource.pop("meta", {})
    kept = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
    return resource, kept


def _join(parts: dict[str, Any]) -> bytes:
    return b"{" + b",".join(dumps(name) + b":" + bytes(value) for name, value in parts.items()) + b"}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        told = f"The name {twice!r}" if is_plain_name(twice) else "A name"
        raise _Flaw(f"{told} appears twice in one object.", "dmt-json-name")
    return made


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(_within_limits(text))
    except InvalidOperation:
        raise _Flaw("A number is beyond what a double can hold.", "dmt-json-number") from None
    # Of a zero too: written out it would have as many digits. No arithmetic here, since that could overflow.
    if abs(value.adjusted()) >= MAX_EXPONENT:
        raise _Flaw("A number is beyond what a double can hold.", "dmt-json-number")
    return value


def _integer(text: str) -> int:
    value = int(_within_limits(text))
    if abs(value) > 10**MAX_DIGITS:
        raise _Flaw(f"A whole number is beyond 10^{MAX_DIGITS}.", "dmt-json-number")
    return value


def _as_written(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _within_limits(text: str) -> str:
    digits = re.sub("[eE].*|[^0-9]", "", text).strip("0")
    if len(digits) > MAX_DIGITS or len(text) > MAX_LENGTH:
        raise _Flaw(f"A number has more than the {MAX_DIGITS} significant digits FHIR allows.", "dmt-json-number")
    return text


def _constant(text: str) -> Any:
    raise _Flaw(f"{text} is not a JSON number.", "dmt-json-number")


def _refuse_unstorable(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, default=str)
    if "\\u0000" in text.replace("\\\\", ""):
        raise Refused([Issue("structure", "A string contains the character NUL.", rule="dmt-json-character")])
    if _LONE_SURROGATE.search(text):
        raise Refused([Issue("structure", "A string contains half of a surrogate pair.", rule="dmt-json-character")])


def _refuse_too_deep(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise Refused([_too_deep(depth)])


def _children(node: Any) -> Iterable[Any]:
    if type(node) is dict:
        return node.values()
    return node if type(node) is list else ()


def _too_deep(depth: int) -> Issue:
    return Issue("structure", f"The body is nested deeper than {depth} levels.", rule="dmt-json-depth")


_HOOKS: dict[str, Any] = {
    "parse_float": _decimal,
    "parse_int": _integer,
    "parse_constant": _constant,
    "object_pairs_hook": _object,
}
