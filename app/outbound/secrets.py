"""Secrets by their names: a file each in a folder, or a variable of the environment. Read when they are used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class NoSecret(Exception):
    """There is no secret of this name, or it cannot be read."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no secret {name}.")


@dataclass(frozen=True, slots=True)
class Secrets:
    """folder: a file for each, called as it is; given: further ones by name. A file goes before."""

    folder: Path | None = None
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return bool(self.folder and (self.folder / name).is_file()) or name in self.given

    def read(self, name: str) -> str:
        """The secret, without a line break at its end. Raises NoSecret."""
        try:
            if self.folder and (self.folder / name).is_file():
                return (self.folder / name).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise NoSecret(name) from None
        if name not in self.given:
            raise NoSecret(name)
        return self.given[name]
