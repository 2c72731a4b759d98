"""Exports: jobs, their files, whose data they export, the moments they tell; and stored ViewDefinitions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BYTEWISE = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, _BYTEWISE, nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "export_job",
        *(_text(name) for name in ("id", "asked", "state", "owner_subject", "snapshot")),
        *(_big("transaction_time"), _text("meaning")),
        *(_big(name) for name in ("requested_at", "finished_at", "expires_at", "total", "done")),
        *(_whole("part"), _big("after_vid"), _text("removed"), _whole("failures"), _big("not_before")),
        *(_text("reason"), _text("owner"), _big("leased_until")),
        sa.Column("cleared", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, column, condition in (
        ("export_job_due", "leased_until", "state IN ('accepted', 'active')"),
        ("export_job_to_clear", "expires_at", "state NOT IN ('accepted', 'active')"),
    ):
        chosen = sa.text(condition)
        op.create_index(name, "export_job", [column], sqlite_where=chosen, postgresql_where=chosen)
    op.create_table(
        "export_file",
        *(_text("job"), _whole("number"), _text("kind"), _text("type"), _text("name")),
        *(_whole("count"), _big("bytes"), _text("sha256"), _big("after_vid")),
        sa.PrimaryKeyConstraint("job", "number"),
    )
    op.create_table("export_patient", _text("job"), _key("id"), sa.PrimaryKeyConstraint("job", "id"))
    op.create_table(
        "export_moment", _big("transaction_time"), _text("snapshot"), sa.PrimaryKeyConstraint("transaction_time")
    )
    op.create_table(
        "view_definition",
        *(_key("id"), _whole("version"), _text("url"), _text("name")),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _big("updated_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("url", "name"):
        op.create_index(f"view_definition_by_{name}", "view_definition", [name])


def downgrade() -> None:
    for name in ("view_definition", "export_moment", "export_patient", "export_file", "export_job"):
        op.drop_table(name)
