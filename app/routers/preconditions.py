"""What a request says must hold before it is done: a search in its address, If-None-Exist, If-Match."""

from collections.abc import Sequence
from urllib.parse import urlencode

from fastapi import Request

from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.conditions import pairs
from app.intake.writes import ANY_VERSION
from app.routers import exchange
from app.store.repository import Stored

# What shapes the answer and selects nothing.
_SHAPE = ("_format", "_pretty")
_UNMODIFIED = ("if-none-match", "if-modified-since", "if-unmodified-since")


def criteria(request: Request) -> str:
    """The search in the address of a conditional update, patch or delete. Raises Refused if there is none.

    An empty search matches everything: no client means that (R4 3.1.0.4.3, 3.1.0.7.1).
    """
    found = _searched(request)
    if not found:
        told = f"{request.method} needs an id in the address, or a search such as ?identifier=system|value."
        raise Refused([Issue("required", told, rule="dmt-condition")])
    return found


def none_exist(request: Request) -> str:
    """The search of a conditional create: of If-None-Exist, or in the address; "" without one.

    Some clients put the search into the address, as for an update; a blind create would make what they wanted to avoid.
    """
    named, searched = exchange.condition(request).removeprefix(f"{exchange.fhir_base(request)}/"), _searched(request)
    if named and searched and sorted(pairs(named)) != sorted(pairs(searched)):
        told = "If-None-Exist and the address hold two searches; which one decides?"
        raise Refused([Issue("value", told, rule="dmt-condition")])
    return named.removeprefix("?") or searched


def refuse_other(request: Request, *more: str) -> None:
    """Refuse the conditions of HTTP that are not served for a write: ignoring one would do what it was to prevent."""
    exchange.refuse_headers(request, *_UNMODIFIED, *more)


def require_version(request: Request, stored: Stored) -> None:
    """If-Match of a read (RFC 9110, 13.1.1). Raises PreconditionFailed if it names another version."""
    asked = exchange.if_match(request)
    if asked not in (None, ANY_VERSION, stored.version):
        told = f"If-Match asks for version {asked}, the one here is {stored.version}."
        raise PreconditionFailed([Issue("conflict", told, rule="dmt-version")])


def _searched(request: Request) -> str:
    given: Sequence[tuple[str, str]] = request.query_params.multi_items()
    return urlencode([(name, value) for name, value in given if name not in _SHAPE])
