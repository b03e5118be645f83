"""One JSON line for each decision on an account or a database role, for who asks later who was let in.

Identities are masked with a secret of the department: lines about one holder belong together, and nobody
reads a person's number in a log. With a file configured, a decision that cannot be written is not given.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.strict_json import format_time

try:
    import syslog
except ImportError:  # pragma: no cover  Windows has none
    syslog = None  # type: ignore[assignment]  # the module is absent there

__all__ = ["DecisionLines"]


class DecisionLines:
    """Writes decision lines to the system's log (facility authpriv), and to a file where one is named.

    Args:
        secret: masks identities; the department's pairwise key.
        file: appended to, mode 0600; ``None`` for the system's log alone.
    """

    def __init__(self, secret: bytes, *, file: Path | None = None, program: str = "onecert-enforce") -> None:
        self._secret, self._file, self._program = secret, file, program

    def mask(self, identity: str) -> str:
        """What stands for an identity: its kind and an HMAC, such as ``uscc:#5f2a…``."""
        kind, separator, _ = identity.partition(":")
        digest = hmac.digest(self._secret, b"decision log\0" + identity.encode(), "sha256").hex()[:24]
        return f"{kind}:#{digest}" if separator else f"#{digest}"

    def write(self, at: datetime, line: Mapping[str, Any]) -> None:
        """Write one line.

        Raises:
            CouldNotCheckError: ``DECISION_NOT_LOGGED``: the file did not take it.
        """
        text = json.dumps(
            {"time": format_time(at), **line}, ensure_ascii=True, sort_keys=True, separators=(",", ":")
        )
        if syslog is not None:
            syslog.openlog(self._program, syslog.LOG_PID, syslog.LOG_AUTHPRIV)
            syslog.syslog(syslog.LOG_INFO, text)
        if self._file is None:
            return
        data = text.encode() + b"\n"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(self._file, flags, 0o600)
            try:
                # One write in append mode: lines of several processes do not mix.
                written = os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise CouldNotCheckError("DECISION_NOT_LOGGED", detail=exc.strerror or str(exc)) from exc
        if written != len(data):
            raise CouldNotCheckError("DECISION_NOT_LOGGED", detail="the disk is full")
