"""``serve``: the HTTP service on this machine, with the standard library's server.

For more than one machine's load, run ``onecert.verifier.service.create_service`` under a WSGI server.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from onecert.verifier.bundle import open_offline_verifier
from onecert.verifier.cli.common import ACCEPTED
from onecert.verifier.cli.files import read
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.department import RootFolder, open_verifier
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch import ClockWatch, listed_fetch
from onecert.verifier.login_server import ChallengeSigner, load_signer
from onecert.verifier.login_store import SqliteStore
from onecert.verifier.service.application import TOKEN_MIN_CHARACTERS, create_service
from onecert.verifier.signed_form import EvidenceTrust
from onecert.verifier.verifier import Verifier

__all__ = ["add_options", "open_server", "run", "stop_by_signal"]

_PORT_MAX = 65535


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.option("--folder", text="HELP_FOLDER", type=Path, metavar="FOLDER", required=True)
    parser.option("--trust-list", text="HELP_LIST_URL", metavar="URL")
    parser.file("--bundle", text="HELP_SERVE_BUNDLE")
    parser.option("--application", text="HELP_APPLICATION", required=True)
    parser.option("--host", text="HELP_HOST", default="127.0.0.1")
    parser.option("--port", text="HELP_PORT", type=int, default=8090)
    parser.option("--socket", text="HELP_SOCKET", type=Path, metavar="FILE")
    parser.file("--token", text="HELP_TOKEN")
    parser.file("--server-certificate", text="HELP_SERVER_CERTIFICATE")
    parser.file("--server-key", text="HELP_SERVER_KEY")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    if not 0 <= options.port <= _PORT_MAX:
        raise UsageError("USAGE_PORT")
    token = None
    if options.token is not None:
        token = read(options.token, 4096).decode("utf-8", "replace").strip()
        if len(token) < TOKEN_MIN_CHARACTERS:
            raise UsageError("USAGE_TOKEN", least=TOKEN_MIN_CHARACTERS)
    if (options.trust_list is None) == (options.bundle is None):
        raise UsageError("USAGE_ONE_OF", arguments="--trust-list --bundle")
    folder: Path = options.folder
    clocks = None if options.bundle else ClockWatch(listed_fetch())
    application = create_service(
        _verifier(options, clocks),
        store=SqliteStore(folder / "logins.sqlite"),
        trust=EvidenceTrust(roots=RootFolder(folder)),
        token=token,
        clocks=clocks,
        signer=_signer(options),
    )
    with open_server(options.socket, options.host, options.port) as server:
        server.set_app(application)
        stop_by_signal(server)
        print(f"ready {server.shown}", flush=True)
        server.serve_forever()
    return ACCEPTED


def _verifier(options: argparse.Namespace, clocks: ClockWatch | None) -> Verifier:
    folder, application = options.folder, options.application
    if options.bundle is not None:
        return open_offline_verifier(folder, application=application, bundle=options.bundle)
    return open_verifier(folder, trust_list=options.trust_list, application=application, fetch=clocks)


def _signer(options: argparse.Namespace) -> ChallengeSigner | None:
    certificate, key = options.server_certificate, options.server_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("USAGE_NEEDS", name="--server-certificate", other="--server-key")
    try:
        return load_signer(read(certificate, 256 * 1024), read(key, 64 * 1024))
    except ValueError as exc:
        raise CouldNotCheckError("LOGIN_SERVER_KEY", detail=str(exc)[:200]) from exc


def open_server(socket_path: Path | None, host: str, port: int) -> _Server:
    """A server on a unix socket where one is named, otherwise on an address; ``shown`` is where.

    Raises:
        CouldNotCheckError: ``SERVICE_SOCKET``, ``SERVICE_ADDRESS``.
    """
    try:
        if socket_path is not None:
            return _UnixServer(socket_path)
        return _Server((host, port), _Handler)
    except OSError as exc:
        detail = exc.strerror or str(exc)
        if socket_path is not None:
            raise CouldNotCheckError("SERVICE_SOCKET", path=socket_path, detail=detail) from exc
        raise CouldNotCheckError("SERVICE_ADDRESS", host=host, port=port, detail=detail) from exc


def stop_by_signal(server: WSGIServer) -> None:
    """Let SIGTERM and SIGINT end a server."""
    if threading.current_thread() is not threading.main_thread():
        return  # whoever runs us in a thread stops the server itself
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    @property
    def shown(self) -> str:
        """The address, for who starts the service."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class _UnixServer(_Server):
    """On a unix socket that its owner and group may open; it goes away with the service."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_ours = False
        _remove_left_over(path)
        mask = os.umask(0o117)
        try:
            super().__init__(str(path), _UnixHandler)  # type: ignore[arg-type]  # an address of this family
        finally:
            os.umask(mask)

    def server_bind(self) -> None:
        """Without names and ports, which a unix socket does not have."""
        self.socket.bind(str(self._path))
        self._is_ours = True
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()

    def server_close(self) -> None:
        """Also the file."""
        super().server_close()
        if self._is_ours:
            # Who has given up rights since may not; the next start takes away what is left over.
            with suppress(OSError):
                self._path.unlink()

    @property
    def shown(self) -> str:
        """The path of the socket."""
        return f"unix:{self._path}"


def _remove_left_over(path: Path) -> None:
    """A socket that nobody serves any more, after a power cut; never anything else."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


class _Handler(WSGIRequestHandler):
    timeout = 30  # a client that says nothing does not hold a thread for longer

    def address_string(self) -> str:
        # The standard library would ask the name service for each request.
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Requests are counted in /metrics; their lines would hold nothing more."""


class _UnixHandler(_Handler):
    def address_string(self) -> str:
        """The other end of a unix socket has no address."""
        return ""

    def get_environ(self) -> dict[str, Any]:
        """As for any request; who may open the socket, the file system decides."""
        self.client_address = ("", 0)
        return super().get_environ()
