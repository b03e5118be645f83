"""Where holders reach a service that waits for them: a local socket for the service's own user alone.

Not HTTP: a share never passes the gateway, a browser or another machine. One JSON line in, one out; nothing
that comes in is logged. The socket lies in `activation` in the data folder (folder 0700, socket 0600), one
for each process, and the kernel says who is at the other end.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from onecert.ca.activation.holders import Holders
from onecert.ca.activation.shares import Share
from onecert.server.errors import ServiceError

__all__ = ["ActivationDoor", "doors_of", "open_door", "say_to"]

log = logging.getLogger(__name__)

LINE_MAX = 4096
PATIENCE_S = 5.0


class ActivationDoor:
    """Listens until it is closed."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        holders.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = holders.folder / f"{holders.label}.{os.getpid()}.sock"
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self.path) as name:
            self._socket.bind(name)
        self.path.chmod(0o600)
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._listen, name="activation", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and take the socket away."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE_S)
        self.path.unlink(missing_ok=True)

    def _listen(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(PATIENCE_S)
                    connection.sendall(json.dumps(self._answer(connection)).encode() + b"\n")
                except OSError:
                    log.warning("a holder's command went away")

    def _answer(self, connection: socket.socket) -> dict[str, Any]:
        _pid, uid, _gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        if uid not in {os.getuid(), 0}:
            return {"error": "FORBIDDEN", "text": "another user"}
        try:
            said = json.loads(_line(connection))
            if said != {"act": "status"}:
                share = Share(**(said | {"value": bytes.fromhex(said["value"])}))
                if self._holders.give(share):
                    log.warning("token unlocked by its holders", extra={"token": self._holders.label})
        except ServiceError as exc:
            return {"error": exc.code, "text": str(exc)}
        except (ValueError, TypeError, KeyError, RecursionError):
            return {"error": "MALFORMED", "text": "not a line of this door"}
        public = self._holders.splitting()
        return {
            "pid": os.getpid(),
            "needed": public.needed if public else 0,
            "given": list(self._holders.given()),
            "active": self._holders.is_active(),
        }


def open_door(token: object) -> ActivationDoor | None:
    """Open the door of a token whose PIN is split; others need none."""
    holders = getattr(token, "holders", None)
    return ActivationDoor(holders) if isinstance(holders, Holders) and holders.path.exists() else None


def doors_of(folder: Path, label: str) -> list[Path]:
    """The sockets of the services that have this token."""
    return sorted(folder.glob(f"{label}.*.sock"))


def say_to(path: Path, share: Share | None = None) -> dict[str, Any] | None:
    """Give a share, or ask how things stand; None when nobody is behind the socket any more."""
    said: dict[str, Any] = {"act": "status"} if share is None else vars(share) | {"value": share.value.hex()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2 * PATIENCE_S)
        try:
            with _short(path) as name:
                connection.connect(name)
            connection.sendall(json.dumps(said).encode() + b"\n")
            answer: dict[str, Any] = json.loads(_line(connection))
        except (OSError, ValueError):
            return None
    return answer


def _line(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\n") and len(content) <= LINE_MAX:
        part = connection.recv(LINE_MAX)
        if not part:
            break
        content += part
    if len(content) > LINE_MAX:
        raise ValueError("too long")
    return content


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The name of a socket may have 107 bytes; a data folder may lie deeper."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
