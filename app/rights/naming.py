"""Which patient is meant: by a reference, by identifiers, or by both."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Gone, Issue, NotFound, Unprocessable
from app.fhir.references import local
from app.rights.person import PATIENT, identifiers_of
from app.store import repository
from app.store.database import Connection
from app.store.lookups import Sought, holders
from app.store.repository import Stored


async def patient_of(
    connection: Connection, reference: Mapping[str, Any] | None, identifiers: Sequence[Mapping[str, Any]], *,
    base: str, place: str,
) -> Stored:  # fmt: skip
    """The one Patient that both name. place: the parameter. Raises NotFound, Gone, or Unprocessable where they name
    none, several, or different ones."""
    given = dict(reference or {})
    named = [*([given["identifier"]] if "identifier" in given else []), *identifiers]
    link = str(given.get("reference", ""))
    key = local(link, base) if link else None
    if link and (key is None or key[0] != PATIENT):
        raise Unprocessable([Issue("value", "This is no reference to a Patient of this server.", place)])
    ids = {key[1]} if key else await _holders(connection, named)
    if len(ids) != 1:
        told = f"These identifiers are those of {len(ids)} patients." if named else "Say which patient is meant."
        raise Unprocessable([Issue("multiple-matches" if ids else "not-found", told, place)])
    (id_,) = ids
    stored = await repository.read(connection, PATIENT, id_)
    if stored is None:
        raise NotFound([Issue("not-found", f"Patient/{id_} is not here.", place)])
    if stored.content is None:
        raise Gone([Issue("deleted", f"Patient/{id_} was deleted.", place)], stored.version)
    held = identifiers_of(lossless.parse_object(stored.content))
    if any((str(each.get("system", "")), str(each.get("value"))) not in held for each in named):
        raise Unprocessable([Issue("value", "This patient does not have all of the identifiers given.", place)])
    return stored


async def _holders(connection: Connection, identifiers: Sequence[Mapping[str, Any]]) -> set[str]:
    asked = [Sought(PATIENT, str(each.get("value", "")), each.get("system", "")) for each in identifiers]
    found = await holders(connection, asked)
    return set.intersection(*(set(found[each]) for each in asked)) if asked else set()
