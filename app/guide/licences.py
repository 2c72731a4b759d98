"""Under which terms the codes and instruments of others are shipped: the page of the guide and docs/licences.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.pain.content import Content
from app.profiles import toml_files


@dataclass(frozen=True, slots=True)
class Terms:
    """One terminology: what is shipped of it, under which terms, where its notice is, what switches it off."""

    name: str
    edition: str
    shipped: str
    terms: str
    url: str
    carried: str
    off: str
    systems: tuple[str, ...]
    prefixes: tuple[str, ...]

    def covers(self, system: str) -> bool:
        return system in self.systems or system.startswith(self.prefixes)


@cache
def terminologies() -> tuple[Terms, ...]:
    """The terminologies of others, in the order of the file."""
    uris = toml_files("vocabulary")["systems"]["system"]
    return tuple(_terms(row, uris) for row in toml_files("guide")["licences"]["terminology"])


def name_of(system: str) -> str:
    """What people call a code system: the name of its terminology, or the end of its URL."""
    found = (one.name for one in terminologies() if one.systems == (system,))
    return next(found, system.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """One instrument: its licence as its file says it, and the setting that leaves it out."""

    id: str
    title: str
    licence: str
    citation: str
    off: str


def instruments(content: Content) -> list[InstrumentTerms]:
    """The terms of every instrument, by id."""
    return [
        InstrumentTerms(one.id, one.title, one.licence, one.citation, f"DERMATOME_INSTRUMENTS_OFF={one.id}")
        for _, one in sorted(content.instruments.items())
    ]


def _terms(row: Mapping[str, Any], uris: Mapping[str, str]) -> Terms:
    return Terms(
        name=row["name"],
        edition=row["edition"],
        shipped=row["shipped"],
        terms=row["terms"],
        url=row["url"],
        carried=row["carried"],
        off=row.get("off", ""),
        systems=tuple(uris[name] for name in row["systems"]),
        prefixes=tuple(row.get("prefixes", ())),
    )
