"""What is asked of a limited client where many resources are read at once, so that none can be left out one by one."""

from collections.abc import Sequence

from app.fhir.outcomes import Forbidden, Issue
from app.store import sight

_READING = "rs"
# Those who may read everything else are not told each time that this takes a scope of its own.
_APART = frozenset({"AuditEvent"})


def require_some(right: str, resource_type: str) -> None:
    """Raises Forbidden where the right is given to nothing of the type."""
    if looking := sight.current():
        looking.require(right, [resource_type])


def require(right: str, resource_type: str) -> None:
    """Raises Forbidden where the right is not given to everything of a type that has no search."""
    looking = sight.current()
    if looking and not looking.is_whole(right, resource_type):
        told = f"The scopes of this token give no right to do this with any {resource_type} (.{right})."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])


def require_whole(types: Sequence[str]) -> None:
    """Raises Forbidden naming those of the types of which not all may be read."""
    if lacking := [each for each in dict.fromkeys(types) if not _is_whole(each)]:
        told = f"This reads all {', '.join(lacking)}: it takes a scope such as system/{lacking[0]}.rs, without limits."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])


def whole(types: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Those of the types of which everything may be read, and a sentence on the others, "" for none.

    Raises Forbidden where there is none.
    """
    kept = tuple(each for each in types if _is_whole(each))
    left = [each for each in types if each not in kept and each not in _APART]
    if types and not kept:
        require_whole(types)
    shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more types" if len(left) > 5 else "")
    return kept, f"The scopes of this token do not cover all {shown}: nothing of that is given." if left else ""


def _is_whole(resource_type: str) -> bool:
    looking = sight.current()
    return looking is None or looking.is_whole(_READING, resource_type)
