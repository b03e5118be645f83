"""The status service: root, timestamp and list as files over http, with ETag and Cache-Control.

A small WSGI application without database: it answers as long as the files are there.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from onecert.supervision.large_file import answer_large_file
from onecert.supervision.published import LIST_FILE, ROOT_FILE, ROOTS_FOLDER, TIMESTAMP_FILE
from onecert.verifier.bundle import BUNDLE_FILE
from onecert.verifier.identity.registry_head import DATA_FILE, HEAD_FILE
from onecert.verifier.issuance_parts import part_file
from onecert.verifier.issuance_record import RECORD_FILE

__all__ = ["StatusApp"]

_JOSE = "application/jose+json"
_TYPES = {
    LIST_FILE: _JOSE,
    ROOT_FILE: _JOSE,
    TIMESTAMP_FILE: _JOSE,
    HEAD_FILE: _JOSE,
    RECORD_FILE: _JOSE,
}
# Not kept in memory.
_LARGE = {DATA_FILE: "application/x-ndjson", BUNDLE_FILE: "application/zip"}
_OLD_ROOT = re.compile(rf"{ROOTS_FOLDER}/[1-9][0-9]{{0,5}}\.json", re.ASCII)
# Parts of the record of issued certificates, named by their SHA-256; too many to be kept in memory.
_PART = re.compile(part_file("[0-9a-f]{64}").replace(".", r"\."), re.ASCII)
_A_YEAR_S = 31_536_000
# A version of the root never changes again.
_FOR_EVER = "public, max-age=31536000, immutable"


class StatusApp:
    """Serves the files of one folder, by name."""

    def __init__(self, folder: Path, *, max_age: timedelta) -> None:
        self._folder = folder
        self._max_age_s = int(max_age.total_seconds())
        self._lock = threading.Lock()
        self._files: dict[str, tuple[tuple[int, int, int], bytes, str]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD."""
        name = environ.get("PATH_INFO", "").lstrip("/")
        method = environ.get("REQUEST_METHOD", "GET")
        is_fixed = _OLD_ROOT.fullmatch(name) is not None
        is_part = _PART.fullmatch(name) is not None
        if name not in _TYPES and name not in _LARGE and not is_fixed and not is_part:
            return _plain(start_response, "404 Not Found")
        if method not in {"GET", "HEAD"}:
            return _plain(start_response, "405 Method Not Allowed", ("Allow", "GET, HEAD"))
        if name in _LARGE or is_part:
            kind, max_age_s = ("text/plain", _A_YEAR_S) if is_part else (_LARGE[name], self._max_age_s)
            body = answer_large_file(self._folder / name, kind, max_age_s, environ, start_response)
            return _plain(start_response, "404 Not Found") if body is None else body
        found = self._read(name)
        if found is None:
            # "There is no later root" is an answer too, and a cache may keep it as long as the others.
            kept = f"public, max-age={self._max_age_s}" if is_fixed else "no-store"
            return _plain(start_response, "404 Not Found", kept=kept)
        content, etag = found
        headers = [
            ("Content-Type", _TYPES.get(name, _JOSE)),
            ("ETag", etag),
            ("Cache-Control", _FOR_EVER if is_fixed else f"public, max-age={self._max_age_s}"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if etag in [
            tag.strip().removeprefix("W/") for tag in environ.get("HTTP_IF_NONE_MATCH", "").split(",")
        ]:
            start_response("304 Not Modified", headers)
            return []
        start_response("200 OK", [*headers, ("Content-Length", str(len(content)))])
        return [] if method == "HEAD" else [content]

    def _read(self, name: str) -> tuple[bytes, str] | None:
        path = self._folder / name
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            known = self._files.get(name)
            if known is None or known[0] != stamp:
                content = path.read_bytes()
                known = (stamp, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
                with self._lock:
                    self._files[name] = known
        except FileNotFoundError:
            return None
        except OSError:
            # The disk does not answer: what was read before is still what was published.
            known = self._files.get(name)
            if known is None:
                return None
        return known[1], known[2]


def _plain(
    start_response: StartResponse, status: str, *headers: tuple[str, str], kept: str = "no-store"
) -> Iterable[bytes]:
    body = status.encode("ascii") + b"\n"
    start_response(
        status,
        [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", kept),
            *headers,
        ],
    )
    return [body]
