"""What SQL on FHIR v2 adds: keys of resources, and of what references point at, that are equal where they should be."""

import re
from collections.abc import Callable
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError, ExpressionError
from app.fhir.fhirpath.functions.table import Items, function, special
from app.fhir.fhirpath.model import Model
from app.fhir.fhirpath.nodes import Frame, Node, Step
from app.fhir.fhirpath.syntax import Tree

_RELATIVE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_ABSOLUTE = re.compile(r".*/([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


@function("getResourceKey")
def resource_key(frame: Frame, focus: Items) -> Items:
    """The id. Raises EvaluationError for what is no resource."""
    found = []
    for item in focus:
        if not isinstance(item, Node) or not isinstance(item.value, dict) or item.type not in frame.model.resources:
            raise EvaluationError("getResourceKey() needs a resource")
        id_ = item.value.get("id")
        found += [id_] if isinstance(id_, str) else []
    return found


@special("getReferenceKey", least=0, most=1)
def _reference_key(tree: Tree, step: Callable[[Tree], Step], model: Model) -> Step:
    wanted = wanted_type(tree, model)
    return lambda frame, focus: [key for item in focus if (key := _key_of(item, wanted)) is not None]


def wanted_type(tree: Tree, model: Model) -> str:
    """The resource type a call of getReferenceKey names, "" for any. Raises ExpressionError."""
    if not tree.parts:
        return ""
    named = tree.parts[0]
    name = named.parts[1].value if named.kind == "path" and named.parts[0].value == "FHIR" else named.value
    if named.kind not in ("name", "path") or name not in model.resources:
        raise ExpressionError("getReferenceKey() takes the name of a resource type")
    return str(name)


def _key_of(item: Any, wanted: str) -> str | None:
    if not isinstance(item, Node) or item.type != "Reference" or not isinstance(item.value, dict):
        raise EvaluationError("getReferenceKey() needs a Reference")
    return reference_key(item.value, wanted)


def reference_key(reference: dict[str, Any], wanted: str) -> str | None:
    """The key of what a Reference points at; None where that is not kept by itself, or is of another type.

    Of a resource of another server, or of one without an address yet, it is the whole address: its id alone may be that
    of a resource here.
    """
    text = reference.get("reference")
    if not isinstance(text, str) or text.startswith("#"):
        return None
    if own := _RELATIVE.fullmatch(text):
        return own[2] if wanted in ("", own[1]) else None
    other = _ABSOLUTE.fullmatch(text)
    type_ = other[1] if other else reference.get("type")
    return text if wanted in ("", type_) else None
