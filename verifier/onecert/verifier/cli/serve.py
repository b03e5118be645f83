"""``serve``: the HTTP service on this machine, with the standard library's server.

For more than one machine's load, run ``onecert.verifier.service.create_service`` under a WSGI server.
"""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from onecert.verifier.cli.common import ACCEPTED, load_root
from onecert.verifier.cli.files import read
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.department import open_verifier
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.login_store import SqliteStore
from onecert.verifier.service.application import TOKEN_MIN_CHARACTERS, create_service
from onecert.verifier.signed_form import EvidenceTrust

__all__ = ["add_options", "run"]

_PORT_MAX = 65535


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.option("--folder", text="HELP_FOLDER", type=Path, metavar="FOLDER", required=True)
    parser.option("--trust-list", text="HELP_LIST_URL", metavar="URL", required=True)
    parser.option("--application", text="HELP_APPLICATION", required=True)
    parser.option("--host", text="HELP_HOST", default="127.0.0.1")
    parser.option("--port", text="HELP_PORT", type=int, default=8090)
    parser.file("--token", text="HELP_TOKEN")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    if not 0 <= options.port <= _PORT_MAX:
        raise UsageError("USAGE_PORT")
    token = None
    if options.token is not None:
        token = read(options.token, 4096).decode("utf-8", "replace").strip()
        if len(token) < TOKEN_MIN_CHARACTERS:
            raise UsageError("USAGE_TOKEN", least=TOKEN_MIN_CHARACTERS)
    folder: Path = options.folder
    application = create_service(
        open_verifier(folder, trust_list=options.trust_list, application=options.application),
        store=SqliteStore(folder / "logins.sqlite"),
        trust=EvidenceTrust(list_keys=load_root(folder / "trust-root.json").list_keys),
        token=token,
    )
    try:
        server = _Server((options.host, options.port), _Handler)
    except OSError as exc:
        detail = exc.strerror or str(exc)
        raise CouldNotCheckError(
            "SERVICE_ADDRESS", host=options.host, port=options.port, detail=detail
        ) from exc
    with server:
        server.set_app(application)
        _stop_by_signal(server)
        print(f"ready http://{server.server_address[0]!s}:{server.server_address[1]}", flush=True)
        server.serve_forever()
    return ACCEPTED


def _stop_by_signal(server: WSGIServer) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # whoever runs us in a thread stops the server itself
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Handler(WSGIRequestHandler):
    timeout = 30  # a client that says nothing does not hold a thread for longer

    def address_string(self) -> str:
        # The standard library would ask the name service for each request.
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Requests are counted in /metrics; their lines would hold nothing more."""
