"""String functions (FHIRPath 2.0.0, section 5.6)."""

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.table import Items, function
from app.fhir.fhirpath.nodes import Frame, integer, system, text
from app.fhir.fhirpath.patterns import safe_pattern
from app.fhir.fhirpath.syntax import unescape

MAX_TEXT = 1_000_000


def _on_text(name: str, least: int, most: int | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of one String and String arguments: empty as soon as one of them is empty."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        @function(name, least=least, most=most)
        def call(frame: Frame, focus: Items, *arguments: Items) -> Items:
            value = text(focus)
            given = [text(argument) for argument in arguments]
            return [] if value is None or None in given else [make(value, *given)]

        return make

    return register


@_on_text("startsWith", 1)
def starts_with(value: str, prefix: str) -> bool:
    return value.startswith(prefix)


@_on_text("endsWith", 1)
def ends_with(value: str, suffix: str) -> bool:
    return value.endswith(suffix)


@_on_text("contains", 1)
def contains(value: str, part: str) -> bool:
    return part in value


@_on_text("indexOf", 1)
def index_of(value: str, part: str) -> int:
    return value.find(part)


@_on_text("lastIndexOf", 1)
def last_index_of(value: str, part: str) -> int:
    return value.rfind(part)


@_on_text("upper", 0)
def upper(value: str) -> str:
    return value.upper()


@_on_text("lower", 0)
def lower(value: str) -> str:
    return value.lower()


@_on_text("trim", 0)
def trim(value: str) -> str:
    return value.strip()


@_on_text("length", 0)
def length(value: str) -> int:
    return len(value)


@_on_text("replace", 2)
def replace(value: str, old: str, new: str) -> str:
    if len(value) * max(len(new), 1) > MAX_TEXT:
        raise EvaluationError("the text is too long to replace in")
    return value.replace(old, new)


def _pattern(frame: Frame, focus: Items, pattern: Items) -> tuple[re.Pattern[str], str] | None:
    """The pattern and the text to use it on; None if one of them is empty."""
    value, wanted = text(focus), text(pattern)
    if value is None or wanted is None:
        return None
    found = safe_pattern(wanted)
    compiled = found.on(value, is_trusted=frame.trusts_patterns)
    if not frame.trusts_patterns:
        # One slow match is bearable, one for each of a thousand texts is not.
        frame.spend(found.steps(value))
    return compiled, value


@function("matches", least=1)
def matches(frame: Frame, focus: Items, pattern: Items) -> Items:
    found = _pattern(frame, focus, pattern)
    return [found[0].search(found[1]) is not None] if found else []


@function("matchesFull", least=1)
def matches_full(frame: Frame, focus: Items, pattern: Items) -> Items:
    found = _pattern(frame, focus, pattern)
    return [found[0].fullmatch(found[1]) is not None] if found else []


@function("replaceMatches", least=2)
def replace_matches(frame: Frame, focus: Items, pattern: Items, by: Items) -> Items:
    found, new = _pattern(frame, focus, pattern), text(by)
    if found is None or new is None:
        return []
    compiled, value = found
    if not compiled.pattern:
        return [value]
    if len(value) * max(len(new), 1) > MAX_TEXT:
        raise EvaluationError("the text is too long to replace in")
    try:
        return [compiled.sub(_template(new), value)]
    except (re.error, IndexError):
        raise EvaluationError("the replacement names a group the pattern does not have") from None


@lru_cache(maxsize=256)
def _template(new: str) -> str:
    """A replacement as `re` writes it: $1 and ${name} instead of backslash groups."""
    escaped = new.replace("\\", "\\\\")
    return re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda match: f"\\g<{match[1] or match[2]}>", escaped)


@function("substring", least=1, most=2)
def substring(frame: Frame, focus: Items, start: Items, size: Items | None = None) -> Items:
    value, begin = text(focus), integer(start)
    if value is None or begin is None or not 0 <= begin < len(value):
        return []
    count = integer(size) if size else None
    return [value[begin:] if count is None else value[begin : begin + max(count, 0)]]


@function("toChars")
def to_chars(frame: Frame, focus: Items) -> Items:
    return list(text(focus) or "")


@function("split", least=1)
def split(frame: Frame, focus: Items, separator: Items) -> Items:
    value, mark = text(focus), text(separator)
    return [] if value is None else value.split(mark) if mark else list(value)


@function("join", least=0, most=1)
def join(frame: Frame, focus: Items, separator: Items | None = None) -> Items:
    values = [system(item) for item in focus]
    if not all(isinstance(value, str) for value in values):
        raise EvaluationError("Strings are needed")
    if not values:
        return []
    return [(text(separator or []) or "").join(values)]


@_on_text("encode", 1)
def encode(value: str, scheme: str) -> str:
    if scheme == "hex":
        return value.encode().hex()
    encoder = {"base64": base64.b64encode, "urlbase64": base64.urlsafe_b64encode}.get(scheme)
    if encoder is None:
        raise EvaluationError("the encoding is not known")
    return encoder(value.encode()).decode()


@_on_text("decode", 1)
def decode(value: str, scheme: str) -> str:
    decoders: dict[str, Callable[[str], bytes]] = {
        "hex": bytes.fromhex,
        "base64": base64.b64decode,
        "urlbase64": base64.urlsafe_b64decode,
    }
    try:
        return decoders[scheme](value).decode()
    except (KeyError, ValueError, binascii.Error):
        raise EvaluationError("the text cannot be decoded") from None


@_on_text("escape", 1)
def escape(value: str, target: str) -> str:
    if target == "html":
        return html.escape(value)
    if target == "json":
        return json.dumps(value, ensure_ascii=False)[1:-1]
    raise EvaluationError("the escape target is not known")


@_on_text("unescape", 1)
def unescaped(value: str, target: str) -> str:
    if target == "html":
        return html.unescape(value)
    if target == "json":
        return unescape(value)
    raise EvaluationError("the escape target is not known")
