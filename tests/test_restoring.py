"""The database that tests share is put back whole: else one test could pass or fail for what another has done."""

from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import SQLModel

from app.service import Service
from app.settings import Settings
from app.store.database import Database
from tests.conftest import serving
from tests.restoring import save

TABLES = sorted(table for table in SQLModel.metadata.tables if table != "search_text")
CHANGES = (
    "UPDATE version SET until = 7, ended_at = 7 WHERE vid = (SELECT min(vid) FROM version)",
    "DELETE FROM content",
    "UPDATE search_index SET digest = 'another'",
    "DELETE FROM search_token WHERE param = 'status'",
    "DELETE FROM search_text",
)


async def held(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table; of the words, what they are found by."""
    async with database.reading() as connection:
        rows = {table: (await connection.execute(text(f'SELECT * FROM "{table}"'))).all() for table in TABLES}
        rows["search_text"] = (await connection.execute(text("SELECT rowid, type, content FROM search_text"))).all()
    return {table: sorted((tuple(row) for row in found), key=repr) for table, found in rows.items()}


async def test_what_was_written_changed_and_deleted_is_put_back_under_a_running_application(database_url: str) -> None:
    # No worker: what it writes by itself would be compared too.
    settings = Settings(database_url=database_url, log_level="error", worker="separate")
    async with serving(settings) as client, Database(database_url) as own:
        saved = await save(database_url)
        before = await held(own)
        first = await _write(client)
        async with own.writing() as connection:
            for change in CHANGES:
                await connection.execute(text(change))
        changed = await held(own)

        await saved.restore()

        assert {table for table in before if changed[table] != before[table]} >= {"audit", "content", "search_index"}
        assert await held(own) == before
        assert await _write(client) == first
        await saved.close()


async def _write(client: httpx.AsyncClient) -> int:
    """Store a new resource; the number that the database gave its version."""
    answer = await client.put("/fhir/Patient/one", json={"resourceType": "Patient", "id": "one"})
    assert answer.status_code == 201
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
    async with service.database.reading() as connection:
        return int(await connection.scalar(text("SELECT max(vid) FROM version")) or 0)
