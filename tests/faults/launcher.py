"""Runs `dermatome` as a machine with faults of its own would: a clock that is wrong, a disk that is full.

DERMATOME_TEST_CLOCK_SECONDS: how far the clock is ahead. DERMATOME_TEST_MOST_PAGES: a file with the number of pages a
SQLite database may have; what does not fit is refused by SQLite itself, as on a full disk.
DERMATOME_TEST_PAUSE_SECONDS: how long a target that does not answer is left alone at most, which is minutes elsewhere.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from app import cli, main
from app.store.database import Database
from app.sync import health
from app.sync.push import job as push


def _wrong_clock(seconds: int) -> None:
    def wrong() -> int:
        return main.clock() + seconds * 1_000_000

    patch.object(cli, "create_app", partial(main.create_app, now=wrong)).start()


def _full_disk(path: Path) -> None:
    before: Any = Database._set_pragmas

    def with_limit(self: Database, connection: Any, record: object) -> None:
        before(self, connection, record)
        if path.is_file():
            connection.execute(f"PRAGMA max_page_count={int(path.read_text())}")

    patch.object(Database, "_set_pragmas", with_limit).start()


def _short_pauses(seconds: float) -> None:
    patch.object(health, "FIRST_PAUSE", seconds / 2).start()
    patch.object(health, "LONGEST_PAUSE", seconds).start()
    patch.object(push, "_LOST_SECONDS", seconds).start()


if __name__ == "__main__":
    if seconds := int(os.environ.get("DERMATOME_TEST_CLOCK_SECONDS", "0")):
        _wrong_clock(seconds)
    if limit := os.environ.get("DERMATOME_TEST_MOST_PAGES"):
        _full_disk(Path(limit))
    if pause := os.environ.get("DERMATOME_TEST_PAUSE_SECONDS"):
        _short_pauses(float(pause))
    cli.app()
