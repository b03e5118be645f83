"""A status process: serves lists, CA certificates and OCSP from a status folder, and needs nothing else.

    onecert ca status serve --data DIR
    ONECERT_DATA=DIR granian --interface wsgi --workers 2 --blocking-threads 4 \
        onecert.ca.status.process:application

No database, no token and no CA need to be there, neither now nor when it starts. Where a CA can be reached
(`status_signer`), it is asked for what nobody could sign ahead.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from time import time
from typing import Any

from onecert.ca.config import CaConfig
from onecert.ca.member import member
from onecert.ca.status.app import StartResponse, StatusApp
from onecert.ca.status.files import StatusFiles
from onecert.ca.status.folder_answers import FolderAnswers
from onecert.ca.status.folder_standing import standing_of
from onecert.ca.status.remote_signer import FORWARDED, RemoteSigner
from onecert.server.clock import Clock, SystemClock
from onecert.server.contexts import load_member_settings

__all__ = ["PREFIX", "StatusProcess", "application", "status_folder", "status_process"]

PREFIX = "/ca"
READY = "/readyz"
_HEADER = "HTTP_" + FORWARDED.upper().replace("-", "_")


class StatusProcess:
    """WSGI application of a status process, mounted at `/ca` as in the addresses that certificates name.

    Args:
        folder: the status folder, or a copy of it.
    """

    def __init__(self, folder: Path, config: CaConfig, clock: Clock) -> None:
        files = StatusFiles(folder, read_only=True)
        signer = RemoteSigner(config.status_signer) if config.status_signer else None

        seconds = time if isinstance(clock, SystemClock) else None

        def app(signer: RemoteSigner | None) -> StatusApp:
            answers = FolderAnswers(
                files, clock.now, seconds=seconds, signer=signer, without_nonce=config.ocsp_without_nonce
            )
            return StatusApp(files, answers, None, clock, max_age=config.status_max_age, prefix=PREFIX)

        self._signer = signer
        # Bound methods: quicker to call than their objects.
        self._app = app(signer).__call__
        # Asked by another status process: whoever asks on could be asked by the one he asks.
        self._last = app(None).__call__
        self._folder = folder
        self._clock = clock

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == READY:
            return self._ready(start_response)
        app = self._last if _HEADER in environ else self._app
        return app(environ, start_response)

    def close(self) -> None:
        """Close the connections to the signer."""
        if self._signer is not None:
            self._signer.close()

    def _ready(self, start_response: StartResponse) -> Iterable[bytes]:
        standing = standing_of(self._folder, self._clock.now())
        status = HTTPStatus.OK if standing["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(start_response, status, json.dumps(standing).encode(), "application/json")


def status_folder(data: Path) -> Path:
    """Where a CA keeps what status processes serve."""
    return data / member.name / "status"


def status_process(
    data: Path,
    *,
    config: Path | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> StatusProcess:
    """Build the application from the settings of the CA on this machine.

    Args:
        folder: default as the settings say, or DATA/ca/status.

    Raises:
        ConfigError: the settings have faults.
    """
    settings = load_member_settings([member], data, config=config, environ=environ)
    own = settings.section(member.name, CaConfig)
    return StatusProcess(folder or own.status_folder or status_folder(data), own, clock or SystemClock())


def _from_environment() -> StatusProcess:
    config = os.environ.get("ONECERT_CONFIG")
    return status_process(
        Path(os.environ.get("ONECERT_DATA", "data")), config=Path(config) if config else None
    )


_built: Callable[..., Iterable[bytes]] | None = None
_building = threading.Lock()


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """For a WSGI server: built at the first request, in the worker that serves it."""
    global _built  # noqa: PLW0603 - one application for each process
    if _built is None:
        with _building:
            _built = _built or _from_environment().__call__
    return _built(environ, start_response)


def _answer(
    start_response: StartResponse, status: HTTPStatus, content: bytes, content_type: str
) -> Iterable[bytes]:
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [content]
