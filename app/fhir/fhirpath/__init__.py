"""FHIRPath for R4: expressions are compiled once to closures and run on plain JSON values."""

from app.fhir.fhirpath.compiler import Expression, compile_expression
from app.fhir.fhirpath.errors import EvaluationError, ExpressionError, FhirPathError
from app.fhir.fhirpath.model import Model, r4_model
from app.fhir.fhirpath.nodes import Frame, Node, Quantity, TypeInfo
from app.fhir.fhirpath.nodes import system as value_of
from app.fhir.fhirpath.temporal import Temporal

__all__ = [
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "FhirPathError",
    "Frame",
    "Model",
    "Node",
    "Quantity",
    "Temporal",
    "TypeInfo",
    "compile_expression",
    "r4_model",
    "value_of",
]
