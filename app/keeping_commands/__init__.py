"""`dermatome backup`, `restore` and `check`: what operators do so that nothing is lost, on the database directly."""

from app.keeping_commands.commands import backup, check, restore

__all__ = ["backup", "check", "restore"]
