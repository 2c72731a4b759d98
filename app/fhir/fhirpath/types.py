"""Type tests: is, as, ofType (FHIRPath 2.0.0, section 6.3)."""

from typing import Any

from app.fhir.fhirpath.errors import EvaluationError, ExpressionError
from app.fhir.fhirpath.model import SYSTEM_TYPES, Model
from app.fhir.fhirpath.nodes import Frame, Node, Step, TypeInfo, type_of
from app.fhir.fhirpath.syntax import Tree

_SYSTEM = frozenset({"Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"})


def type_name(tree: Tree, model: Model) -> TypeInfo:
    """The type a tree names: Patient, FHIR.Patient, System.String. Raises ExpressionError for an unknown one."""
    namespace, name = "", tree.value
    if tree.kind == "path" and tree.parts[0].kind == tree.parts[1].kind == "name":
        namespace, name = tree.parts[0].value, tree.parts[1].value
    elif tree.kind != "name":
        raise ExpressionError("the name of a type is needed")
    is_system = name in _SYSTEM and namespace in ("", "System")
    is_fhir = model.has(name) and namespace in ("", "FHIR")
    if not is_system and not is_fhir:
        raise ExpressionError(f"{name} is no known type")
    return TypeInfo(namespace, name)


def matches(model: Model, item: Any, wanted: TypeInfo) -> bool:
    """Whether an item is of a type. Elements have FHIR types, computed values System types."""
    actual = type_of(item)
    if actual.namespace == "System":
        return wanted.namespace != "FHIR" and wanted.name in (actual.name, "Any")
    if wanted.namespace == "System":
        return False
    return model.is_a(actual.name, wanted.name)


def matches_loosely(model: Model, item: Any, wanted: TypeInfo) -> bool:
    """Like matches, but Boolean is also the boolean of FHIR: base R4 (que-7) makes no difference."""
    if matches(model, item, wanted):
        return True
    is_primitive = isinstance(item, Node) and item.type in model.primitives
    return is_primitive and not wanted.namespace and SYSTEM_TYPES.get(item.type) == wanted.name


def _casts(model: Model, item: Any, wanted: TypeInfo) -> bool:
    """Like matches, but a primitive is cast to its very type only: a code is no string here."""
    if isinstance(item, Node) and item.type in model.primitives:
        return wanted.namespace != "System" and item.type == wanted.name
    return matches(model, item, wanted)


def compile_is(wanted: TypeInfo, *, strict: bool = False) -> Step:
    fits = matches if strict else matches_loosely

    def test(frame: Frame, focus: list[Any]) -> list[Any]:
        if not focus:
            return []
        if len(focus) > 1:
            raise EvaluationError("is needs one value")
        return [fits(frame.model, focus[0], wanted)]

    return test


def compile_as(wanted: TypeInfo) -> Step:
    """`as` on one value. On several it raises, as FHIRPath 2 asks; base R4 itself breaks this rule."""

    def cast(frame: Frame, focus: list[Any]) -> list[Any]:
        if len(focus) > 1:
            raise EvaluationError("as needs one value")
        return [item for item in focus if _casts(frame.model, item, wanted)]

    return cast


def compile_of_type(wanted: TypeInfo) -> Step:
    def only(frame: Frame, focus: list[Any]) -> list[Any]:
        return [item for item in focus if _casts(frame.model, item, wanted)]

    return only
