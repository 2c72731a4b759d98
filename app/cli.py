"""The `dermatome` command."""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.main import create_app, open_database
from app.settings import Settings, WrongSettings, load_settings
from app.validation import load_validator
from app.worker import work

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Neuropathic pain as FHIR R4: mapped, validated, stored, served and synced.",
    no_args_is_help=True,
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
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=20,
        server_header=False,
        log_config=None,
    )
    _Server(config).run()


@app.command()
def worker() -> None:
    """Deliver what waits for the sync targets, until stopped. Several workers share the targets."""
    settings = _settings()
    if settings.sync_targets is None:
        _stop("DERMATOME_SYNC_TARGETS: not set, so there is nothing to deliver to")
    try:
        asyncio.run(_prepare(settings))
        asyncio.run(work(settings))
    except WrongSettings as wrong:
        _stop(str(wrong))


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


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            where = f"http://{self.config.host}:{self.config.port}"
            print(f"Dermatome on {where} (docs at /docs, FHIR at /fhir)", flush=True)


async def _prepare(settings: Settings) -> None:
    """Bring the schema up to date before anything listens. Raises WrongSettings if the database cannot be used."""
    try:
        async with open_database(settings) as database:
            await database.migrate()
    except Exception as error:  # whatever a driver raises: the operator wants its sentence, not its traceback
        reason = str(error.__cause__ or error).splitlines()[0]
        raise WrongSettings(f"DERMATOME_DATABASE_URL: the database cannot be used: {reason}") from None


def _settings() -> Settings:
    try:
        return load_settings()
    except WrongSettings as wrong:
        _stop(str(wrong))


def _stop(message: str) -> NoReturn:
    print(f"Dermatome cannot start:\n{message}", file=sys.stderr)
    raise SystemExit(2)
