"""Translates expressions that give values, such as the columns of a ViewDefinition, not only constraints."""

from app.fhir.fhirpath.compiler import ROW_INDEX
from app.fhir.fhirpath.errors import EvaluationError, ExpressionError
from app.fhir.fhirpath.functions.keys import reference_key, wanted_type
from app.fhir.fhirpath.native import calls
from app.fhir.fhirpath.native.runtime import FUNCTIONS
from app.fhir.fhirpath.native.translator import Translator
from app.fhir.fhirpath.native.values import Scalar, Truth, class_of
from app.fhir.fhirpath.native.ways import Untranslatable, Way, Ways, readable, text_of
from app.fhir.fhirpath.syntax import Tree

Typed = tuple[str, str]


class Cells(Translator):
    """Python on the element v, surrounded by the Frame c, that gives what the closures give.

    It presumes what the Translator does; several values where one is needed raise EvaluationError.
    """

    def one(self, tree: Tree, type_: str) -> str:
        """The one value, or None. Raises Untranslatable."""
        return readable(self._value(tree, self.start(type_, {}), is_many=False))

    def many(self, tree: Tree, type_: str) -> str:
        """A list of all values. Raises Untranslatable."""
        return readable(self._value(tree, self.start(type_, {}), is_many=True))

    def elements(self, tree: Tree, type_: str) -> Typed:
        """A list of all elements, and their type, "" where there can be none. Raises Untranslatable."""
        ways = self.ways(tree, self.start(type_, {}))
        return readable(self._listed(ways)), self._type(ways) if ways else ""

    def filter(self, tree: Tree, type_: str) -> str:
        """Whether it is true. Raises Untranslatable."""
        return readable(self.truth(tree, self.start(type_, {})).true)

    def _value(self, tree: Tree, focus: Way, *, is_many: bool) -> str:
        try:
            ways = self.ways(tree, focus)
        except Untranslatable:
            code = self._computed(tree, focus)
            return f"listed({code})" if is_many else code
        if is_many:
            return self._listed(ways)
        if len(ways) == 1 and not ways[0].is_many:
            return self.single(ways).code
        lines = ["if found is not None: several()"]
        return self.function(ways, lambda name: [*lines, f"found = {name}"], "return found", "found = None")

    def _computed(self, tree: Tree, focus: Way) -> str:
        try:
            return self.scalar(tree, focus).code
        except Untranslatable:
            found = self.truth(tree, focus)
            return f"(True if {found.true} else False if {found.false} else None)"

    def _listed(self, ways: Ways) -> str:
        if not ways:
            return "[]"
        return self.function(ways, lambda name: [f"found.append({name})"], "return found", "found = []")

    def _type(self, ways: Ways) -> str:
        types = {way.type for way in ways}
        if len(types) != 1:
            raise Untranslatable
        return types.pop()

    def ways(self, tree: Tree, focus: Way, *, is_first: bool = True) -> Ways:
        if tree.kind == "index" and tree.parts[1] == Tree("literal", 0):
            return self._first(self.ways(tree.parts[0], focus, is_first=is_first))
        if tree.kind == "variable" and tree.value == "resource":
            return (Way("", "c.resource.value", self._resource, is_far=True),)
        return super().ways(tree, focus, is_first=is_first)

    def _step(self, ways: Ways, step: Tree) -> Ways:
        match step.kind, step.value:
            case "call", "first":
                return self._first(ways)
            case "call", "getReferenceKey":
                wanted = _wanted(step, self)
                return tuple(self._going(way, "Reference", f"reference_key({way.name}, {wanted!r})") for way in ways)
            case "call", "getResourceKey":
                return tuple(self._going(way, self._resource, f"{way.name}.get('id')") for way in ways)
        return super()._step(ways, step)

    def _going(self, way: Way, needed: str, code: str) -> Way:
        """A way on from elements of a type to a string."""
        if way.type != needed or needed in ("Resource", "DomainResource"):
            raise Untranslatable
        self._count += 1
        name = f"n{self._count}"
        lines = (*way.lines, f"if ({name} := {code}) is not None:")
        return Way(way.start, name, "string", lines, way.is_many, "", way.is_far)

    def _first(self, ways: Ways) -> Ways:
        if not ways:
            return ()
        type_, starts = self._type(ways), {way.start for way in ways}
        if len(starts) != 1 or "" in starts:
            raise Untranslatable
        found = self.function(ways, lambda name: [f"return {name}"], "return None")
        self._count += 1
        name = f"n{self._count}"
        far = any(way.is_far for way in ways)
        return (Way(ways[0].start, name, type_, (f"if ({name} := {found}) is not None:",), False, "", far),)

    def scalar(self, tree: Tree, focus: Way) -> Scalar:
        if tree.kind == "empty":
            return Scalar("None", "")
        if tree.kind == "variable" and tree.value == ROW_INDEX:
            return Scalar("c.row", "Count")
        left, call = calls.method(tree)
        if call and call.value == "iif" and left is None:
            return self._choice(call, focus)
        if call and call.value == "join" and left is not None:
            return self._joined(left, call, focus)
        return super().scalar(tree, focus)

    def truth(self, tree: Tree, focus: Way) -> Truth:
        _, call = calls.method(tree)
        if call and call.value == "matches":
            # What is generated trusts patterns; one that anybody may send is tried with care by the closures.
            raise Untranslatable
        return super().truth(tree, focus)

    def _choice(self, call: Tree, focus: Way) -> Scalar:
        test, then, *rest = call.parts
        a, b = self.scalar(then, focus), self.scalar(rest[0], focus) if rest else Scalar("None", "")
        kinds = {class_of(self.model, each.kind) for each in (a, b) if each.code != "None"}
        if len(kinds) > 1:
            raise Untranslatable
        kind = next((each.kind for each in (a, b) if each.code != "None"), "")
        # A count would be taken to be never empty.
        kind = "Integer" if kind == "Count" else kind
        return Scalar(f"(({a.code}) if {self.truth(test, focus).true} else ({b.code}))", kind)

    def _joined(self, left: Tree, call: Tree, focus: Way) -> Scalar:
        ways = self.ways(left, focus)
        if any(class_of(self.model, way.type) != "string" for way in ways):
            raise Untranslatable
        mark = text_of(call) if call.parts else ""
        if not ways:
            return Scalar("None", "String")
        ended = f"return {mark!r}.join(found) if found else None"
        return Scalar(self.function(ways, lambda name: [f"found.append({name})"], ended, "found = []"), "String")


def _wanted(step: Tree, cells: Cells) -> str:
    try:
        return wanted_type(step, cells.model)
    except ExpressionError:
        raise Untranslatable from None


def several() -> None:
    raise EvaluationError("one value is needed, several were found")


def listed(value: object) -> list[object]:
    return [] if value is None else [value]


# By the names that generated code uses.
CELL_FUNCTIONS = FUNCTIONS | {each.__name__: each for each in (reference_key, several, listed)}
