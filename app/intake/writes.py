"""What is asked of the door, by whom, and what became of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir.outcomes import Issue
from app.fhir.patch import Patch
from app.fhir.provenance import Said
from app.store.audit.rows import Agent
from app.store.idempotency import Key
from app.store.repository import Stored

Method = Literal["POST", "PUT", "PATCH", "DELETE"]
Outcome = Literal["created", "updated", "unchanged", "existing", "deleted"]
ANY_VERSION = 0


@dataclass(frozen=True, slots=True)
class Write:
    """One write asked for.

    id: the client's for PUT, PATCH and DELETE; for POST empty, or one that the service itself assigned.
    text: the resource as sent, b"" for PATCH and DELETE; tree: the same, parsed.
    if_match: the version that must be current, ANY_VERSION for "there must be one".
    if_none_exist: the search of a conditional create; condition: that of a conditional PUT, PATCH or DELETE, whose id
    is "". patch: what PATCH does to the resource that is here. path: where it stood, e.g. "Bundle.entry[3]".
    full_url: what other writes of the same transaction call it. is_local: no sync target is told of it.
    """

    method: Method
    type: str
    id: str = ""
    text: bytes = b""
    tree: Mapping[str, Any] | None = None
    if_match: int | None = None
    if_none_exist: str = ""
    condition: str = ""
    patch: Patch | None = None
    path: str = ""
    full_url: str = ""
    is_local: bool = False

    @property
    def search(self) -> str:
        """The condition that decides which resource is meant, "" if there is none."""
        return self.condition or self.if_none_exist

    @property
    def where(self) -> str:
        """The place of its resource in what was sent, "" for the whole body."""
        return f"{self.path}.resource" if self.path else ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the version that now stands, and the warnings about it.

    others: the further deletions of a conditional delete that met several. derived: what was written because of it.
    is_shown: whether whoever asked may read what now stands.
    """

    outcome: Outcome
    stored: Stored
    warnings: tuple[Issue, ...] = ()
    others: tuple[Stored, ...] = ()
    derived: tuple[Stored, ...] = ()
    is_shown: bool = True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: agent for the audit, and the client's Idempotency-Key with the request it covers.

    client: whose key it is; nobody else's is the same key.

    base: the address of this server's FHIR endpoint as the client sees it. wants_outcome: whether warnings are asked
    for too. tells_dangling: whether it tells about references that lead nowhere itself, so that they are not refused.
    is_system: this service itself, which alone changes its own definitions, and tells no target of them.
    origin: the sync target it came from, which is not told of it again. is_local: no target is told.
    provenance: what who asks says of the writes, stored with them.
    """

    agent: Agent
    base: str = ""
    idempotency_key: str = ""
    request_hash: str = ""
    client: str = ""
    wants_outcome: bool = False
    tells_dangling: bool = False
    is_system: bool = False
    origin: str = ""
    is_local: bool = False
    provenance: Said | None = None

    @property
    def key(self) -> Key | None:
        """The key by which the answer is remembered, None without one."""
        return Key(self.client, self.idempotency_key, self.request_hash) if self.idempotency_key else None


def request_hash(*parts: bytes | str) -> str:
    """What an Idempotency-Key covers: method, address, condition and body."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


def misaddressed(resource: Mapping[str, Any], type_: str, id_: str) -> list[Issue]:
    """Whether a resource is what the address says it is. type_, id_: "" where the address says nothing of them."""
    issues = []
    found = resource.get("id")
    if type_ and resource.get("resourceType") != type_:
        told = f"The address says {type_}, the resource another resourceType."
        issues.append(Issue("value", told, f"{type_}.resourceType", rule="dmt-address-type", expected=type_))
    if id_ and found != id_:
        told = "The id of the resource must be the id in the address."
        issues.append(Issue("value" if found else "required", told, f"{type_}.id", rule="dmt-address-id"))
    return issues
