"""`dermatome sync`: what operators do about sync, on the database directly, beside running services."""

from app.sync_commands.commands import app

__all__ = ["app"]
