"""What can go wrong with an expression."""


class FhirPathError(Exception):
    """An expression cannot be used; the text says why, without any value of the record."""


class ExpressionError(FhirPathError):
    """The text is no expression this engine can compile."""


class EvaluationError(FhirPathError):
    """The expression cannot be evaluated on this input, e.g. several values where one is needed."""
