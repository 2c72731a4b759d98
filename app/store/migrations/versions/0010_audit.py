"""Every access is noted, not only changes; what is noted cannot be altered, and is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TABLES = ("audit", "audit_seal")
_NAMED = """
UPDATE audit SET interaction =
  CASE method WHEN 'POST' THEN 'create' WHEN 'PUT' THEN 'update' WHEN 'PATCH' THEN 'patch' ELSE 'delete' END
"""
_REFUSE = """
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what is noted is not altered';
END $$
"""


def upgrade() -> None:
    for name in ("client", "issuer", "address", "interaction", "query"):
        op.add_column("audit", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("patient", _BYTEWISE, nullable=False, server_default=""))
    op.add_column("audit", sa.Column("status", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("audit", "id", type_=sa.String(collation="C"))
    op.create_index("audit_by_time", "audit", ["at"])
    _index_some("audit_by_patient", ["patient", "aid"], "patient <> ''")
    _index_some("audit_by_entity", ["type", "id"], "id <> ''")
    op.create_table(
        "audit_seal",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.execute(_NAMED)
    _refuse_changes()


def _index_some(name: str, columns: list[str], condition: str) -> None:
    op.create_index(name, "audit", columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _refuse_changes() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        op.execute(_REFUSE)
    for table in _TABLES:
        for event in ("UPDATE", "DELETE"):
            name, told = f"{table}_{event.lower()}", "SELECT RAISE(ABORT, 'what is noted is not altered');"
            does = f"BEGIN {told} END" if is_sqlite else "EXECUTE FUNCTION audit_stays()"
            each = "" if is_sqlite else "FOR EACH ROW"
            op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} {each} {does}")
        if not is_sqlite:
            op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_stays()")


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _TABLES:
        for event in ("update", "delete", *(() if is_sqlite else ("truncate",))):
            op.execute(f"DROP TRIGGER {table}_{event}" + ("" if is_sqlite else f" ON {table}"))
    if not is_sqlite:
        op.execute("DROP FUNCTION audit_stays()")
    op.drop_table("audit_seal")
    for name in ("audit_by_entity", "audit_by_patient", "audit_by_time"):
        op.drop_index(name, "audit")
    with op.batch_alter_table("audit") as audit:
        for name in ("status", "patient", "query", "interaction", "address", "issuer", "client"):
            audit.drop_column(name)
