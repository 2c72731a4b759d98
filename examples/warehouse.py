"""Keeps a SQLite file in step with a server by its change feed: all that is held, as it is now, one row per resource.

    python -m examples.warehouse http://127.0.0.1:8000/fhir warehouse.db

It follows until it is stopped, and goes on where it was when it is started again: the rows and the place in the feed
are written in one transaction, so that it may be killed at any time. What is told twice does no harm: a version that
is there already is passed over. `--once` ends when there is nothing left to tell.

    SELECT content ->> '$.code.coding[0].code', count(*) FROM resource WHERE type = 'Observation' GROUP BY 1
"""

import argparse
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    type TEXT, id TEXT, version INTEGER, changed TEXT, content TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (source TEXT PRIMARY KEY, next TEXT);
"""
# A deletion is kept as a row without content: an older version that is told again must not bring the resource back.
# The content is cut out as it stands: read as numbers of Python, 2.50 would become 2.5.
WRITE = """
INSERT INTO resource VALUES (:type, :id, :version, :changed, :entry -> '$.resource')
ON CONFLICT DO UPDATE SET version = excluded.version, changed = excluded.changed, content = excluded.content
WHERE excluded.version > version
"""
WAIT_SECONDS = 20
# What a server that is restarted, or has too much to do, answers; then it is asked again.
BUSY = (429, 502, 503, 504)
PAUSE_SECONDS = 1.0


class Warehouse:
    """One file, filled from one server."""

    def __init__(self, path: Path, base: str) -> None:
        self._database, self._base = sqlite3.connect(path, isolation_level=None), base
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    @property
    def next(self) -> str:
        """Where to go on: the link of the last page that was written down, else the beginning."""
        row = self._database.execute("SELECT next FROM place WHERE source = ?", [self._base]).fetchone()
        return row[0] if row else f"{self._base}/$changes"

    def write(self, rows: list[dict[str, Any]], next_: str) -> None:
        """Write down a page and the place after it: both or neither."""
        with self._transaction():
            self._database.executemany(WRITE, rows)
            self._database.execute("INSERT OR REPLACE INTO place VALUES (?, ?)", [self._base, next_])

    def clear(self) -> None:
        """Forget everything: the server was put back, and may hold less than was read."""
        with self._transaction():
            self._database.execute("DELETE FROM resource")
            self._database.execute("DELETE FROM place WHERE source = ?", [self._base])

    def _transaction(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database


def rows_of(page: str) -> list[dict[str, Any]]:
    """The rows of a page, which is NDJSON: the entries of a history, a deletion without a resource."""
    return [_row(line) for line in page.split("\n") if line]


def _row(line: str) -> dict[str, Any]:
    entry = json.loads(line)
    type_, id_ = entry["fullUrl"].split("/")[-2:]
    response = entry["response"]
    return {
        "type": type_,
        "id": id_,
        "version": int(response["etag"].strip('W/"')),
        "changed": response["lastModified"],
        "entry": line,
    }


def follow(warehouse: Warehouse, client: httpx.Client, *, once: bool) -> None:
    """Follow for ever; once: until there is nothing left to tell."""
    while True:
        page = _asked(client, httpx.URL(warehouse.next).copy_set_param("wait", 0 if once else WAIT_SECONDS))
        if page is None:
            warehouse.clear()
            continue
        rows = rows_of(page.text)
        warehouse.write(rows, page.links["next"]["url"])
        if once and not rows:
            return


def _asked(client: httpx.Client, address: httpx.URL) -> httpx.Response | None:
    """A page of the feed; None where the place in it is lost, and one has to begin anew."""
    while True:
        try:
            page = client.get(address, headers={"Accept": "application/x-ndjson"})
        except httpx.TransportError:
            time.sleep(PAUSE_SECONDS)
            continue
        if page.status_code == httpx.codes.GONE:
            return None
        if page.status_code not in BUSY:
            return page.raise_for_status()
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the FHIR endpoint, e.g. http://127.0.0.1:8000/fhir")
    parser.add_argument("file", type=Path, help="the SQLite file; made if it is not there")
    parser.add_argument("--once", action="store_true", help="end when there is nothing left to tell")
    given = parser.parse_args()
    filled = closing(Warehouse(given.file, given.base.rstrip("/")))
    with filled as warehouse, httpx.Client(timeout=2 * WAIT_SECONDS) as client:
        follow(warehouse, client, once=given.once)


if __name__ == "__main__":
    main()
