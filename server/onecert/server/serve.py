"""One process that serves everything: https for people and programs, http for what is public and signed.

cheroot with threads: one owner of the token and of SQLite. Production puts nginx in front, which ends TLS and
reaches the process by two sockets in the file system; then no port is opened.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from onecert.server.clock import Clock, SystemClock
from onecert.server.config import ServerConfig, Settings
from onecert.server.contexts import origin
from onecert.server.errors import ServiceError
from onecert.server.folders import make_private_folder
from onecert.server.members import Member
from onecert.server.system import System
from onecert.server.tls import TlsAdapter, WaitingServer, ensure_certificate

__all__ = ["DATABASE_PATIENCE", "CannotListenError", "Server", "stop_signals", "wait_for_stop"]

log = logging.getLogger(__name__)

DATABASE_PATIENCE = timedelta(seconds=30)
_SHUTDOWN_S = 5
_LAST_REQUESTS_S = 0.2
_HEADERS_MAX_BYTES = 64 * 1024


class CannotListenError(ServiceError):
    """The process cannot listen where it should."""

    def __init__(self, address: tuple[str, int] | str, reason: str) -> None:
        where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        super().__init__(
            "CANNOT_LISTEN",
            status=503,
            text="cannot listen on %(address)s: %(reason)s",
            hint="stop what uses it, or choose another with --https-port and --http-port",
            address=where,
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
        self._drain_s = config.drain.total_seconds()
        self._sockets = [path for path in (config.https_socket, config.http_socket) if path is not None]
        self._servers: list[WaitingServer] = []
        self._threads: list[threading.Thread] = []
        try:
            # The addresses are ours from here on; a port that was asked for as 0 is known now.
            if config.https_socket is None:
                adapter = _adapter(config, data, clock, say)
                https = self._listen(config, (config.host, config.https_port), adapter=adapter)
                config = replace(config, https_port=https.bind_addr[1])
            else:
                https = self._listen_on_socket(config, config.https_socket)
            if config.http_socket is None:
                http = self._listen(config, (config.host, config.http_port))
                config = replace(config, http_port=http.bind_addr[1])
            else:
                http = self._listen_on_socket(config, config.http_socket)
            self.https_url, self.http_url = _addresses(config)
            now_known = settings.with_section("server", config)
            self.system = System(members, data, now_known, clock=clock, patience=DATABASE_PATIENCE)
            is_behind_tls = config.https_socket is not None
            https.wsgi_app = _behind_tls(self.system.https) if is_behind_tls else self.system.https
            http.wsgi_app = self.system.http
        except BaseException:
            self._stop_listening()
            raise

    def start(self, *, only: Collection[str] | None = None) -> None:
        """Answer requests and run jobs from now on; see `System.start_jobs` for `only`."""
        for server in self._servers:
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            thread.start()
            self._threads.append(thread)
        self.system.start_jobs(only=only)

    def signals(self) -> AbstractContextManager[None]:
        """Inside the block, SIGTERM and SIGINT end `wait`. A second one ends the process at once."""
        return stop_signals(self._stopping)

    def wait(self) -> None:
        """Serve until a signal or `request_stop`."""
        wait_for_stop(self._stopping)

    def request_stop(self) -> None:
        """End `wait`, from any thread."""
        self._stopping.set()

    def stop(self) -> None:
        """Finish the requests that run, stop the jobs, sign the audit heads, close everything.

        Readiness says so first, and the sockets lose their names; what was sent to them by then is answered.
        """
        log.info("stopping")
        self.system.drain()
        if self._drain_s:
            time.sleep(self._drain_s)
        for path in self._sockets:
            # Who connects from now on finds nothing and asks another process; see deploy/nginx.
            path.unlink(missing_ok=True)
        if self._sockets:
            time.sleep(_LAST_REQUESTS_S)
        self._stop_listening()
        self.system.close()
        log.info("stopped")

    def _listen(
        self, config: ServerConfig, address: tuple[str, int] | str, *, adapter: TlsAdapter | None = None
    ) -> WaitingServer:
        server = WaitingServer(
            address,
            _not_ready,
            numthreads=config.threads,
            server_name="onecert",
            shutdown_timeout=_SHUTDOWN_S,
            request_queue_size=128,
        )
        server.ssl_adapter = adapter
        server.max_request_body_size = config.request_max_bytes
        server.max_request_header_size = _HEADERS_MAX_BYTES
        try:
            server.prepare()
        except OSError as exc:
            reason = exc.__cause__.strerror if isinstance(exc.__cause__, OSError) else str(exc)
            raise CannotListenError(address, reason or str(exc)) from exc
        self._servers.append(server)
        return server

    def _listen_on_socket(self, config: ServerConfig, path: Path) -> WaitingServer:
        if _somebody_answers(path):
            raise CannotListenError(str(path), os.strerror(errno.EADDRINUSE))
        # For the owner and the group, which the proxy is in; by the umask, so that it never was wider.
        before = os.umask(0o117)
        try:
            return self._listen(config, str(path))
        finally:
            os.umask(before)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.stop()
        for thread in self._threads:
            thread.join(_SHUTDOWN_S)

    def _serve(self, server: WaitingServer) -> None:
        try:
            server.serve()
        except Exception:
            log.exception("the http server ended")
            self._stopping.set()


@contextmanager
def stop_signals(stopping: threading.Event) -> Iterator[None]:
    """Inside the block, SIGTERM and SIGINT set the event. A second one ends the process at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_for_stop(stopping: threading.Event) -> None:
    """Wait for the event, of a signal too."""
    # A wait with a time-out lets Python run its signal handlers.
    while not stopping.wait(1.0):
        pass


def _adapter(config: ServerConfig, data: Path, clock: Clock, say: Callable[[str], None]) -> TlsAdapter:
    certificate, key = config.tls_certificate, config.tls_key
    if certificate is None or key is None:
        certificate, key, is_new = ensure_certificate(data / "tls", host=config.host, at=clock.now())
        if is_new:
            say(f"made a self-signed TLS certificate for this machine: {certificate}")
    return TlsAdapter(
        certificate, key, anchors_folder=data / "operator-anchors", anchors=config.operator_anchors
    )


def _addresses(config: ServerConfig) -> tuple[str, str]:
    """Where this process itself answers https and http; with a socket, where its proxy does."""
    https = config.public_url if config.https_socket else origin("https", config.host, config.https_port)
    http = config.status_url if config.http_socket else origin("http", config.host, config.http_port)
    return https.rstrip("/") + "/", http.rstrip("/") + "/"


def _somebody_answers(path: Path) -> bool:
    """Whether a living process has this socket; the file of a dead one is simply replaced."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
    return True


def _behind_tls(app: WSGIApplication) -> WSGIApplication:
    """Tell the application that the proxy in front speaks https with the browser."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.url_scheme"] = "https"
        return app(environ, start_response)

    return application


def _not_ready(environ: object, start_response: object) -> list[bytes]:
    raise RuntimeError("the application was not set")
