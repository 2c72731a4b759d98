"""Which views a client means: posted, stored, ready, or known by a canonical URL."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from starlette.requests import Request

from app.export.sources import LIBRARY
from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound, Refused, Unprocessable
from app.routers import exchange, rights
from app.routers.operations.call import Call
from app.routers.operations.given import Value
from app.store import views
from app.views import View
from app.views.ready import SqlTable, ready_tables

_VIEW = "ViewDefinition"


def require_meant(request: Request, sources: Iterable[View | SqlTable]) -> tuple[str, ...]:
    """Refuse paths that find nothing in any resource: they are misspelt, and their columns would be empty unnoticed.

    To a client that asks for lenient handling they are told, in sentences.
    """
    found = [issue for one in sources if isinstance(one, View) for issue in one.warnings]
    if found and exchange.preference(request, "handling") != "lenient":
        hint = "Prefer: handling=lenient takes it as it is."
        raise Unprocessable([replace(each, severity="error", suggestion=hint) for each in found])
    return tuple(f"{each.expression}: {each.diagnostics}" for each in found)


async def one_view(call: Call) -> bytes:
    """The text of the view that is meant. Raises Refused unless it is exactly one."""
    given = list(_views_given(call))
    if call.resource_id:
        given.append(("", Value({"reference": f"{_VIEW}/{call.resource_id}"}, "")))
    if len(given) != 1:
        more = "; here the address says which is meant" if call.resource_id else ""
        raise Refused([Issue("required", f"Give one viewResource or viewReference{more}.", "Parameters.parameter")])
    return await _text(call, given[0][1])


async def named_views(call: Call) -> list[tuple[str, bytes]]:
    """The views of an export, each with the name of its files."""
    given = list(_views_given(call))
    if call.resource_id:
        given.append(("", Value({"reference": f"{_VIEW}/{call.resource_id}"}, "")))
    if not given:
        raise Refused([Issue("required", "Give a viewResource or viewReference at least.", "Parameters.parameter")])
    found: dict[str, bytes] = {}
    for number, (name, value) in enumerate(given, 1):
        text = await _text(call, value)
        own = name or str(lossless.parse_object(text).get("name", "")) or f"view{number}"
        if not own.replace("_", "").isalnum() or not own.isascii() or own in found:
            told = "Each view of an export has a name of its own, of letters, digits and _."
            raise Refused([Issue("value", told, value.place)])
        found[own] = text
    return list(found.items())


def _views_given(call: Call) -> Iterator[tuple[str, Value]]:
    """Views that are posted or referred to, with the names they are given."""
    for name in ("viewResource", "viewReference"):
        yield from (("", each) for each in call.given.values.get(name, ()))
    for each in call.given.values.get("view", ()):
        parts = {part.get("name"): part for part in each.value["part"] if isinstance(part, Mapping)}
        unknown = parts.keys() - {"name", "viewResource", "viewReference"}
        one = parts.get("viewResource", {}).get("resource") or parts.get("viewReference", {}).get("valueReference")
        if unknown or not isinstance(one, Mapping) or len(parts.keys() & {"viewResource", "viewReference"}) != 1:
            told = "A view has a name, and one viewResource or viewReference."
            raise Refused([Issue("structure", told, each.place)])
        named = parts.get("name", {})
        yield str(named.get("valueString", named.get("valueCode", ""))), Value(one, each.place)


async def _text(call: Call, value: Value) -> bytes:
    """The text of a view: posted, stored, ready, or known by its canonical URL."""
    if "reference" not in value.value:
        return lossless.dumps(value.value)
    reference = str(value.value["reference"])
    id_ = reference.removeprefix(f"{exchange.fhir_base(call.request)}/").removeprefix(f"{_VIEW}/")
    id_ = id_.removeprefix(f"{LIBRARY}/")
    async with call.service.database.reading() as connection:
        found = await views.read(connection, id_) or await views.by_url(connection, reference)
    if found is not None:
        rights.require("r", _VIEW)
    known = (one.definition for one in ready_tables().values())
    ready = [one for one in known if reference == one["url"] or id_ == one["id"]]
    if found is None and not ready:
        raise NotFound([Issue("not-found", "There is no such ViewDefinition here.", value.place or _VIEW)])
    return found.content if found else lossless.dumps(ready[0])
