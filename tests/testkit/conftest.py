"""One kit for all tests, made at ``T``, with its lists on a port of this machine."""

from __future__ import annotations

import runpy
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server as make_wsgi_server

from onecert.testkit import Kit, cli, make_kit
from onecert.testkit.serve import make_server
from onecert.verifier.web import gate

sys.path.insert(0, str(Path(__file__).parent))

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "verifier" / "examples" / "flask_app.py"


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with ThreadingHTTPServer(("127.0.0.1", 0), None) as probe:  # type: ignore[arg-type]  # never called
        port = probe.server_address[1]
    made = make_kit(tmp_path_factory.mktemp("kit") / "kit", at=T, base_url=f"http://127.0.0.1:{port}")
    with make_server(made, clock=lambda: T) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clock_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ``T`` for the command line too."""
    monkeypatch.setattr(cli, "now", lambda: T)


@pytest.fixture(scope="session")
def folder(kit: Kit) -> Path:
    return kit.folder


@pytest.fixture
def serve_login() -> Iterator[Callable[..., str]]:
    """Serves a WSGI application and gives the address of its sign-in page."""
    running = []

    def serve(application: Any, **settings: Any) -> str:
        server = make_wsgi_server("127.0.0.1", 0, application, True, request_handler=Quiet, **settings)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/login"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(WSGIRequestHandler):
    def log(self, *args: Any, **kwargs: Any) -> None:
        """Nobody reads it."""


@dataclass
class Clock:
    """What time it is for the login under test."""

    now: datetime = T


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def good_app(kit: Kit, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """verifier/examples/flask_app.py as it stands, with the kit's ``pki`` folder, by ``clock``."""
    shutil.copytree(kit.folder / "pki", tmp_path / "pki")
    (tmp_path / "secret.key").write_text("not so secret in a test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "now", lambda: clock.now)
    return runpy.run_path(str(EXAMPLE))["app"]


@pytest.fixture
def good_login(good_app: Any, serve_login: Callable[..., str]) -> str:
    """Its sign-in page."""
    return serve_login(good_app)
