"""Logs: one JSON line an event, on standard error, without patient data."""

import json
import logging
import sys

import structlog


class _WithoutContent(logging.Formatter):
    """What libraries log, as JSON. Their messages and tracebacks may hold patient data: only the server's own
    messages about itself are shown, of the others where they came from."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.getMessage() if record.name.startswith("uvicorn") else f"{record.module}:{record.lineno}"
        return json.dumps({"event": told, "logger": record.name, "level": record.levelname.lower()})


def configure(level: str) -> None:
    """Write our events of this level and above, and the libraries' warnings."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutContent())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
