"""Clearing exports away: the files of those that expired, failed or were called off, and in the end their rows."""

import time

from app.export.means import Means
from app.store import exporting
from app.store.tables import ExportJob

_AT_ONCE = 20
_LOOK_SECONDS, _BETWEEN_LOOKS = 60.0, 1.0
# What has expired is told to have expired for so long.
_TOLD_SECONDS = 30 * 86_400.0


class Clearing:
    """Looks what is to go. Whoever is killed in between leaves it to the next: removing twice is no error."""

    def __init__(self, means: Means) -> None:
        self._means, self._idle_until = means, 0.0

    async def step(self) -> float:
        """Clear some jobs away. Raises FilesUnavailable where that cannot be done now."""
        if (left := self._idle_until - time.monotonic()) > 0:
            return left
        async with self._means.database.reading() as connection:
            found = await exporting.to_clear(connection, _AT_ONCE)
            is_held = await exporting.is_held(connection)
        for job in found:
            await self._clear(job)
        if len(found) == _AT_ONCE:
            return 0.0
        # Every write rings.
        self._idle_until = time.monotonic() + _BETWEEN_LOOKS
        # A worker that is at a job that was called off gives it back soon.
        return _BETWEEN_LOOKS if is_held else _LOOK_SECONDS

    async def _clear(self, job: ExportJob) -> None:
        # First nobody is told of the files any more, then they go, then what was noted of them.
        if job.state == "complete":
            async with self._means.database.writing() as connection:
                await exporting.expire(connection, job)
        if not job.cleared:
            await self._means.files.remove(job.id)
        async with self._means.database.writing() as connection:
            await exporting.clear(connection, job, _TOLD_SECONDS)
