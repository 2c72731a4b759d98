"""The routes of all operations, made from the table: each at its levels, by GET and POST as R4 allows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir.outcomes import Issue, NotFound, NotSupported
from app.routers import bodies, documented, exchange, negotiation
from app.routers.exchange import service
from app.routers.operations import given, table
from app.routers.operations.call import Call, Handler
from app.routers.operations.handlers import HANDLERS
from app.routers.operations.rights import granted
from app.routers.operations.table import EVERY_TYPE, Operation

Endpoint = Callable[[Request], Awaitable[Response]]
_TYPE, _OPERATION = "{resource_type}", "{operation}"
_BELOW = {
    "system": "",
    "type": "/TYPE",
    "instance": "/TYPE/{resource_id}",
    "version": "/TYPE/{resource_id}/_history/{version}",
}


def make() -> APIRouter:
    """The router; what is no operation is told, with those there are."""
    router = APIRouter(prefix="/fhir", tags=["FHIR operations"])
    for operation in table.operations():
        for level in operation.levels:
            for path in paths(operation, level):
                _add(router, operation, level, path)
    for level in table.LEVELS:
        path = _path(level, _TYPE, _OPERATION)
        router.add_api_route(path, _absent(level), methods=["GET", "POST"], include_in_schema=False)
    return router


def paths(operation: Operation, level: str) -> list[str]:
    """Below /fhir, one path for every type where the operation is for all, so that the OpenAPI document stays small."""
    if level == "system":
        return [_path(level, "", operation.code)]
    types = [_TYPE if type_ == EVERY_TYPE else type_ for type_ in operation.types]
    return [_path(level, type_, operation.code) for type_ in types]


def _path(level: str, type_: str, code: str) -> str:
    return f"{_BELOW[level].replace('TYPE', type_)}/${code}"


def _add(router: APIRouter, operation: Operation, level: str, path: str) -> None:
    handler = HANDLERS[operation.id]
    for method in operation.methods:
        router.add_api_route(
            path,
            _endpoint(operation, handler, path),
            methods=[method],
            summary=f"${operation.code}: {operation.title}",
            description=_description(operation),
            openapi_extra=_documented(operation, level, method, path),
            name=f"{operation.id} {level}",
        )


def _endpoint(operation: Operation, handler: Handler, path: str) -> Endpoint:
    fixed = "" if "{resource_type}" in path else path.split("/")[1]

    async def endpoint(request: Request) -> Response:
        address = request.path_params
        resource_type = address.get("resource_type", "" if fixed.startswith("$") else fixed)
        resource_id = address.get("resource_id", "")
        if resource_type:
            exchange.require_type(request, resource_type, resource_id)
        return await called(request, operation, handler, resource_type, resource_id)

    return endpoint


async def called(
    request: Request, operation: Operation, handler: Handler, resource_type: str = "", resource_id: str = ""
) -> Response:
    """The answer of an operation to a request of it."""
    if not negotiation.asked_for(request, operation.formats):
        exchange.require_acceptable(request)
    read = given.read(operation, request.query_params.multi_items(), await _body(request), _check(request))
    version = request.path_params.get("version", "")
    with granted(operation, exchange.principal(request)):
        made = await handler(Call(request, operation, read, resource_type, resource_id, version))
    return made if isinstance(made, Response) else exchange.respond(request, made)


def _check(request: Request) -> given.Check:
    return service(request).validator.check


async def _body(request: Request) -> Mapping[str, Any]:
    """The body of a POST, {} where there is none."""
    is_empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    return {} if request.method == "GET" or is_empty else (await bodies.read_fhir(request)).tree


def _absent(level: str) -> Endpoint:
    async def absent(request: Request) -> Response:
        address = request.path_params
        resource_type = address.get("resource_type", "")
        if resource_type:
            exchange.require_type(request, resource_type)
        there = list(table.at(level, resource_type))
        code = address["operation"]
        for operation in there:
            if operation.code == code:
                told = f"${code} may change what is stored: {', '.join(operation.methods)} only."
                raise NotSupported([Issue("not-supported", told)])
        raise NotFound([Issue("not-supported", _none(code, there))])

    return absent


def _none(code: str, there: Sequence[Operation]) -> str:
    names = ", ".join(f"${each.code}" for each in there)
    return f"There is no operation ${code[:64]} here; there are: {names}."


def _description(operation: Operation) -> str:
    return f"Defined by <{operation.definition}>."


def _documented(operation: Operation, level: str, method: str, path: str) -> dict[str, Any]:
    """What the OpenAPI document says of the parameters and the body."""
    shown = {each.name: f"{each.type}, {_times(each)}" for each in operation.parameters.values() if each.is_primitive}
    made: dict[str, Any] = {"parameters": [*documented.in_path(path), *documented.parameters(**shown)["parameters"]]}
    if method == "POST" and operation.example and level in ("system", "type"):
        made |= documented.body(operation.example)
    return made


def _times(parameter: table.Parameter) -> str:
    return f"{parameter.least}..{parameter.most or '*'}"


router = make()
