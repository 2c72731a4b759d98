"""What is asked of the door, by whom, and what became of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir.outcomes import Issue
from app.store.repository import Stored

Method = Literal["POST", "PUT", "DELETE"]
Outcome = Literal["created", "updated", "unchanged", "existing", "deleted"]
ANY_VERSION = 0


@dataclass(frozen=True, slots=True)
class Write:
    """One write asked for.

    id: the client's for PUT and DELETE; for POST empty, or one that the service itself assigned.
    text: the resource as sent, b"" for DELETE; tree: the same, parsed.
    if_match: the version that must be current, ANY_VERSION for "there must be one".
    if_none_exist: the search of a conditional create. path: where it stood, e.g. "Bundle.entry[3]".
    full_url: what other writes of the same transaction call it.
    """

    method: Method
    type: str
    id: str = ""
    text: bytes = b""
    tree: Mapping[str, Any] | None = None
    if_match: int | None = None
    if_none_exist: str = ""
    path: str = ""
    full_url: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the version that now stands, and the warnings about it."""

    outcome: Outcome
    stored: Stored
    warnings: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: actor for the audit, request id, and the client's Idempotency-Key with the request it covers.

    base: the address of this server's FHIR endpoint as the client sees it. wants_outcome: whether warnings are asked
    for too.
    """

    actor: str
    request_id: str
    base: str = ""
    idempotency_key: str = ""
    request_hash: str = ""
    wants_outcome: bool = False


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
