"""The `dermatome` command."""

import asyncio
import json
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
import uvicorn

from app import access_commands, audit_commands, sync_commands, validate_files
from app.export_command import export
from app.guide.site import PACKAGE, Site
from app.keeping_commands import backup, check, restore
from app.load_command import load
from app.main import clock, create_app, load_clinic, open_database
from app.mapping.questionnaires.questionnaire import questionnaires
from app.pain.content import load_content
from app.routers.connections import Bounds, Connection, look_at
from app.settings import Settings, WrongSettings, bare_address, load_settings
from app.starting import starting
from app.validate_files import Format
from app.validation import load_validator
from app.validation.packages.packages import WrongPackages, definitions_of, load_packages, said
from app.validation.remote import asking
from app.validation.snapshots.broken import BrokenProfile
from app.worker import work

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Neuropathic pain as FHIR R4: mapped, validated, stored, served and synced.",
    no_args_is_help=True,
)


_guide = typer.Typer(help="The implementation guide: profiles, value sets, maps and rules.", no_args_is_help=True)
# A group with one command is none, unless something is said for all of it.
_guide.callback()(lambda: None)
app.add_typer(_guide, name="guide")
app.add_typer(access_commands.app, name="access")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(sync_commands.app, name="sync")
app.command()(export)
app.command()(load)
for _command in (backup, restore, check):
    app.command()(_command)
UnknownProfiles = Literal["warning", "error"]
# Ten ticks of uvicorn are a second.
_TICKS = 10


@app.command()
def serve() -> None:
    """Serve HTTP at HOST and PORT. Settings come from the environment; the README lists them."""
    settings = _settings()
    try:
        with starting():
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
        ws="none",
        http=_connection(settings),  # type: ignore[arg-type]
    )
    _Server(config).run()


@app.command()
def worker() -> None:
    """Do what outlives a request, for sync targets and subscribers, until stopped. Several workers share the work."""
    settings = _settings()
    try:
        asyncio.run(_prepare(settings))
        asyncio.run(work(settings))
    except WrongSettings as wrong:
        _stop(str(wrong))


@app.command()
def validate(
    names: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Files or folders of JSON or NDJSON, or - for standard input."),
    ],
    profile: Annotated[
        list[str] | None, typer.Option(help="A profile to check besides those claimed; repeatable.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How the findings are told.")] = Format.TEXT,
    warnings_as_errors: Annotated[bool, typer.Option("--warnings-as-errors", help="Warnings count as errors.")] = False,
    packages: Annotated[
        Path | None, typer.Option(help="Folder of FHIR packages to validate against.", envvar="DERMATOME_PACKAGES")
    ] = None,
    unknown_profiles: Annotated[
        UnknownProfiles, typer.Option(help="What an unknown profile is.", envvar="DERMATOME_UNKNOWN_PROFILES")
    ] = "warning",
    terminology_server: Annotated[
        str,
        typer.Option(
            envvar="DERMATOME_TERMINOLOGY_SERVER",
            help="FHIR R4 terminology server to ask about codes that are not held here.",
        ),
    ] = "",
) -> None:
    """Validate resources. Ends with 0 if all are valid, 1 if not, 2 if something could not be read."""
    try:
        found = load_packages(packages) if packages else []
        every = [*definitions_of(found), *questionnaires(load_content())]
        validator = load_validator(every, unknown_profiles=unknown_profiles)
    except (WrongPackages, BrokenProfile) as wrong:
        _stop(str(wrong), "Cannot validate")
    for line in said(found):
        print(line, file=sys.stderr)
    with asking(validator, _address(terminology_server), clock) as checker:
        code = validate_files.run(checker, names, profile or [], format_, strict=warnings_as_errors)
    raise typer.Exit(code)


@_guide.command()
def build(
    output: Annotated[Path | None, typer.Option(help="Folder for the pages, as files that need no server.")] = None,
    package: Annotated[Path | None, typer.Option(help="File for the FHIR package, e.g. dermatome.tgz.")] = None,
) -> None:
    """Write the implementation guide: its pages, its package, or both."""
    if not output and not package:
        _stop("say --output FOLDER, --package FILE, or both", "Nothing to write")
    try:
        site = Site(load_clinic(_settings()), "")
    except WrongSettings as wrong:
        _stop(str(wrong))
    wanted = {output / name: name for name in site.names()} if output else {}
    wanted |= {package: PACKAGE} if package else {}
    try:
        for path, name in wanted.items():
            file = site.file(name)
            if file:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.body)
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}", "Cannot write")
    print(f"{len(wanted)} files written")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    print(json.dumps(create_app(_settings()).openapi(), indent=1))


def _connection(settings: Settings) -> partial[Connection]:
    """What makes the connections of the server."""
    bounds = Bounds(
        settings.max_header_bytes, settings.header_seconds, settings.unread_seconds, settings.max_connections
    )
    return partial(Connection, bounds)


class _Server(uvicorn.Server):
    """Says where it listens once it does, looks at its connections, and lets go of those who wait when it ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            where = f"http://{self.config.host}:{self.config.port}"
            print(f"Dermatome on {where} (docs at /docs, FHIR at /fhir)", flush=True)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            look_at(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        application: Any = self.config.app
        application.state.service.waiters.end()
        await super().shutdown(sockets)


async def _prepare(settings: Settings) -> None:
    """Bring the schema up to date before anything listens. Raises WrongSettings if the database cannot be used."""
    try:
        async with open_database(settings) as database:
            await database.migrate()
    except Exception as error:  # whatever a driver raises: the operator wants its sentence, not its traceback
        reason = str(error.__cause__ or error).splitlines()[0]
        raise WrongSettings(f"DERMATOME_DATABASE_URL: the database cannot be used: {reason}") from None


def _address(given: str) -> str:
    try:
        return bare_address(given) if given else ""
    except ValueError:
        _stop("--terminology-server: is no address of a server, e.g. https://tx.example.org/r4", "Cannot validate")


def _settings() -> Settings:
    try:
        return load_settings()
    except WrongSettings as wrong:
        _stop(str(wrong))


def _stop(message: str, headline: str = "Dermatome cannot start") -> NoReturn:
    print(f"{headline}:\n{message}", file=sys.stderr)
    raise SystemExit(2)
