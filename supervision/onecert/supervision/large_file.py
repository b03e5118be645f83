"""A published file that may be too large to be kept in memory: the rows of the register, the bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["answer_large_file"]

_CHUNK = 256 * 1024


def answer_large_file(
    path: Path, content_type: str, max_age_s: int, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes] | None:
    """Answer GET or HEAD in pieces; ``None`` when there is no such file.

    The ETag is of the file as it was put here, not of its content: the same octets written again are sent
    again, which happens only to a new bundle or register.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115  the body closes it
    except OSError:
        return None
    # Of the file that is open: its name may belong to the next one a moment later.
    found = os.fstat(file.fileno())
    etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"'
    headers = [
        ("Content-Type", content_type),
        ("ETag", etag),
        ("Cache-Control", f"public, max-age={max_age_s}"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    known = [tag.strip().removeprefix("W/") for tag in environ.get("HTTP_IF_NONE_MATCH", "").split(",")]
    if etag in known:
        file.close()
        start_response("304 Not Modified", headers)
        return []
    start_response("200 OK", [*headers, ("Content-Length", str(found.st_size))])
    if environ.get("REQUEST_METHOD") == "HEAD":
        file.close()
        return []
    return _Body(file)


class _Body:
    """The octets in pieces; the server closes it, also when the client has gone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._file.read(_CHUNK):
            yield chunk
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
