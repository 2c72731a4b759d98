"""Content apart from its version, and search values of every kind, which belong to versions.

What was stored stays; its search values are made anew by the service (app/store/index/).
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_NEXT = "SELECT {what} FROM version AS later WHERE later.type = version.type AND later.id = version.id"
_REPLACED = f"EXISTS ({_NEXT.format(what='1')} AND later.version > version.version)"
_ENDED = f"({_NEXT.format(what='later.last_updated')} AND later.version = version.version + 1)"


def upgrade() -> None:
    _split_versions()
    for table in ("resource", "search_token", "search_reference"):
        op.drop_table(table)
    _values("token", _text("value"), _text("system"))
    _values("reference", _text("target_id"), _text("target_type"))
    by_target = ["target_id", "target_type", "type", "vid"]
    op.create_index("search_reference_by_target", "search_reference", by_target)
    _values("string", _text("value"), after=[sa.Column("exact", sa.String(), nullable=False)])
    _values("uri", _text("value"))
    for name, kind in (("date", sa.BigInteger()), ("number", sa.Double())):
        _values(name, _column("low", kind), _column("high", kind))
        op.create_index(f"search_{name}_by_end", f"search_{name}", ["type", "param", "high", "low", "vid"])
    bounds = (_column("low", sa.Double()), _column("high", sa.Double()))
    _values("quantity", _text("code"), *bounds, _text("system"))
    op.create_index("search_quantity_by_start", "search_quantity", ["type", "param", "low", "high", "vid"])


def _split_versions() -> None:
    op.create_table(
        "content",
        sa.Column("vid", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("vid"),
    )
    op.execute("INSERT INTO content (vid, text) SELECT vid, content FROM version WHERE content IS NOT NULL")
    for column in (
        sa.Column("deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("since", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("indexed", sa.Boolean(), nullable=False, server_default=sa.true()),
    ):
        op.add_column("version", column)
    op.execute("UPDATE version SET deleted = (content IS NULL)")
    op.execute(f"UPDATE version SET until = 0, indexed = false, ended_at = {_ENDED} WHERE {_REPLACED}")  # noqa: S608 (constants)
    op.drop_column("version", "content")
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE version ALTER COLUMN id TYPE varchar COLLATE "C"')
    op.create_index("version_current", "version", ["type", "id"], unique=True, **_where("until IS NULL"))
    op.create_index("version_by_type", "version", ["type", "vid"])
    op.create_index("version_by_time", "version", ["type", "last_updated", "vid"])
    op.create_index("version_by_any_time", "version", ["last_updated", "vid"])
    op.create_index("version_to_forget", "version", ["ended_at"], **_where("indexed AND ended_at IS NOT NULL"))


def _values(name: str, *own: sa.Column[Any], after: Sequence[sa.Column[Any]] = ()) -> None:
    columns = [_text("type"), _text("param"), *own, _column("vid", sa.BigInteger()), _column("item", sa.Integer())]
    key = sa.PrimaryKeyConstraint(*(column.name for column in columns))
    op.create_table(f"search_{name}", *columns, *after, key)
    op.create_index(f"search_{name}_by_version", f"search_{name}", ["vid", "param"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False)


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def downgrade() -> None:
    # The older search values would have to be made anew, and a service of that version does not do it.
    raise CommandError("There is no way back from this schema: restore the backup made before.")
