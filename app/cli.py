"""The `dermatome` command."""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.logs import configure
from app.main import create_app, make_pusher, open_database
from app.settings import Settings, WrongSettings, load_settings
from app.sync.targets import load_targets
from app.validation import load_validator

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Neuropathic pain as FHIR R4: mapped, validated, stored, served and synced.", no_args_is_help=True
)


@app.command()
def serve() -> None:
    """Serve HTTP at HOST and PORT. Settings come from the environment; the README lists them."""
    settings = _settings()
    try:
        application = create_app(settings)
        asyncio.run(_prepare(settings))
    except WrongSettings as wrong:
        _stop(str(wrong))
    print(f"Dermatome on http://{settings.host}:{settings.port} (docs at /docs, FHIR at /fhir)", flush=True)
    uvicorn.run(
        application,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=20,
        server_header=False,
    )


@app.command()
def worker() -> None:
    """Deliver what waits for the sync targets, until stopped. Several workers share the targets."""
    settings = _settings()
    if settings.sync_targets is None:
        _stop("DERMATOME_SYNC_TARGETS: not set, so there is nothing to deliver to")
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_work(settings))


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="JSON files, one resource each.")]) -> None:
    """Validate resources; ends with 1 if any has an error."""
    validator, failed = load_validator(), False
    for file in files:
        try:
            issues = validator.check(lossless.parse_object(file.read_bytes()))
        except Refused as refused:
            issues = list(refused.issues)
        except OSError as error:
            issues = [Issue("not-found", f"The file cannot be read: {error.strerror}.")]
        failed = failed or any(issue.is_error for issue in issues)
        for issue in issues:
            print(f"{file}: {issue.severity}: {issue.expression}: {issue.diagnostics}")
        if not issues:
            print(f"{file}: valid")
    raise typer.Exit(1 if failed else 0)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    print(json.dumps(create_app(_settings()).openapi(), indent=1))


async def _prepare(settings: Settings) -> None:
    """Bring the schema up to date before anything listens. Raises WrongSettings if the database cannot be used."""
    try:
        async with open_database(settings) as database:
            await database.migrate()
    except Exception as error:  # whatever a driver raises: the operator wants its sentence, not its traceback
        reason = str(error.__cause__ or error).splitlines()[0]
        raise WrongSettings(f"DERMATOME_DATABASE_URL: the database cannot be used: {reason}") from None


async def _work(settings: Settings) -> None:
    configure(settings.log_level)
    try:
        targets = load_targets(settings.sync_targets, load_validator().resource_types)
        await _prepare(settings)
    except WrongSettings as wrong:
        _stop(str(wrong))
    async with open_database(settings) as database:
        task = asyncio.ensure_future(make_pusher(settings, database, targets).run())
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        print(f"Dermatome worker for {', '.join(target.name for target in targets)}", flush=True)
        await task


def _settings() -> Settings:
    try:
        return load_settings()
    except WrongSettings as wrong:
        _stop(str(wrong))


def _stop(message: str) -> NoReturn:
    print(f"Dermatome cannot start:\n{message}", file=sys.stderr)
    raise SystemExit(2)
