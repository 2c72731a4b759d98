"""Reads a ViewDefinition (SQL on FHIR v2): every problem of it at once, each with its place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath.compiler import ROW_INDEX, Expression, compile_tree
from app.fhir.fhirpath.errors import ExpressionError
from app.fhir.fhirpath.inference import Types, inferred
from app.fhir.fhirpath.model import r4_model
from app.fhir.fhirpath.syntax import Tree, parse
from app.fhir.outcomes import Issue
from app.views.columns import Column

# Invariant sql-name of the specification.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}", re.ASCII)
_OVER = ("forEach", "forEachOrNull", "repeat")
# How a constant's type is written in FHIRPath; any other is a string.
_NUMBERS = {"Integer": int, "PositiveInt": int, "UnsignedInt": int, "Integer64": int, "Decimal": Decimal}
_TEMPORALS = {"Date": "@", "DateTime": "@", "Instant": "@", "Time": "@T"}
_TEXTS = frozenset(
    {"Base64Binary", "Canonical", "Code", "Id", "Markdown", "Oid", "String", "Uri", "Url", "Uuid", "Xhtml"}
)
_MOST_LEVELS = 20
_VARIABLES = frozenset({ROW_INDEX})
Constants = Mapping[str, Tree]


@dataclass(frozen=True, slots=True)
class Path:
    """An expression of a ViewDefinition: where it stands, its tree with the constants put in, and its closure."""

    place: str
    tree: Tree
    expression: Expression


@dataclass(frozen=True, slots=True)
class Selection:
    """A select: its columns, then those of its parts, then those of one branch of its union.

    over: "", forEach, forEachOrNull or repeat, by the paths.
    """

    columns: tuple[tuple[Column, Path], ...] = ()
    over: str = ""
    paths: tuple[Path, ...] = ()
    parts: tuple["Selection", ...] = ()
    union: tuple["Selection", ...] = ()

    def cells(self) -> tuple[tuple[Column, Path], ...]:
        """All columns with their paths, in the order of the rows; of a union, those of its first branch."""
        below = [cell for part in self.parts for cell in part.cells()]
        return (*self.columns, *below, *(self.union[0].cells() if self.union else ()))

    def all_columns(self) -> tuple[Column, ...]:
        return tuple(column for column, _ in self.cells())


@dataclass(slots=True)
class Reading:
    """One pass over a ViewDefinition. unknown: names that no element has, which is no error in the specification."""

    constants: Constants = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    unknown: list[Issue] = field(default_factory=list)

    def wrong(self, code: str, place: str, told: str) -> None:
        self.issues.append(Issue(code, told, place))

    def constants_of(self, definition: Mapping[str, Any]) -> None:
        found: dict[str, Tree] = {}
        for place, one in self.objects(definition, "constant", "ViewDefinition"):
            name = self.name(one, place)
            values = [key for key in one if key.startswith("value")]
            if len(values) != 1:
                self.wrong("required", place, "A constant has exactly one value, such as valueString.")
            elif name:
                tree = self._constant(values[0].removeprefix("value"), one[values[0]], f"{place}.{values[0]}")
                if name in found or name == ROW_INDEX:
                    self.wrong("value", f"{place}.name", f"There is another %{name} already.")
                elif tree:
                    found[name] = tree
        self.constants = found

    def _constant(self, kind: str, value: Any, place: str) -> Tree | None:
        if kind == "Boolean" and isinstance(value, bool):
            return Tree("literal", value)
        if kind in _NUMBERS and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return Tree("literal", value if isinstance(value, int) else Decimal(str(value)))
        if kind in _TEXTS and isinstance(value, str):
            return Tree("literal", value)
        if kind in _TEMPORALS and isinstance(value, str):
            tree = Tree("temporal", _TEMPORALS[kind] + value)
            try:
                compile_tree(tree)
            except ExpressionError:
                self.wrong("value", place, f"The constant is no {kind}.")
            return tree
        self.wrong("value", place, "A constant is a primitive value of the type its name says.")
        return None

    def selections(self, holder: Mapping[str, Any], key: str, place: str, types: Types, level: int) -> list[Selection]:
        if level > _MOST_LEVELS:
            self.wrong("too-costly", place, f"Selects are nested more than {_MOST_LEVELS} levels deep.")
            return []
        return [self._selection(one, at, types, level) for at, one in self.objects(holder, key, place)]

    def _selection(self, one: Mapping[str, Any], place: str, types: Types, level: int) -> Selection:
        self.known(one, place, ("column", "select", "unionAll", *_OVER))
        over, paths, types = self._over(one, place, types)
        columns = tuple(self._column(each, at, types) for at, each in self.objects(one, "column", place))
        parts = self.selections(one, "select", place, types, level + 1)
        union = self.selections(one, "unionAll", place, types, level + 1)
        self._same(union, f"{place}.unionAll")
        if not columns and not parts and not union:
            self.wrong("required", place, "A select has columns, selects or a unionAll.")
        made = tuple((column, path) for column, path in columns if path)
        return Selection(made, over, paths, tuple(parts), tuple(union))

    def _over(self, one: Mapping[str, Any], place: str, types: Types) -> tuple[str, tuple[Path, ...], Types]:
        given = [name for name in _OVER if name in one]
        if len(given) > 1:
            self.wrong("invariant", place, f"A select has only one of {', '.join(_OVER)}.")
        if not given:
            return "", (), types
        over = given[0]
        texts = one[over]
        if over == "repeat" and not (isinstance(texts, list) and texts):
            self.wrong("structure", f"{place}.repeat", "repeat is a list of paths.")
            return over, (), None
        single = over != "repeat"
        named = [(f"{place}.{over}", texts)] if single else [(f"{place}.repeat[{at}]", e) for at, e in enumerate(texts)]
        found = [self.path(text, at, types) for at, text in named]
        reached = found[0][1] if single else None
        return over, tuple(path for path, _ in found if path), reached

    def _column(self, one: Mapping[str, Any], place: str, types: Types) -> tuple[Column, Path | None]:
        self.known(one, place, ("name", "path", "type", "collection", "description", "tag"))
        name = self.name(one, place)
        path, found = self.path(one.get("path"), f"{place}.path", types)
        collection, type_ = one.get("collection", False), one.get("type", "")
        if not isinstance(collection, bool):
            self.wrong("value", f"{place}.collection", "collection is true or false.")
        if not isinstance(type_, str):
            self.wrong("value", f"{place}.type", "type is the name of a type.")
            type_ = ""
        type_ = type_.removeprefix("http://hl7.org/fhir/StructureDefinition/")
        model = r4_model()
        if type_ and type_ not in model.primitives and type_ != "integer64" and not model.has(type_):
            self.wrong("code-invalid", f"{place}.type", f"{type_[:64]} is no type of FHIR.")
        inferred_type = next(iter(found)) if found and len(found) == 1 else "string"
        return Column(name, type_ or inferred_type, collection is True, str(one.get("description", ""))), path

    def path(self, text: Any, place: str, types: Types) -> tuple[Path | None, Types]:
        """An expression, and the types it may give."""
        if not isinstance(text, str) or not text.strip():
            self.wrong("required", place, "A FHIRPath expression is needed here.")
            return None, None
        try:
            tree = self._filled(parse(text))
            expression = compile_tree(tree, _VARIABLES)
        except ExpressionError as error:
            self.wrong("value", place, f"This FHIRPath cannot be used: {error}.")
            return None, None
        except RecursionError:
            self.wrong("too-costly", place, "This FHIRPath is nested too deeply.")
            return None, None
        return Path(place, tree, expression), self._types(tree, types, place)

    def _types(self, tree: Tree, types: Types, place: str) -> Types:
        try:
            return inferred(tree, types, r4_model())
        except ExpressionError as error:
            told = f"This path finds nothing: {error}."
            self.unknown.append(Issue("informational", told, place, severity="warning"))
            return None

    def _filled(self, tree: Tree) -> Tree:
        """The tree with the values of constants in place of their names."""
        if tree.kind == "variable" and tree.value in self.constants:
            return self.constants[tree.value]
        if not tree.parts:
            return tree
        return Tree(tree.kind, tree.value, tuple(self._filled(part) for part in tree.parts))

    def _same(self, union: Sequence[Selection], place: str) -> None:
        """Branches of a union have the same columns in the same order."""
        shapes = [[(each.name, each.type, each.collection) for each in one.all_columns()] for one in union]
        names = [[name for name, _, _ in shape] for shape in shapes]
        for number, one in enumerate(names[1:], 1):
            if one != names[0]:
                told = "Every branch of a unionAll has the columns of the first, in the same order."
                self.wrong("invariant", f"{place}[{number}]", told)

    def name(self, one: Mapping[str, Any], place: str) -> str:
        name = one.get("name")
        if isinstance(name, str) and _NAME.fullmatch(name):
            return name
        told = "A name begins with a letter and has only letters, digits and _ (invariant sql-name)."
        self.wrong("invariant" if name else "required", f"{place}.name", told)
        return ""

    def objects(self, holder: Mapping[str, Any], key: str, place: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The objects of a list, each with its place."""
        items = holder.get(key, [])
        if not isinstance(items, list):
            self.wrong("structure", f"{place}.{key}", f"{key} is a list of objects.")
            return []
        found = []
        for number, one in enumerate(items):
            at = f"{place}.{key}[{number}]"
            if isinstance(one, Mapping):
                found.append((at, one))
            else:
                self.wrong("structure", at, "An object is needed here.")
        return found

    def known(self, one: Mapping[str, Any], place: str, names: Sequence[str]) -> None:
        for name in one:
            if name.removeprefix("_") not in (*names, "id", "extension", "modifierExtension"):
                self.wrong("structure", place, f"{name[:64]} is no element of this part of a ViewDefinition.")
