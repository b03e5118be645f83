"""One JSON line a decision, from which "who could do this on that day, and why" can be answered later.

Identities are masked: an HMAC under a secret of this service stands for the holder, so that lines about one
holder belong together and nobody reads a person's number in a log. A decision that cannot be logged is not
given.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.pmi.errors import DecisionLogError

__all__ = ["DecisionLog"]

SECRET_OCTETS = 32


class DecisionLog:
    """Writes the lines into one file a day, readable by the owner only. Safe with threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._day = ""
        self._descriptor = -1
        self._secret: bytes | None = None

    def mask(self, identity: str) -> str:
        """Return what stands for an identity: its kind and an HMAC, such as ``uscc:#5f2a…``."""
        kind, separator, _ = identity.partition(":")
        digest = hmac.digest(self._load_secret(), identity.encode(), "sha256").hex()[:24]
        return f"{kind}:#{digest}" if separator else f"#{digest}"

    def write(self, line: Mapping[str, Any], at: datetime) -> None:
        """Append one line, whole or not at all.

        Raises:
            DecisionLogError: the disk did not take it.
        """
        data = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                # One write in append mode: lines of several processes do not mix.
                if os.write(self._file(f"{at:%Y-%m-%d}"), data) != len(data):
                    raise DecisionLogError
        except OSError as exc:
            raise DecisionLogError from exc

    def close(self) -> None:
        """Close the file of the day."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor, self._day = -1, ""

    def _file(self, day: str) -> int:
        if day != self._day:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{day}.jsonl"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._day = day
        return self._descriptor

    def _load_secret(self) -> bytes:
        if self._secret is None:
            path = self._folder / "mask.secret"
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make_secret(path)
                self._secret = path.read_bytes()
            except OSError as exc:
                raise DecisionLogError from exc
            if len(self._secret) != SECRET_OCTETS:
                raise DecisionLogError
        return self._secret


def _make_secret(path: Path) -> None:
    """Write the secret under another name and link it into place: nobody ever reads half of one."""
    if path.exists():
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
