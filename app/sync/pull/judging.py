"""What a version that came from a target means for what is here."""

from dataclasses import dataclass
from enum import Enum

from app.store.ledger import Held
from app.store.repository import Stored


class Verdict(Enum):
    """What is to be done with a version that came."""

    NOTE = "both sides say the same: only what the target calls it is noted"
    STEP = "only here was anything changed since: the target has an earlier version of ours"
    WRITE = "only there was anything changed"
    SETTLE = "both sides changed it, or both have it and never agreed"


@dataclass(frozen=True, slots=True)
class Seen:
    """A version of the target's, and which version here says the same (0: none)."""

    version: str
    updated: int
    deleted: bool
    agreed: int = 0


def judged(seen: Seen, held: Held | None, current: Stored | None, *, is_here_base: bool = False) -> Verdict:
    """What a version that is not old means. held: what the ledger says of the resource; current: what is here.

    is_here_base: what is here says what both sides agreed on last, though it has another number.
    """
    is_here = current is not None and not current.deleted
    if seen.deleted and (not is_here or held is None or held.deleted):
        # A deletion of what was never agreed on says nothing of what is here.
        return Verdict.NOTE
    if current is None:
        return Verdict.WRITE
    if seen.agreed:
        return Verdict.NOTE if seen.agreed == current.version else Verdict.STEP
    if held is None or (held.deleted and is_here):
        return Verdict.SETTLE
    return Verdict.WRITE if held.version == current.version or is_here_base else Verdict.SETTLE


def is_old(seen: Seen, held: Held, *, newest_first: bool = False) -> bool:
    """Whether a version is the one that is noted, or came before it.

    Numbers tell it surely; a clock may have been set back. newest_first: of two at the same time the later is older.
    """
    if seen.version and seen.version == held.remote_version:
        return True
    if seen.version.isdigit() and held.remote_version.isdigit():
        return int(seen.version) < int(held.remote_version)
    if not seen.updated or not held.remote_updated:
        return False
    return seen.updated < held.remote_updated or (newest_first and seen.updated == held.remote_updated)
