"""What one write makes of the version that is current: the rules of update, delete and their preconditions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Conflict, Gone, Issue, NotFound, NotSupported, PreconditionFailed
from app.intake.policy import Policy
from app.intake.rounds import Moved
from app.intake.writes import ANY_VERSION, Write, Written
from app.store.repository import Stored


@dataclass(frozen=True, slots=True)
class Placed:
    """A write and the resource it concerns, which is that of its id.

    place: which of the writes asked for. is_existing: a conditional create whose resource is there already.
    is_new: the condition found nothing, so the resource must not be there. is_fresh: its id was made for it just now.
    based_on: the version a patch was applied to, or something was derived from, 0 without one. is_derived: nobody asked
    for it; it follows from the write of the same place.
    """

    place: int
    write: Write
    is_existing: bool = False
    is_new: bool = False
    is_fresh: bool = False
    based_on: int = 0
    is_derived: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.write.type, self.write.id

    @property
    def is_only(self) -> bool:
        """Whether it makes a resource because its condition found none, so that none else may match it."""
        write = self.write
        return bool(write.search) and (self.is_new or (write.method == "POST" and not self.is_existing))

    @property
    def tree(self) -> dict[str, Any] | None:
        """The resource as it is stored, but for meta."""
        tree = self.write.tree
        return None if tree is None or self.write.method == "DELETE" else {**tree, "id": self.write.id}


def next_version(placed: Placed, current: Stored | None, policy: Policy, now: int) -> Written:
    """The version this write makes of the current one, or the current one if nothing changes.

    Raises the kind of Refused that says why it makes none, and Moved if others were faster.
    """
    write = placed.write
    if placed.is_existing:
        return _existing(current)
    require_match(write, current)
    if write.method == "DELETE":
        return _deletion(write, current, now)
    _require_fit(placed, current, policy)
    version = (current.version if current else 0) + 1
    text = lossless.splice(write.text, resource_id=write.id, version=version, last_updated=instant(now))
    if current and current.content is not None and lossless.same_content(text, current.content):
        return Written("unchanged", current)
    stored = Stored(write.type, write.id, version, write.method, now, text)
    return Written("updated" if current and not current.deleted else "created", stored)


def require_match(write: Write, current: Stored | None) -> None:
    """Raises PreconditionFailed if the version that If-Match asks for is not the current one."""
    if write.if_match is None:
        return
    if current is None or (write.if_match == ANY_VERSION and current.deleted):
        told = f"{write.type}/{write.id} is not here."
        raise PreconditionFailed([Issue("conflict", told, write.path, rule="dmt-version")])
    if write.if_match not in (ANY_VERSION, current.version):
        text = f"If-Match asks for version {write.if_match}, the current one is {current.version}."
        raise PreconditionFailed([Issue("conflict", text, write.path, rule="dmt-version")])


def require_kept(placed: Placed, erased: Collection[tuple[str, str]]) -> None:
    """Raises Gone where a write would bring back what was erased, as a message that is sent again does."""
    write = placed.write
    if placed.key in erased and write.method != "DELETE":
        told = f"{write.type}/{write.id} was erased and does not come back; who does gets a new id, by POST."
        raise Gone([Issue("deleted", told, write.path, rule="dmt-erased")])


def require_here(write: Write, current: Stored | None) -> None:
    """Raises NotFound or Gone where there is nothing a patch could be applied to."""
    if current is None:
        raise NotFound([Issue("not-found", f"{write.type}/{write.id} is not here.", write.path)])
    if current.deleted:
        told = f"{write.type}/{write.id} was deleted; its history is kept."
        raise Gone([Issue("deleted", told, write.path)])


def _existing(current: Stored | None) -> Written:
    if current is None or current.deleted:
        raise Moved
    return Written("existing", current)


def _require_fit(placed: Placed, current: Stored | None, policy: Policy) -> None:
    """Whether POST, PUT or PATCH may make a version of what is there."""
    write, is_here = placed.write, current is not None and not current.deleted
    if placed.is_derived:
        # Its id is ours, whatever clients may choose; what others write there meanwhile is not passed over.
        if placed.based_on != (current.version if current and is_here else 0):
            raise Moved
        return
    if write.method == "PATCH":
        require_here(write, current)
        if current is not None and current.version != placed.based_on:
            raise Moved(is_stale=True)
    elif write.method == "POST" and is_here:
        raise PreconditionFailed([Issue("conflict", f"{write.type}/{write.id} exists already.", write.path)])
    elif placed.is_new and is_here:
        told = f"{write.type}/{write.id} exists, and the condition does not match it."
        raise Conflict([Issue("conflict", told, write.path, rule="dmt-condition")])
    elif write.method == "PUT" and current is None and not policy.update_as_create and names_itself(write):
        told = f"{write.type}/{write.id} is not here, and clients cannot choose ids here: create it with POST."
        raise NotSupported([Issue("not-supported", told, write.path, rule="dmt-update-as-create")])


def names_itself(write: Write) -> bool:
    """Whether the id of a write is one the client chose."""
    return not write.condition or bool((write.tree or {}).get("id"))


def _deletion(write: Write, current: Stored | None, now: int) -> Written:
    if current is None or current.deleted:
        return Written("unchanged", current or Stored(write.type, write.id, 0, "DELETE", now, None))
    return Written("deleted", Stored(write.type, write.id, current.version + 1, "DELETE", now, None))


def with_id(write: Write, resource_id: str) -> Write:
    """The same write, of that resource."""
    return replace(write, id=resource_id)


def given_id(tree: Mapping[str, Any] | None) -> str:
    """The id that a resource itself says it has, "" for none."""
    return str((tree or {}).get("id", ""))
