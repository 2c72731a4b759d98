"""What the work on exports needs, handed in by main."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.export.files import Files
from app.export.shapes import Pseudonyms, Tables
from app.export.writing import Limits
from app.store.database import Database
from app.store.search import Searcher


@dataclass(frozen=True, slots=True)
class Means:
    """refresh: puts the terminology of now in force. pseudonyms: of an export of that time, by the key as it is now;
    raises Refused without one. tables: None where none are made. ring: wakes workers. clock: microseconds since 1970.
    owner: this worker. keep_seconds: how long files stay."""

    database: Database
    searcher: Searcher
    files: Files
    refresh: Callable[[], Awaitable[None]]
    pseudonyms: Callable[[int], Pseudonyms]
    ring: Callable[[], None]
    clock: Callable[[], int]
    owner: str
    lease_seconds: float
    keep_seconds: float
    limits: Limits = field(default_factory=Limits)
    tables: Tables | None = None
