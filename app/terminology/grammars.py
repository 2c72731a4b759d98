"""Code systems that a grammar defines instead of a list: media types, language tags, currencies, units."""

import re
from collections.abc import Callable, Mapping

from app.terminology.ucum import UCUM, unit_flaw

Flaw = Callable[[str], str]

_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}(/[A-Za-z0-9!#$&^_.+-]{1,127})?(\s*;.{1,200})?", re.ASCII)
# RFC 5646, section 2.1. Languages of four letters and more are reserved: none is registered.
_LANGUAGE = re.compile(
    r"""(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}      # language, extended
        (?:-[a-z]{4})?                       # script
        (?:-(?:[a-z]{2}|[0-9]{3}))?          # region
        (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})){0,8}            # variants
        (?:-[0-9a-wyz](?:-[a-z0-9]{2,8}){1,8}){0,4}             # extensions
        (?:-x(?:-[a-z0-9]{1,8}){1,8})?       # private use
        |x(?:-[a-z0-9]{1,8}){1,8}
        |i-[a-z]{3,8}|sgn-(?:be-fr|be-nl|ch-de)|en-gb-oed|zh-min(?:-nan)?|art-lojban|zh-xiang|no-(?:bok|nyn))""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def _pattern(pattern: re.Pattern[str], flaw: str) -> Flaw:
    return lambda code: "" if len(code) <= 1000 and pattern.fullmatch(code) else flaw


# What is wrong with a code, as the end of a sentence about it; "" if nothing is.
GRAMMARS: Mapping[str, Flaw] = {
    "urn:ietf:bcp:13": _pattern(_MIME, "is no media type of BCP 13"),
    "urn:ietf:bcp:47": _pattern(_LANGUAGE, "is no language tag of BCP 47"),
    "urn:iso:std:iso:4217": _pattern(_CURRENCY, "is no currency code of ISO 4217"),
    UCUM: unit_flaw,
}
