"""How a connection is read and written: by Python's own buffers, with head and first bytes in one piece.

cheroot's files are written in Python and send each piece at once: a third of what a short request costs, and
two records of TLS for each answer.
"""

from __future__ import annotations

import io
import socket

__all__ = ["Reader", "Writer", "stream"]


class _Socket(socket.SocketIO):
    """Reads from a socket; while `is_silent`, it says that there is nothing instead of waiting for it."""

    is_silent = False

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # any buffer
        return None if self.is_silent else super().readinto(buffer)


class Reader(io.BufferedReader):
    """What a connection says."""

    bytes_read = 0  # cheroot's figures, which are off

    def __init__(self, connection: socket.socket, size: int) -> None:
        self._socket = _Socket(connection, "rb")
        super().__init__(self._socket, size)

    def has_data(self) -> bool:
        """Whether more was read than taken; nothing is read for that."""
        self._socket.is_silent = True
        try:
            return bool(self.peek(1))
        finally:
            self._socket.is_silent = False


class Writer:
    """What is answered. Each piece is sent at once, but the head waits for what follows it."""

    bytes_written = 0  # cheroot's figures, which are off

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._head: bytes | None = None
        self._is_head = False

    def hold(self) -> None:
        """Keep the next piece back until another one comes, or `flush`."""
        self._is_head = True

    def write(self, data: bytes) -> int:
        """Send everything."""
        if self._is_head:
            self._head, self._is_head = data, False
            return len(data)
        head, self._head = self._head, None
        left = memoryview(data if head is None else head + data)
        # Not `sendall`, whose time-out is for all of it: a list of many megabytes may take its time.
        while left:
            left = left[self._connection.send(left) :]
        return len(data)

    def flush(self) -> None:
        """Send what was kept back."""
        self._is_head = False
        if self._head is not None:
            self.write(b"")


def stream(connection: socket.socket, mode: str, size: int = io.DEFAULT_BUFFER_SIZE) -> Reader | Writer:
    """A file of a connection, as cheroot asks for one: `rb` or `wb`."""
    return Reader(connection, size) if "r" in mode else Writer(connection)
