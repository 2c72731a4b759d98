"""`dermatome load`: files of resources into a server, as fast as it takes them, and gone on with where it was."""

from app.load_command.command import load

__all__ = ["load"]
