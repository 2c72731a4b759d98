"""What an application site says about place and skin, for medicines put on the skin."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.pain.concepts import Concept, Key


@dataclass(frozen=True, slots=True)
class SiteKind:
    """A kind of site, e.g. "face": the words and the codes it is recognised by."""

    id: str
    keywords: tuple[str, ...]
    codes: frozenset[Key] = frozenset()


def _kinds_of_words(words: str, kinds: Iterable[SiteKind]) -> set[str]:
    """The kinds a free-text site names; each word counts once, for the first kind of the list that claims it, so that
    "not intact" is never "intact"."""
    found = set()
    rest = words.casefold()
    for kind in kinds:
        for keyword in sorted(kind.keywords, key=len, reverse=True):
            rest, hits = re.subn(rf"(?<!\w){re.escape(keyword)}(?!\w)", "|", rest)
            found |= {kind.id} if hits else set()
    return found


def kinds_of_site(site: Concept, kinds: Iterable[SiteKind]) -> set[str]:
    """The kinds a site names by its codes, its text and the displays of its codes."""
    known = tuple(kinds)
    keys = {coding.key for coding in site.codings}
    words = " | ".join(filter(None, (site.text, *(coding.display for coding in site.codings))))
    coded = {kind.id for kind in known if kind.codes & keys}
    return coded | _kinds_of_words(words, known)
