"""Imported by the process that others are forked from: loads what every start of the service loads and keeps."""

from app import cli
from app.main import create_app
from app.settings import Settings

__all__ = ["cli"]

create_app(Settings(database_url="sqlite+aiosqlite:///nowhere.db", log_level="error"))
