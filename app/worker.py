"""A worker process: does what outlives a request, as sync does, until it is told to stop."""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress

from app.logs import configure
from app.main import make_service
from app.settings import Settings
from app.starting import starting
from app.working import make_worker


async def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises WrongSettings if a setting cannot be used."""
    configure(settings.log_level)
    with starting():
        service = make_service(settings, works=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database)
        await service.registry.prepare(is_whole=False)
        await stack.enter_async_context(service.bell)
        if service.terminology_server:
            await stack.enter_async_context(service.terminology_server)
        task = asyncio.ensure_future(make_worker(service).run())
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        print("Dermatome worker is ready", flush=True)
        with suppress(asyncio.CancelledError):
            await task
