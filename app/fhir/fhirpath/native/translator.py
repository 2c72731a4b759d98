"""Turns constraints into plain Python on JSON values: the closures' answer, many times faster, for what is common.

What is generated presumes what validation makes sure of: the structure around is right, and no primitive has an `_x`
beside it. An expression with anything that is not known here raises Untranslatable; it is then left to the closures of
compiler.py.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from app.fhir.fhirpath.compiler import named_constant
from app.fhir.fhirpath.native import calls
from app.fhir.fhirpath.native.values import FROM_LEFT, LOGIC, UNKNOWN, Scalar, Truth, class_of, literal, literals
from app.fhir.fhirpath.native.ways import Paths, Untranslatable, Way, Ways, readable
from app.fhir.fhirpath.syntax import Tree, parse

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_TRUTHS = frozenset({*LOGIC, "=", *(_COMPARISONS - {"=="}), "in"})


class Translator(Paths):
    """Translates for one generated module."""

    def condition(self, text: str, type_: str, allowed: Mapping[str, Collection[str]] = MappingProxyType({})) -> str:
        """A Python expression on the element v, surrounded by c, that is true just where the constraint holds.

        c.resource is %resource. allowed: the JSON names that a profile leaves to a choice of the element, as in
        {"value": ["valueQuantity"]}. Raises Untranslatable.
        """
        return readable(self.truth(parse(text), self.start(type_, allowed)).true)

    def sure(self, text: str, type_: str) -> str:
        """As condition, but true only where the constraint holds for sure: what cannot be translated is left open."""
        self._may_resolve = True
        return readable(self._sure(parse(text), self.start(type_, {})).true)

    def _sure(self, tree: Tree, focus: Way) -> Truth:
        try:
            return self.truth(tree, focus)
        except Untranslatable:
            if tree.value not in FROM_LEFT or tree.kind != "binary":
                raise
        left = self._sure(tree.parts[0], focus)
        try:
            right = self._sure(tree.parts[1], focus)
        except Untranslatable:
            right = UNKNOWN
        return FROM_LEFT[tree.value](left, right)

    def truth(self, tree: Tree, focus: Way) -> Truth:
        if tree.kind == "binary":
            return self._binary(tree, focus)
        left, call = calls.method(tree)
        if call and (test := calls.TESTS.get(call.value)):
            return test(self, left, call, focus)
        value = self.scalar(tree, focus)
        if class_of(self.model, value.kind) != "boolean":
            raise Untranslatable
        return Truth(f"({value.code} is True)", f"({value.code} is False)")

    def _binary(self, tree: Tree, focus: Way) -> Truth:
        if tree.value in LOGIC:
            return LOGIC[tree.value](*(self.truth(part, focus) for part in tree.parts))
        if tree.value == "in":
            return self._membership(tree.parts[0], tree.parts[1], focus)
        operator = {"=": "=="}.get(tree.value, tree.value)
        if operator not in _COMPARISONS:
            raise Untranslatable
        if operator in ("==", "!=") and all(_is_test(part) for part in tree.parts):
            found = LOGIC["xor"](*(self.truth(part, focus) for part in tree.parts))
            return found.negated if operator == "==" else found
        return self._comparison(operator, *(self.scalar(part, focus) for part in tree.parts))

    def _comparison(self, operator: str, a: Scalar, b: Scalar) -> Truth:
        kind = class_of(self.model, a.kind)
        is_order = operator not in ("==", "!=")
        if kind != class_of(self.model, b.kind) or (is_order and kind not in ("number", "date")):
            raise Untranslatable
        if kind == "date":
            given, test = f"date_order({a.code}, {b.code}) is not None", f"date_order({a.code}, {b.code}) {operator} 0"
        else:
            given = " and ".join(f"{each.code} is not None" for each in (a, b) if not each.is_certain) or "True"
            test = f"{a.code} {operator} {b.code}"
        is_plain = operator == "==" and (a.is_certain or b.is_certain)
        return Truth(f"({test})" if is_plain else f"({given} and {test})", f"({given} and not {test})")

    def _membership(self, one: Tree, other: Tree, focus: Way) -> Truth:
        value, texts = self.scalar(one, focus), list(literals(other))
        if class_of(self.model, value.kind) != "string" or not all(isinstance(text, str) for text in texts):
            raise Untranslatable
        options = "{" + ", ".join(map(repr, texts)) + "}"
        return Truth(f"({value.code} in {options})", f"({value.code} is not None and {value.code} not in {options})")

    def scalar(self, tree: Tree, focus: Way) -> Scalar:
        if tree.kind == "literal":
            return literal(tree.value)
        if tree.kind == "variable" and (constant := named_constant(tree.value)):
            return literal(constant)
        if tree.kind == "binary" and tree.value in ("+", "-", "mod"):
            a, b = (self.scalar(part, focus) for part in tree.parts)
            if {class_of(self.model, a.kind), class_of(self.model, b.kind)} != {"number"}:
                raise Untranslatable
            return Scalar(f"number({tree.value!r}, {a.code}, {b.code})", "Decimal")
        left, call = calls.method(tree)
        if call and (value := calls.VALUES.get(call.value)):
            return value(self, left, call, focus)
        return self.single(self.ways(tree, focus))

    def single(self, ways: Ways) -> Scalar:
        """The one value at the end of a way, None where there is none."""
        if len(ways) != 1 or ways[0].is_many:
            raise Untranslatable
        way = ways[0]
        if not way.lines:
            return Scalar(way.name, way.type)
        if way.key:
            return Scalar(f"{way.start}.get({way.key!r})", way.type)
        return Scalar(self.function(ways, lambda name: [f"return {name}"], "return None"), way.type)

    def found(self, left: Tree | None, focus: Way) -> Ways:
        return self.ways(left, focus) if left else (focus,)

    def condition_of(self, tree: Tree, focus: Way) -> str:
        return self.truth(tree, focus).true

    def text(self, left: Tree | None, focus: Way) -> Scalar:
        value = self.scalar(left, focus) if left else Scalar(focus.name, focus.type)
        if class_of(self.model, value.kind) != "string":
            raise Untranslatable
        return value


def _is_test(tree: Tree) -> bool:
    """Whether an expression gives true or false by its form."""
    _, call = calls.method(tree)
    return (call is not None and call.value in calls.TESTS) or (tree.kind == "binary" and tree.value in _TRUTHS)
