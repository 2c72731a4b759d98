"""The schema of the database: which revision it is, the way to the newest one, and back to that of a backup."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, Table


class Newer(Exception):
    """The schema is of a later version of this program; the text says so."""


class NoWayBack(Exception):
    """No database is taken back to that revision."""


@cache
def _revisions() -> tuple[str, ...]:
    """Newest first."""
    return tuple(each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions())


def newest() -> str:
    """What this program works on."""
    return _revisions()[0]


def is_known(revision: str) -> bool:
    """Whether there is a way from this revision to the newest."""
    return revision in _revisions()


def current(connection: Connection) -> str | None:
    """The revision of a database; None where it has no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> None:
    """Bring it to the newest revision. Raises Newer."""
    found = current(connection)
    if found is not None and not is_known(found):
        raise Newer(f"a later version of Dermatome made its schema ({found}); this one knows it to {newest()}.")
    command.upgrade(_config(connection), "head")


def go_back(connection: Connection, revision: str) -> dict[str, Table]:
    """Take an empty database to an earlier revision. Answers its tables of then, by name. Raises NoWayBack."""
    try:
        command.downgrade(_config(connection), revision)
    except CommandError as error:
        raise NoWayBack from error
    found = MetaData()
    found.reflect(connection, resolve_fks=False)
    return dict(found.tables)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
