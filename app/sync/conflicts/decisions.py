"""What becomes of a resource that both sides changed since they agreed; nothing is done here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir import json as lossless
from app.sync.conflicts.likeness import alike
from app.sync.conflicts.merging import Decide, Difference, Tree, merge

# "alike": both say the same already; "ours", "theirs": one of the two stands as it is; "merged": neither.
Kind = Literal["alike", "ours", "theirs", "merged", "manual"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes out. resource: its content, None for a deletion; where a person decides, with ours in those places.

    differences: what both had changed, each with the decision.
    """

    kind: Kind
    resource: Tree | None
    differences: tuple[Difference, ...] = ()

    @property
    def text(self) -> bytes:
        return lossless.dumps(self.resource) if self.resource is not None else b""


def outcome(
    base: Mapping[str, Any] | None, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, decide: Decide
) -> Outcome:
    """What comes out of two versions; None for a deletion. base: what both had, None where they had or knew nothing."""
    if ours is None or theirs is None:
        return _with_deletion(base, ours, theirs, decide)
    if alike(ours, theirs):
        return Outcome("alike", dict(ours))
    merged = merge(base, ours, theirs, decide)
    if merged.is_manual:
        return Outcome("manual", merged.resource, merged.differences)
    if alike(merged.resource, ours):
        return Outcome("ours", dict(ours), merged.differences)
    if alike(merged.resource, theirs):
        return Outcome("theirs", dict(theirs), merged.differences)
    return Outcome("merged", merged.resource, merged.differences)


def _with_deletion(
    base: Mapping[str, Any] | None, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, decide: Decide
) -> Outcome:
    """A deletion stands where the other side changed nothing; else the rule for the whole resource decides."""
    kept = ours if ours is not None else theirs
    if kept is None:
        return Outcome("alike", None)
    if base is not None and alike(base, kept):
        return Outcome("theirs" if kept is ours else "ours", None)
    type_ = str(kept.get("resourceType"))
    decision = decide(type_)
    difference = Difference(type_, type_ if kept is ours else "", type_ if kept is theirs else "", decision)
    chosen = theirs if decision == "theirs" else ours
    return Outcome(decision, None if chosen is None else dict(chosen), (difference,))


def by_person(decide: Decide, side: Literal["ours", "theirs"]) -> Decide:
    """The rules, with a person's word for what they leave to a person."""

    def decision(element: str) -> Literal["ours", "theirs", "manual"]:
        ruled = decide(element)
        return side if ruled == "manual" else ruled

    return decision
