"""Sync: targets and what is known of them, one outbox row per resource, pulls, quarantine, subscriptions, a feed."""

import uuid

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.create_index("version_by_moment", "version", ["since"])
    _new_outbox()
    _new_ledger()
    op.create_table(
        "sync_target",
        *(_text(name) for name in ("name", "definition", "origin")),
        _whole("revision"),
        _big("updated_at"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "sync_state",
        *(_text("target"), _whole("failures"), _big("open_until"), _flag("paused"), _big("backfill")),
        *(_text("capabilities"), _big("capabilities_at"), _whole("batch_size")),
        *(_big(name) for name in ("sent", "refused", "retried", "conflicts", "pulled")),
        *(_big("last_success_at"), _big("last_error_at"), _text("last_error")),
        sa.PrimaryKeyConstraint("target"),
    )
    op.create_table(
        "pull",
        *(_text(name) for name in ("target", "type", "mode", "next_link", "mark", "error")),
        *(_big(name) for name in ("watermark", "high", "started", "not_before", "finished_at")),
        *(_whole("pages"), _flag("requested"), _whole("failures")),
        sa.PrimaryKeyConstraint("target", "type"),
    )
    op.create_table(
        "quarantine",
        sa.Column("qid", _KEY, primary_key=True, autoincrement=True),
        *(_text(name) for name in ("target", "type", "remote_id", "remote_version")),
        _big("remote_updated"),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        *(_text("issues"), _whole("attempts"), _big("not_before"), _flag("discarded"), _big("created_at")),
        sa.UniqueConstraint("target", "type", "remote_id"),
    )
    _new_conflicts()
    instance = op.create_table("instance", _text("name"), sa.PrimaryKeyConstraint("name"))
    op.bulk_insert(instance, [{"name": uuid.uuid4().hex[:12]}])
    op.create_table("feed", _text("name"), _text("snapshot"), sa.PrimaryKeyConstraint("name"))
    op.create_table(
        "subscription_state",
        *(_text("id"), _whole("version"), _text("status"), _big("last_event"), _big("delivered"), _whole("failures")),
        *(_big("not_before"), _big("sent_at"), _big("heartbeat_at"), _big("ends_at")),
        *(_text("owner"), _big("leased_until"), _text("error")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "subscription_event",
        *(_text("subscription"), _big("number"), _text("type"), _text("id"), _whole("version"), _big("created_at")),
        sa.PrimaryKeyConstraint("subscription", "number"),
    )


def _new_conflicts() -> None:
    op.create_table(
        "sync_conflict",
        sa.Column("sid", _KEY, primary_key=True, autoincrement=True),
        *(_text("cid"), _text("target"), _text("type"), _text("id"), _whole("version"), _whole("base_version")),
        sa.Column("base", sa.LargeBinary(), nullable=True),
        *(_text("remote_id"), _text("remote_version"), _text("remote_etag"), _big("remote_updated")),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        *(_text(name) for name in ("differences", "issues", "state", "resolution", "decided_by")),
        *(_whole("result"), _big("created_at"), _big("settled_at")),
        sa.UniqueConstraint("cid"),
    )
    op.create_index("sync_conflict_by_state", "sync_conflict", ["state", "sid"])
    op.create_index("sync_conflict_by_resource", "sync_conflict", ["target", "type", "id"])


def _new_outbox() -> None:
    """One row per resource instead of one per version: the newest stays, pending if any version was."""
    op.drop_index("outbox_due", table_name="outbox")
    op.rename_table("outbox", "outbox_before")
    op.create_table(
        "outbox",
        sa.Column("oid", _KEY, primary_key=True, autoincrement=True),
        *(_text("target"), _text("type"), _text("id"), _whole("version"), _big("vid"), _text("patient")),
        *(_text("state"), _whole("attempts"), _big("not_before"), _text("owner"), _big("leased_until")),
        *(_text("blocked_by"), _whole("status"), _text("reason"), _big("created_at")),
        sa.UniqueConstraint("target", "type", "id"),
    )
    op.execute(
        """INSERT INTO outbox (target, type, id, version, vid, patient, state, attempts, not_before, owner,
            leased_until, blocked_by, status, reason, created_at)
        SELECT target, type, id, version, vid, '', state, attempts, 0, '', 0, '', 0, reason, created_at
        FROM outbox_before AS one
        WHERE version = (SELECT max(version) FROM outbox_before AS other
            WHERE other.target = one.target AND other.type = one.type AND other.id = one.id)
        ORDER BY oid"""
    )
    op.drop_table("outbox_before")
    op.create_index("outbox_due", "outbox", ["target", "state", "oid"])
    for name, columns, condition in (
        ("outbox_blocked", ["target", "blocked_by"], sa.text("blocked_by <> ''")),
        ("outbox_leased", ["target", "leased_until"], sa.text("leased_until > 0")),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=condition, postgresql_where=condition)


def _new_ledger() -> None:
    """Before, the id on the target was always our own, and its version is in its ETag."""
    for column, default in (
        (_flag("deleted"), sa.false()),
        (_text("remote_id"), "''"),
        (_text("remote_version"), "''"),
        (_big("remote_updated"), "0"),
    ):
        column.server_default = sa.DefaultClause(sa.text(default) if isinstance(default, str) else default)
        op.add_column("ledger", column)
    op.execute("UPDATE ledger SET remote_id = id, remote_version = replace(replace(remote_etag, 'W/', ''), '\"', '')")
    with op.batch_alter_table("ledger") as table:
        for name in ("deleted", "remote_id", "remote_version", "remote_updated"):
            table.alter_column(name, server_default=None)
    op.create_index("ledger_by_remote", "ledger", ["target", "type", "remote_id"])


def downgrade() -> None:
    # Which remote version a target holds would be lost, and the older service would write over what others changed.
    raise CommandError("There is no way back from this schema: restore the backup made before.")
