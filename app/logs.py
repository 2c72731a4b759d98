"""Logs: one JSON line an event, on standard error, without patient data."""

import json
import logging
import sys
from typing import Any

import structlog


class _WithoutContent(logging.Formatter):
    """What libraries log, as JSON. Their messages and tracebacks may hold patient data: only the server's own
    messages about itself are shown, of the others where they came from."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.getMessage() if record.name.startswith("uvicorn") else f"{record.module}:{record.lineno}"
        return json.dumps({"event": told, "logger": record.name, "level": record.levelname.lower()})


def of_error(error: BaseException) -> dict[str, Any]:
    """What a log line tells of an error: its kind, and where it passed, as function:line.

    Its message may hold patient data and is left out.
    """
    places, trace = [], error.__traceback__
    while trace:
        places.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"kind": type(error).__name__, "at": places[-8:]}


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
