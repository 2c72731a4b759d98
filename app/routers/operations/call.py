"""One call of an operation, as its handler sees it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.routers.exchange import service
from app.routers.operations.given import Given
from app.routers.operations.table import Operation
from app.service import Service
from app.store.idempotency import Answer


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, of what: resource_type, resource_id and version are "" where the address does not name them."""

    request: Request
    operation: Operation
    given: Given
    resource_type: str = ""
    resource_id: str = ""
    version: str = ""

    @property
    def service(self) -> Service:
        return service(self.request)


# A Response is sent as it is.
Handler = Callable[[Call], Awaitable[Answer | Response]]


def answer(tree: Mapping[str, Any], status: int = 200) -> Answer:
    """A resource as the answer."""
    return Answer(status, lossless.dumps(tree))


def parameters(*parts: Mapping[str, Any]) -> Answer:
    """Parameters as the answer, without those parts that are empty."""
    shown = [part for part in parts if part]
    return answer({"resourceType": "Parameters", **({"parameter": shown} if shown else {})})


def part(name: str, type_: str, value: Any) -> dict[str, Any]:
    """One parameter of an answer; {} for no value, which `parameters` leaves out."""
    return {} if value in (None, "") else {"name": name, f"value{type_}": value}


def parts(name: str, *inner: Mapping[str, Any]) -> dict[str, Any]:
    """One parameter made of others."""
    return {"name": name, "part": [each for each in inner if each]}
