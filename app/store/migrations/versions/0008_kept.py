"""Idempotency-Keys of each client, digests of contents, and the mark of a restore that is going on."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_CHUNK = 500


def upgrade() -> None:
    op.rename_table("idempotency", "idempotency_before")
    _make_idempotency()
    kept = "key, request_hash, status, location, etag, last_modified, answer, created_at"
    op.execute(f"INSERT INTO idempotency (client, {kept}) SELECT '', {kept} FROM idempotency_before")  # noqa: S608
    op.drop_table("idempotency_before")
    op.create_index("idempotency_by_time", "idempotency", ["created_at"])
    op.create_table(
        "restoring",
        sa.Column("name", _BYTEWISE, nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("content", sa.Column("digest", sa.LargeBinary(), nullable=True))
    _digest()


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("client", _BYTEWISE, nullable=False),
        sa.Column("key", _BYTEWISE, nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("last_modified", sa.String(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        # The table before it has that name for its own still.
        sa.PrimaryKeyConstraint("client", "key", name="idempotency_key"),
    )


def _digest() -> None:
    """What is stored is believed to be right now; from here on a change of it by anybody is found."""
    connection, after = op.get_bind(), 0
    content = sa.table("content", sa.column("vid"), sa.column("text"), sa.column("digest"))
    own = sa.update(content).where(content.c.vid == sa.bindparam("own")).values(digest=sa.bindparam("made"))
    while True:
        chosen = sa.select(content.c.vid, content.c.text).where(content.c.vid > after)
        rows = connection.execute(chosen.order_by(content.c.vid).limit(_CHUNK)).all()
        if not rows:
            return
        connection.execute(own, [{"own": row.vid, "made": hashlib.sha256(row.text).digest()} for row in rows])
        after = rows[-1].vid


def downgrade() -> None:
    op.drop_column("content", "digest")
    op.drop_table("restoring")
    op.drop_table("idempotency")
