"""One process that serves everything: https for people and programs, http for what is public and signed.

cheroot with threads: one owner of the token and of SQLite. Production puts nginx in front.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

from onecert.server.clock import Clock, SystemClock
from onecert.server.config import ServerConfig, Settings
from onecert.server.contexts import origin
from onecert.server.errors import ServiceError
from onecert.server.folders import make_private_folder
from onecert.server.members import Member
from onecert.server.system import System
from onecert.server.tls import TlsAdapter, WaitingServer, ensure_certificate

__all__ = ["PortTakenError", "Server"]

log = logging.getLogger(__name__)

_DATABASE_PATIENCE = timedelta(seconds=30)
_SHUTDOWN_S = 5


class PortTakenError(ServiceError):
    """The process cannot listen where it should."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            "PORT_TAKEN",
            status=503,
            text="cannot listen on %(host)s port %(port)s: %(reason)s",
            hint="stop what uses that port, or choose another with --https-port and --http-port",
            host=host,
            port=port,
            reason=reason,
        )


class Server:
    """Binds the ports, builds the system, serves until told to stop.

    Args:
        say: where talk for the person who starts it goes.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: Path,
        settings: Settings,
        *,
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        clock = clock or SystemClock()
        data = make_private_folder(data).absolute()
        config = settings.section("server", ServerConfig)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._https = _bind(config, config.https_port, adapter=_adapter(config, data, clock, say))
        try:
            self._http = _bind(config, config.http_port)
        except BaseException:
            self._https.stop()
            raise
        # The ports are ours from here on, also when 0 was asked for; now the addresses are known.
        ports = {"https_port": self._https.bind_addr[1], "http_port": self._http.bind_addr[1]}
        config = replace(config, **ports)
        self.https_url = origin("https", config.host, config.https_port) + "/"
        self.http_url = origin("http", config.host, config.http_port) + "/"
        try:
            self.system = System(
                members,
                data,
                settings.with_section("server", config),
                clock=clock,
                patience=_DATABASE_PATIENCE,
            )
        except BaseException:
            self._https.stop()
            self._http.stop()
            raise
        self._https.wsgi_app = self.system.https
        self._http.wsgi_app = self.system.http

    def start(self) -> None:
        """Answer requests and run jobs from now on."""
        for server in (self._https, self._http):
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            thread.start()
            self._threads.append(thread)
        self.system.start_jobs()

    def wait(self) -> None:
        """Serve until SIGTERM, SIGINT or `request_stop`. A second signal ends the process at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            self._stopping.set()
            signal.signal(number, signal.SIG_DFL)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            # A wait with a time-out lets Python run its signal handlers.
            while not self._stopping.wait(1.0):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def request_stop(self) -> None:
        """End `wait`, from any thread."""
        self._stopping.set()

    def stop(self) -> None:
        """Finish the requests that run, stop the jobs, sign the audit heads, close everything."""
        log.info("stopping")
        for server in (self._https, self._http):
            server.stop()
        for thread in self._threads:
            thread.join(_SHUTDOWN_S)
        self.system.close()
        log.info("stopped")

    def _serve(self, server: WaitingServer) -> None:
        try:
            server.serve()
        except Exception:
            log.exception("the http server ended")
            self._stopping.set()


def _adapter(config: ServerConfig, data: Path, clock: Clock, say: Callable[[str], None]) -> TlsAdapter:
    certificate, key = config.tls_certificate, config.tls_key
    if certificate is None or key is None:
        certificate, key, is_new = ensure_certificate(data / "tls", host=config.host, at=clock.now())
        if is_new:
            say(f"made a self-signed TLS certificate for this machine: {certificate}")
    return TlsAdapter(
        certificate, key, anchors_folder=data / "operator-anchors", anchors=config.operator_anchors
    )


def _bind(config: ServerConfig, port: int, *, adapter: TlsAdapter | None = None) -> WaitingServer:
    server = WaitingServer(
        (config.host, port),
        _not_ready,
        numthreads=config.threads,
        server_name="onecert",
        shutdown_timeout=_SHUTDOWN_S,
        request_queue_size=128,
    )
    server.ssl_adapter = adapter
    server.max_request_body_size = config.request_max_bytes
    server.max_request_header_size = 64 * 1024
    try:
        server.prepare()
    except OSError as exc:
        reason = exc.__cause__.strerror if isinstance(exc.__cause__, OSError) else str(exc)
        raise PortTakenError(config.host, port, reason or str(exc)) from exc
    return server


def _not_ready(environ: object, start_response: object) -> list[bytes]:
    raise RuntimeError("the application was not set")
