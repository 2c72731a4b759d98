"""Finds the codes in content files, wherever they stand: codings, value sets, maps, lists, FHIRPath expressions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Comparisons and brackets of an expression; other texts in quotes are stepped over.
_COMPARED = re.compile(r"(?P<bracket>[()])|\b(?P<kind>system|code) = '(?P<said>[^']*)'|'[^']*'")


@dataclass(frozen=True, slots=True)
class Found:
    """One code. path: where in its file; display: None where none is given."""

    path: str
    system: str
    code: str
    display: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.system, self.code


def coded(value: Any, systems: Mapping[str, str], path: str = "") -> Iterator[Found]:
    """Every code in a file. systems: name used in TOML files -> URL."""
    if isinstance(value, Mapping):
        yield from _in_table(value, systems, path)
        for key, inner in value.items():
            yield from coded(inner, systems, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from coded(inner, systems, f"{path}[{place}]")
    elif isinstance(value, str):
        yield from _in_expression(value, path)


def prefixes(value: Any, systems: Mapping[str, str], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every (path, system, prefix) in a file: `prefix` beside a system stands for all codes that begin so. A table
    `absent` names what a classification does not have."""
    if isinstance(value, Mapping):
        system = value.get("system")
        if isinstance(system, str):
            given = [value.get("prefix", []), value.get("prefixes", [])]
            flat = [one for each in given for one in ([each] if isinstance(each, str) else each)]
            yield from ((path, systems.get(system, system), one) for one in flat)
        for key, inner in value.items():
            if key == "absent":
                continue
            yield from prefixes(inner, systems, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from prefixes(inner, systems, f"{path}[{place}]")


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a file with its path, the names of its parts too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else str(key)
            yield below, str(key)
            yield from texts(inner, below)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from texts(inner, f"{path}[{place}]")
    elif isinstance(value, str):
        yield path, value


def _in_table(value: Mapping[str, Any], systems: Mapping[str, str], path: str) -> Iterator[Found]:
    system, code = value.get("system"), value.get("code")
    if isinstance(system, str):
        url = systems.get(system, system)
        if isinstance(code, str):
            # A quantity calls its unit what it likes; only codings have displays.
            yield Found(path, url, code, value.get("display"))
        for name in ("concept", "codes"):
            yield from _rows(value.get(name), url, f"{path}.{name}")
        yield from _filters(value.get("filter"), url, f"{path}.filter")
    if "element" in value and isinstance(value.get("source"), str):
        yield from _map_group(value, path)


def _rows(rows: Any, system: str, path: str) -> Iterator[Found]:
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, str):
            yield Found(f"{path}[{place}]", system, row)
        elif "system" not in row and isinstance(row.get("code"), str):
            yield Found(f"{path}[{place}]", system, row["code"], row.get("display"))


def _filters(rows: Any, system: str, path: str) -> Iterator[Found]:
    """A filter that starts at a concept names its code."""
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        if row.get("op") in ("is-a", "descendent-of", "is-not-a"):
            yield Found(f"{path}[{place}]", system, row["value"])


def _map_group(group: Mapping[str, Any], path: str) -> Iterator[Found]:
    for place, element in enumerate(group["element"]):
        here = f"{path}.element[{place}]"
        yield Found(here, group["source"], element["code"], element.get("display"))
        for at, target in enumerate(element.get("target", ())):
            if "code" in target:
                yield Found(f"{here}.target[{at}]", group["target"], target["code"], target.get("display"))


def _in_expression(text: str, path: str) -> Iterator[Found]:
    """The codes that an expression compares: each is of the system that is compared in the same brackets, or in those
    around it. A code without a system is a unit, or of a system that the element has."""
    if " = '" not in text:
        return
    systems = [""]
    for found in _COMPARED.finditer(text):
        if found["bracket"] == "(":
            systems.append(systems[-1])
        elif found["bracket"] and len(systems) > 1:
            systems.pop()
        elif found["kind"] == "system":
            systems[-1] = found["said"]
        elif found["kind"] == "code":
            yield Found(path, systems[-1], found["said"])
