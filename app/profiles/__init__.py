"""Finds and parses the content files; holds no logic and no clinical fact of its own."""

import gzip
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

FOLDER = Path(__file__).parent
_R4 = FOLDER / "r4" / "definitions.json.gz"


@cache
def package() -> dict[str, Any]:
    """The package manifest: name, version, canonical base."""
    manifest: dict[str, Any] = json.loads((FOLDER / "package.json").read_text("utf-8"))
    return manifest


def canonical(kind: str, name: str) -> str:
    """The canonical URL of one of our definitions, e.g. canonical("CodeSystem", "np-grade")."""
    return f"{package()['canonical']}/{kind}/{name}"


def json_files(folder: str) -> dict[str, dict[str, Any]]:
    """Every JSON file of a content folder, by file stem, in name order. Decimals keep their digits.

    Read anew each time: what comes belongs to the caller.
    """
    return {
        path.stem: json.loads(path.read_text("utf-8"), parse_float=Decimal)
        for path in sorted((FOLDER / folder).glob("*.json"))
    }


def shared_json(folder: str) -> Mapping[str, dict[str, Any]]:
    """As json_files, but read once and shared: nobody changes what comes."""
    return _shared(FOLDER, folder, json_files)


def toml_files(folder: str) -> Mapping[str, dict[str, Any]]:
    """Every TOML file of a content folder, by file stem, in name order. Decimals keep their digits.

    Read once and shared: nobody changes what comes.
    """
    return _shared(FOLDER, folder, _toml_files)


@cache
def _shared(_: Path, folder: str, read: Callable[[str], dict[str, dict[str, Any]]]) -> Mapping[str, dict[str, Any]]:
    return MappingProxyType(read(folder))


def _toml_files(folder: str) -> dict[str, dict[str, Any]]:
    return {
        path.stem: tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        for path in sorted((FOLDER / folder).glob("*.toml"))
    }


@cache
def r4() -> dict[str, Any]:
    """The compact base R4 definitions written by tools/derive_r4.py (its docstring gives the shape)."""
    definitions: dict[str, Any] = json.loads(gzip.decompress(_R4.read_bytes()))
    return definitions


def r4_digest() -> str:
    """A hash of the base R4 definitions."""
    return hashlib.sha256(_R4.read_bytes()).hexdigest()
