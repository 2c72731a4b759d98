"""The Python module a gate is: functions and constants, written as text, compiled once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

_INDENT = "    "
_PART = 100_000


class Recipe(NamedTuple):
    """What a constant is made of when the module is loaded: a method of the gate's runtime and its arguments."""

    maker: str
    arguments: tuple[Any, ...]


class Module:
    """Collects the text of functions and the recipes of constants. The same body or recipe is kept once."""

    def __init__(self, prefix: str = "") -> None:
        """prefix: keeps the names of several modules in one namespace apart."""
        self.recipes: dict[str, Recipe] = {}
        self._prefix = prefix
        self._texts: list[str] = []
        self._tables: list[str] = []
        self._named: dict[Any, str] = {}

    def function(self, parameters: str, body: str) -> str:
        """The name of a function with this body."""
        key = (parameters, body)
        if key not in self._named:
            self._named[key] = name = f"{self._prefix}q{len(self._named)}"
            self.define(name, parameters, body)
        return self._named[key]

    def define(self, name: str, parameters: str, body: str) -> None:
        lines = "\n".join(_INDENT + line for line in body.split("\n"))
        self._texts.append(f"def {name}({parameters}):\n{lines}\n")

    def table(self, name: str, entries: dict[str, str]) -> None:
        """A dict from strings to functions that are defined by now or later."""
        self._tables.append(f"{name} = {{{', '.join(f'{key!r}: {each}' for key, each in entries.items())}}}\n")

    def coded_table(self, entries: dict[tuple[str, str], str]) -> str:
        """The name of a dict from system and code to functions."""
        name = f"{self._prefix}T{len(self._tables)}"
        self._tables.append(f"{name} = {{{', '.join(f'{key!r}: {each}' for key, each in entries.items())}}}\n")
        return name

    def constant(self, maker: str, *arguments: Any) -> str:
        """The name of a constant that the runtime makes from the arguments. They are hashable and can be marshalled."""
        recipe = Recipe(maker, arguments)
        if recipe not in self._named:
            self._named[recipe] = name = f"{self._prefix}K{len(self._named)}"
            self.recipes[name] = recipe
        return self._named[recipe]

    def parts(self) -> Iterator[str]:
        """The text in parts of bounded size: compiling takes memory a hundred times as large as a text."""
        part = ""
        for text in self._texts + self._tables:
            if len(part) + len(text) > _PART and part:
                yield part
                part = ""
            part += text
        yield part
