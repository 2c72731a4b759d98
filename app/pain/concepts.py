"""Codes and words the clinic uses: a coding, a concept, an identifier."""

from dataclasses import dataclass

Key = tuple[str, str]  # code system URI, code


@dataclass(frozen=True, slots=True)
class Coding:
    """A code in a code system (canonical URI), with the display and version it was given."""

    system: str
    code: str
    display: str | None = None
    version: str | None = None

    @property
    def key(self) -> Key:
        return self.system, self.code


@dataclass(frozen=True, slots=True)
class Concept:
    """One idea said in codes, in words, or in both; never in neither."""

    codings: tuple[Coding, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    """A business identifier, e.g. a medical record number."""

    system: str
    value: str
