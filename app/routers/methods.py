"""Which methods an address offers: for the Allow header of a 405, and for OPTIONS (RFC 9110, 9.3.7 and 15.5.6)."""

from fastapi import Request
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def offered(request: Request) -> list[str]:
    """The methods that some route takes at the address of the request; HEAD wherever there is GET."""
    found = [method for method in _METHODS if _is_taken(request, method)]
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]


def allow(request: Request, *, without: str = "") -> dict[str, str]:
    """The Allow header. without: a method that is offered there, but not for what was asked."""
    return {"Allow": ", ".join(method for method in offered(request) if method != without)}


def is_of_no_type(request: Request) -> bool:
    """Whether the address is that of a resource type R4 does not have: nothing is there, whatever the method."""
    _, _, rest = request.scope["path"].partition("/fhir/")
    name = rest.partition("/")[0]
    return name[:1].isupper() and name not in request.app.state.service.validator.resource_types


def _is_taken(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
