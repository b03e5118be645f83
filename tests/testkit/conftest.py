"""One kit for all tests, made at ``T``, with its lists on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from onecert.testkit import Kit, make_kit
from onecert.testkit.serve import make_server

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with ThreadingHTTPServer(("127.0.0.1", 0), None) as probe:  # type: ignore[arg-type]  # never called
        port = probe.server_address[1]
    made = make_kit(tmp_path_factory.mktemp("kit") / "kit", at=T, base_url=f"http://127.0.0.1:{port}")
    with make_server(made) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def folder(kit: Kit) -> Path:
    return kit.folder
