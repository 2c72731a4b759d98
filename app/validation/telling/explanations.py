"""What app/profiles/rules says of the rules of our profiles: why each matters, and what to do where it is broken."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from app.profiles import toml_files

_PREFIX = "np-"


@dataclass(frozen=True, slots=True)
class Explanation:
    """why: what goes wrong where the rule is broken.  source: what it rests on.  fix: what to do, in a sentence."""

    keys: tuple[str, ...]
    why: str
    source: str
    fix: str


@cache
def explanations() -> tuple[Explanation, ...]:
    """All of them, in the order of the file."""
    return tuple(_read(row) for row in toml_files("rules")["profile-rules"]["rule"])


def _read(row: Mapping[str, Any]) -> Explanation:
    return Explanation(tuple(row["keys"]), row["why"], row["source"], row["fix"])


@cache
def explained(key: str) -> Explanation | None:
    """The explanation of a constraint of ours: the one that names its key, else one whose pattern fits."""
    if not key.startswith(_PREFIX):
        return None
    exact = (one for one in explanations() if key in one.keys)
    fitting = (one for one in explanations() if any(fnmatchcase(key, each) for each in one.keys))
    return next(exact, None) or next(fitting, None)


def fix_of(key: str) -> str:
    """What to do where a constraint of ours or of base R4 is broken; "" where nothing is said of it."""
    found = explained(key)
    return found.fix if found else str(_r4_fixes().get(key, ""))


@cache
def _r4_fixes() -> Mapping[str, str]:
    fixes: Mapping[str, str] = toml_files("rules")["r4-fixes"]["fix"]
    return fixes
