"""Compiled modules of the gate on disk, and which definitions were found sound, so that starting is quick.

A file is found by the hash of all it was made from. One named gate-… holds what a module is loaded from; one named
sound-… is empty. They are only ever read from a folder that nobody else can write to.
"""

import hashlib
import marshal
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from app.validation.gate.module import Module, Recipe

_KEPT = 8
_IN_MEMORY = 4


class Compiled(NamedTuple):
    """A module ready to be loaded: its code, and the recipes of its constants."""

    code: tuple[CodeType, ...]
    recipes: dict[str, Recipe]


# Validators follow one another when definitions are posted; most of what they need stays the same.
_loaded: dict[str, Compiled] = {}
# What this process has found sound: a hash each.
_sound: set[str] = set()


class Cache:
    """A folder of compiled modules, and the last ones of this process.

    folder: None for none. base: a hash of the definitions they are all made from; without it nothing is kept.
    """

    def __init__(self, folder: Path | None = None, base: str = "") -> None:
        self._folder = folder if folder and base and _is_ours(folder) else None
        self._base = base

    def compiled(self, key: str, module: Callable[[], Module]) -> Compiled:
        """A module from the folder, or made and compiled now. key: what it depends on besides the base."""
        name = self._name(key)
        if self._base and name in _loaded:
            return _loaded[name]
        found = self._from(self._folder / f"gate-{name}" if self._folder else None, module)
        if self._base:
            while len(_loaded) >= _IN_MEMORY:
                del _loaded[next(iter(_loaded))]
            _loaded[name] = found
        return found

    def once(self, key: str, look: Callable[[], None]) -> None:
        """Look whether definitions are sound, unless the same ones were found so before. key: as for `compiled`.

        What `look` raises is not kept: the next start looks, and tells, again.
        """
        name = self._name(key)
        file = self._folder / f"sound-{name}" if self._folder else None
        if self._base and (name in _sound or (file and file.exists())):
            return
        look()
        if self._base:
            _sound.add(name)
        if file:
            with suppress(OSError):
                # Not empty: on a full disk nothing is to be left, and nothing to be taken for a note.
                _write(file, name.encode())

    def _name(self, key: str) -> str:
        return hashlib.sha256(f"{sys.version}{_sources()}{self._base}{key}".encode()).hexdigest()

    def _from(self, file: Path | None, module: Callable[[], Module]) -> Compiled:
        if file:
            with suppress(OSError, ValueError, EOFError, TypeError):
                code, recipes = marshal.loads(file.read_bytes())  # noqa: S302 - nobody else can write there
                file.touch()
                return Compiled(code, {name: Recipe(*recipe) for name, recipe in recipes.items()})
        made = module()
        code = tuple(compile(part, "<gate>", "exec", dont_inherit=True, optimize=2) for part in made.parts())
        if file:
            with suppress(OSError):
                _write(file, marshal.dumps((code, {name: tuple(recipe) for name, recipe in made.recipes.items()})))
        return Compiled(code, made.recipes)


@cache
def _sources() -> str:
    """A hash of the program text that modules are written by."""
    packages = Path(__file__).parents[1], Path(__file__).parents[2] / "fhir" / "fhirpath"
    return digest(path.read_bytes() for package in packages for path in sorted(package.rglob("*.py")))


def digest(parts: Iterable[bytes]) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(part)
    return made.hexdigest()


def _is_ours(folder: Path) -> bool:
    """Whether a folder, made if need be, belongs to this user and nobody else may write to it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _write(file: Path, content: bytes) -> None:
    """Write as a whole or not at all; the oldest files make room."""
    kind = file.name.partition("-")[0]
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{kind}-")
    try:
        with os.fdopen(descriptor, "wb") as made:
            made.write(content)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    for old in sorted(file.parent.glob(f"{kind}-*"), key=lambda each: each.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
