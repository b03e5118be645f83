"""Logs: one JSON object a line on stderr; the message is a constant, what varies is a field.

Fields whose name promises a secret are withheld, and so are numbers of identity cards and private keys inside
any text. Only the edge (`onecert up`, the command line) configures logging.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from onecert.server.redaction import WITHHELD, is_secret_name, redact

__all__ = ["JsonLines", "set_up_logging"]

_encode = json.JSONEncoder(ensure_ascii=False).encode
# What every record has; all else was given by `extra`.
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        given = vars(record)
        for name in sorted(given.keys() - _STANDARD):
            line[name] = WITHHELD if is_secret_name(name) else _plain(given[name])
        if record.exc_info:
            line["trace"] = redact(self.formatException(record.exc_info))
        return _encode(line)


def set_up_logging(level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Send all logs of this process to one stream, as JSON lines."""
    # Not asked for what no line shows: the code that logs, its thread and its process.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the documented switch
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # One line for each request and each migration is noise here; requests are counted in the metrics.
    for noisy in ("httpx", "httpcore", "alembic", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {
            str(name): WITHHELD if is_secret_name(str(name)) else _plain(item) for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return redact(str(value))
