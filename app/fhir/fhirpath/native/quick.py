"""A quick first look at a constraint: whether it holds for sure, before the closures are asked."""

from collections.abc import Callable
from functools import lru_cache
from textwrap import indent
from typing import Any, NamedTuple, Protocol

from app.fhir.fhirpath.errors import FhirPathError
from app.fhir.fhirpath.model import r4_model
from app.fhir.fhirpath.native.runtime import FUNCTIONS
from app.fhir.fhirpath.native.translator import Translator
from app.fhir.fhirpath.native.ways import Untranslatable
from app.fhir.fhirpath.nodes import Frame

# Python refuses text that is nested too deeply.
_UNFIT = (Untranslatable, SyntaxError, RecursionError, MemoryError)
# What the structure presumed can fail with.
_PRESUMED = (TypeError, AttributeError, LookupError, ArithmeticError, ValueError, RecursionError, FhirPathError)
# What the text of a test has in it that looks further than the element.
_WIDE = ("c.resource", "resolved(")


class Around(Protocol):
    """What is around an element. resource: %resource; frame: what resolve() looks in."""

    resource: dict[str, Any]
    frame: Frame


class Quick(NamedTuple):
    """holds: whether the constraint holds on an element for sure; is_wide: whether it looks at the whole resource."""

    holds: Callable[[Any, Around], bool]
    is_wide: bool


@lru_cache(maxsize=4096)
def quick_test(text: str, type_: str) -> Quick | None:
    """The test of a constraint on a type; None where it cannot be translated.

    It presumes that the structure is right and that no primitive has an `_x`. False: the closures are to be asked.
    """
    bodies: dict[tuple[str, str], str] = {}

    def emit(parameters: str, body: str) -> str:
        return bodies.setdefault((parameters, body), f"q{len(bodies)}")

    namespace = dict(FUNCTIONS)
    try:
        found = Translator(r4_model(), emit).sure(text, type_)
        bodies["v, c", f"return {found}"] = "holds"
        source = "".join(_function(name, *each) for each, name in bodies.items())
        exec(compile(source, "<constraint>", "exec", dont_inherit=True), namespace)  # noqa: S102 - written here
    except _UNFIT:
        return None
    return Quick(_unfailing(namespace["holds"]), any(each in source for each in _WIDE))


def _function(name: str, parameters: str, body: str) -> str:
    return f"def {name}({parameters}):\n{indent(body, '    ')}\n"


def _unfailing(holds: Callable[[Any, Around], bool]) -> Callable[[Any, Around], bool]:
    def holds_surely(value: Any, around: Around) -> bool:
        try:
            return holds(value, around)
        except _PRESUMED:
            return False

    return holds_surely
