"""A history as it is asked for: its parameters, read and checked (R4 3.1.0.12)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.fhir.subset import Subset
from app.routers import exchange, parts
from app.routers.exchange import fhir_base, service
from app.store.cursors import CURSOR
from app.store.repository import Past

SERVED = {
    "_since": "Only what was changed at this instant or later, e.g. 2026-05-01T09:30:00Z.",
    "_at": "Only versions that were current at some time within this date or time, e.g. 2026-05.",
    "_count": "Versions per page.",
    **parts.DESCRIBED,
}
# What shapes the answer as a whole, and is read where that is formed.
_SHAPE = ("_format", "_pretty")


@dataclass(frozen=True, slots=True)
class Asked:
    """One page of a history.

    count: 0 for the total alone. part: what of each resource is shown, None for the whole. used: the parameters as they
    are executed; ignored: an issue for each that is not; shape: how the answer is to look.
    """

    address: str
    past: Past
    count: int
    part: Subset | None
    cursor: str
    used: tuple[tuple[str, str], ...]
    ignored: tuple[Issue, ...]
    shape: tuple[tuple[str, str], ...] = ()

    @property
    def link(self) -> str:
        """The address of the first page."""
        return exchange.link(self.address, self.used)

    def page_link(self, cursor: str) -> str:
        """The address of the page that a cursor leads to."""
        return exchange.link(self.address, [*self.used, *self.shape, *([(CURSOR, cursor)] if cursor else [])])


def read_past(request: Request, resource_type: str, resource_id: str) -> Asked:
    """What is asked for. Raises Refused naming every wrong parameter; where the client is strict, every unknown one."""
    given = {name: value for name, value in request.query_params.items() if name not in _SHAPE}
    read, part, wrong = _read(request, given, resource_type)
    ignored = tuple(_unknown(name) for name in given if name not in (*SERVED, CURSOR))
    if wrong or (ignored and exchange.is_strict(request)):
        raise Refused([*wrong, *(Issue(i.code, i.diagnostics, i.expression) for i in ignored)])
    settings = service(request).settings
    count = min(read.get("_count", settings.page_size), settings.max_page_size)
    used = [(name, str(count) if name == "_count" else _mended(value)) for name, value in given.items()]
    return Asked(
        "/".join(filter(None, (fhir_base(request), resource_type, resource_id, "_history"))),
        Past(resource_type, resource_id, read.get("_since"), read.get("_at")),
        0 if given.get("_summary") == "count" else count,
        part,
        given.get(CURSOR, ""),
        tuple((name, value) for name, value in used if name in SERVED),
        ignored,
        exchange.shape(request),
    )


def _read(
    request: Request, given: Mapping[str, str], resource_type: str
) -> tuple[dict[str, Any], Subset | None, list[Issue]]:
    """The values of the parameters, the part asked for, and what is wrong with any of them."""
    read: dict[str, Any] = {}
    part: Subset | None = None
    wrong = [_twice(name) for name in given if len(request.query_params.getlist(name)) > 1]
    for name in given.keys() & _READ.keys():
        form, reader = _READ[name]
        try:
            read[name] = reader(_mended(given[name]))
        except (ValueError, OverflowError):
            wrong.append(Issue("value", f"Parameter {name}: expected {form}.", name))
    try:
        part = parts.part(request, [resource_type] if resource_type else _types(request), counts=True)
    except Refused as refused:
        wrong += refused.issues
    return read, part, wrong


def _types(request: Request) -> frozenset[str]:
    return service(request).validator.resource_types


def _twice(name: str) -> Issue:
    return Issue("value", f"Parameter {name[:64]} is given more than once.", name[:64])


def _unknown(name: str) -> Issue:
    told = f"Parameter {name[:64]} is not served for a history; served: {', '.join(SERVED)}."
    return Issue("not-supported", told, name[:64], severity="warning")


def _mended(value: str) -> str:
    """In a URL a literal + means a space; clients forget to encode the one of a time zone."""
    return value.replace(" ", "+")


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError(value)
    return int(value)


# What each must be, and how it is read.
_READ: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "_since": ("an instant such as 2026-05-01T09:30:00Z", lambda value: period(value)[0]),
    "_at": ("a date or time such as 2026-05 or 2026-05-01T09:30:00Z", period),
    "_count": ("a number of 0 or more", _number),
}
