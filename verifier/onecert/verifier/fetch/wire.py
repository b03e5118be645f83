"""A connection with one deadline for everything: connecting, the TLS handshake, every octet sent and read.

A time limit for each operation alone would let a server that sends one octet now and then hold a thread for
ever.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["Deadline", "Wire", "connect"]

_SEND_BYTES = 4096


class Deadline:
    """A moment on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, more than zero.

        Raises:
            TimeoutError: none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Wire(io.RawIOBase):
    """The reading end for ``http.client``, which wants something with ``makefile``."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._socket = connection
        self._deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all of it before the deadline."""
        for start in range(0, len(data), _SEND_BYTES):
            self._socket.settimeout(self._deadline.left())
            self._socket.sendall(data[start : start + _SEND_BYTES])

    def makefile(self, _mode: str) -> io.BufferedReader:
        """See ``http.client.HTTPResponse``."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        self._socket.close()
        super().close()


def connect(
    addresses: Sequence[str], port: int, deadline: Deadline, *, tls: ssl.SSLContext | None, host: str
) -> Wire:
    """Connect to the first of these IP addresses that answers.

    Args:
        tls: for https; the server must have a certificate for ``host``.

    Raises:
        OSError: nobody answers; TimeoutError, ssl.SSLError.
    """
    failure: OSError = OSError("no address")
    for tried, address in enumerate(addresses):
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            # An address that does not answer leaves time for the others.
            connection.settimeout(deadline.left() / (len(addresses) - tried))
            connection.connect((address, port))
            if tls is not None:
                connection.settimeout(deadline.left())
                connection = tls.wrap_socket(connection, server_hostname=host)
            return Wire(connection, deadline)
        except BaseException as exc:
            with contextlib.suppress(OSError):
                connection.close()
            if not isinstance(exc, OSError) or isinstance(exc, ssl.SSLError):
                raise
            failure = exc
    raise failure
