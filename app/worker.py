"""A worker process: delivers what waits for the sync targets, until it is told to stop."""

import asyncio
import signal
from contextlib import suppress

from app.logs import configure
from app.main import make_pusher, open_database
from app.profiles import r4
from app.settings import Settings
from app.sync.targets import load_targets
from app.validation.rules import BaseRules


async def work(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT. Raises WrongSettings if the targets file cannot be used."""
    configure(settings.log_level)
    targets = load_targets(settings.sync_targets, BaseRules(r4()).resource_types)
    async with open_database(settings) as database:
        task = asyncio.ensure_future(make_pusher(settings, database, targets).run())
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        print(f"Dermatome worker for {', '.join(target.name for target in targets)}", flush=True)
        with suppress(asyncio.CancelledError):
            await task
