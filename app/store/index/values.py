"""How single values stand in the index: hashed where long, folded, clamped to what a column holds."""

import hashlib
import re
import sys
import unicodedata
from decimal import Decimal

# A reference to a resource of this server or of another one, without its version.
_LITERAL = re.compile(r"(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/[^/]+)?")
# PostgreSQL cannot index a key beyond 2.7 kB; a longer value is found by its hash.
_LONGEST, _LONGEST_URI = 255, 2_000
# Strings are compared by their first characters; pieces of long ones overlap by half, so that any text of up to
# half a piece stands in one piece whole.
STRING_LENGTH, PIECE_OVERLAP = 200, 100
# Of a text beyond this, only the beginning is found by :contains.
CONTAINS_LENGTH = 20_000
# What stands for an open end: beyond every date and every number.
EARLIEST, LATEST = -(2**62), 2**62
LEAST, GREATEST = -sys.float_info.max, sys.float_info.max
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Letters that Unicode does not take apart into a base letter and a mark.
_BASE_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)


def indexed(value: str) -> str:
    """The value as it stands in the index: itself, or its hash if it is long."""
    return value if len(value) <= _LONGEST else _hashed(value)


def indexed_uri(value: str) -> str:
    """A uri as it stands in the index: itself as far as an index can hold it, so that :below works, else its hash."""
    return value if len(value.encode()) <= _LONGEST_URI else _hashed(value)


def _hashed(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def literal(reference: str) -> tuple[str, str] | None:
    """(type, id) of a reference to a resource of this server, (“”, url) of any other; None for #contained."""
    if reference.startswith("#"):
        return None
    found = _LITERAL.fullmatch(reference)
    if found and not found["base"]:
        return found["type"], found["id"]
    url = f"{found['base']}{found['type']}/{found['id']}" if found else reference
    return "", indexed(url)


def folded(text: str) -> str:
    """The text without regard to case, accents and amounts of white space (R4 3.1.1.4.8)."""
    return " ".join(text.lower().split()) if text.isascii() else _without_marks(text)


def _without_marks(text: str) -> str:
    base = _BEYOND_ASCII.sub(_unless_mark, unicodedata.normalize("NFKD", text.casefold()))
    # Once more: taking apart may give letters that fold further.
    return " ".join(base.casefold().translate(_BASE_LETTERS).split())


def _unless_mark(found: re.Match[str]) -> str:
    return "" if unicodedata.combining(found[0]) else found[0]


def number(value: Decimal | int | float) -> float:
    """A number as a column of double precision holds it; beyond its range, the greatest or least one."""
    try:
        return min(max(float(value), LEAST), GREATEST)
    except OverflowError:
        return GREATEST if value > 0 else LEAST
