"""Alembic's entry: runs the migrations on the connection handed in by app.store.database."""

from alembic import context
from sqlmodel import SQLModel

from app.store import tables  # noqa: F401  (declares the tables)

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
context.run_migrations()
