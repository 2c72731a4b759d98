"""The form of references and what type they point at (R4 section 2.3.0)."""

import re
from functools import lru_cache

_ID = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]{{1,63}})/{_ID}(?:/_history/{_ID})?(?:#{_ID})?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}:\S+")
_TAIL = re.compile(rf"https?://\S*/([A-Z][A-Za-z]{{1,63}})/{_ID}(?:/_history/{_ID})?")


@lru_cache(maxsize=4096)
def is_well_formed(reference: str) -> bool:
    """Whether a reference is a fragment, an absolute URI, or Type/id."""
    if reference.startswith("#"):
        return not any(mark.isspace() for mark in reference)
    if _ABSOLUTE.fullmatch(reference):
        return True
    return _RELATIVE.fullmatch(reference) is not None


@lru_cache(maxsize=4096)
def target_type(reference: str) -> str:
    """The resource type a reference's text names, "" if it names none."""
    match = _RELATIVE.fullmatch(reference) or _TAIL.fullmatch(reference)
    return match[1] if match else ""
