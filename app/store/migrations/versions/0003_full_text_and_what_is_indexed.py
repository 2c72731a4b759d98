"""Full text of versions, and which search parameters the index holds.

Nothing is known to be indexed: the service makes anew what belongs to resources stored before (app/store/index/).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WORDS = "CREATE VIRTUAL TABLE search_text USING fts5 (type UNINDEXED, narrative, content, tokenize='{}', columnsize=0)"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # The words are taken apart and folded before they come here; the row number is that of the version.
        op.execute(_WORDS.format("unicode61 remove_diacritics 0"))
    else:
        op.create_table(
            "search_text",
            sa.Column("rowid", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("type", sa.String(), nullable=False),
            sa.Column("narrative", postgresql.TSVECTOR(), nullable=False),
            sa.Column("content", postgresql.TSVECTOR(), nullable=False),
            sa.PrimaryKeyConstraint("rowid"),
        )
        op.create_index("search_text_words", "search_text", ["narrative", "content"], postgresql_using="gin")
    op.create_table(
        "search_index",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "reindex",
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.Column("unsearchable", sa.String(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("type"),
    )


def downgrade() -> None:
    for table in ("reindex", "search_index", "search_text"):
        op.drop_table(table)
