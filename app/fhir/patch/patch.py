"""The three kinds of patch behind one pair of functions: read it, apply it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir.outcomes import Issue, Unprocessable, WrongMediaType
from app.fhir.patch import json_patch, merge_patch
from app.fhir.patch.document import Document
from app.fhir.patch.fhirpath import editing, operations
from app.fhir.patch.own import refuse_own_elements

Kind = Literal["json", "merge", "fhirpath"]
_BY_MEDIA_TYPE: dict[str, Kind] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/fhir+json": "fhirpath",
    "application/fhir+xml": "fhirpath",
}
# Clients that know no media type of a patch (fhirpy) send this one: what it is shows in the body.
_BY_SHAPE = "application/json"
MEDIA_TYPES = (*_BY_MEDIA_TYPE, _BY_SHAPE)


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that was read: its document is sound, whether it fits the resource shows when it is applied.

    body: a list of operations for "json", an object for "merge", `operations.Operation`s for "fhirpath".
    """

    kind: Kind
    body: Any


def read_patch(media_type: str, tree: Any) -> Patch:
    """The patch in a parsed body. media_type: without parameters, e.g. "application/json-patch+json".

    Raises WrongMediaType for one that is no patch, else Refused with everything that is wrong with the document.
    """
    require_patch_type(media_type)
    kind = _kind_by_shape(tree) if media_type == _BY_SHAPE else _BY_MEDIA_TYPE[media_type]
    return Patch(kind, _READ[kind](tree))


def require_patch_type(media_type: str) -> None:
    """Raise WrongMediaType for what is no patch, whatever its text is."""
    if media_type not in MEDIA_TYPES:
        raise WrongMediaType([Issue("not-supported", f"Send a patch as one of {', '.join(MEDIA_TYPES)}.")])


def apply(patch: Patch, text: bytes) -> bytes:
    """The resource text after the patch; the digits of all numbers are as they were, in the resource and in the patch.

    Raises Unprocessable if the patch does not fit the resource or changes what belongs to the server.
    """
    document = Document.read(text)
    before = document.tree
    own = {name: before.get(name) for name in ("resourceType", "id")} | {"meta": dict(before.get("meta", {}))}
    try:
        document.tree = _APPLY[patch.kind](patch.body, before, lambda tree, at: refuse_own_elements(own, tree, at))
        return document.text()
    except RecursionError:
        raise Unprocessable([Issue("too-costly", "The patch nests the resource too deeply.")]) from None


def _kind_by_shape(tree: Any) -> Kind:
    if isinstance(tree, list):
        return "json"
    is_parameters = isinstance(tree, Mapping) and tree.get("resourceType") == "Parameters"
    return "fhirpath" if is_parameters else "merge"


# Told after each operation what the resource is by then, and which operation that was.
Guard = Callable[[Any, Issue], None]
_READ: dict[Kind, Callable[[Any], Any]] = {
    "json": json_patch.read,
    "merge": merge_patch.read,
    "fhirpath": operations.read,
}
_APPLY: dict[Kind, Callable[[Any, Any, Guard], Any]] = {
    "json": json_patch.apply,
    "merge": merge_patch.apply,
    "fhirpath": editing.apply,
}
