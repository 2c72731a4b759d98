"""Whether words name a thing: whole words, case ignored, not denied before it in the same clause."""

import re
from functools import cache

_CLAUSE = re.compile(r"[,;.|]")


def mentions(words: str, names: tuple[str, ...], negations: tuple[str, ...] = ()) -> bool:
    """Whether one of the names stands in the words and no negation stands before it."""
    heard = words.casefold()
    if not names or not heard:
        return False
    return any(
        not negations or not _any_of(negations).search(_CLAUSE.split(heard[: match.start()])[-1])
        for match in _any_of(names).finditer(heard)
    )


@cache
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """Kept compiled: there are more lists of names than the cache of the re module holds."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
