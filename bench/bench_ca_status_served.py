"""`ca.ocsp.presigned.*`: a status process over HTTP, beside the same server's hello-world of as many octets.

The client is wrk: a client of ours would cost more than what it measures.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import place
from bench_ca import ca
from bench_ca_status import _request
from harness import Amount, Row, benchmark
from traffic import BIN, environment, free_port, stopping, wait_for

SECONDS = 3
GOALS = {"embedded": 5_000, "granian": 20_000}
# The headers of our answer, and as many octets.
HELLO = """
BODY = b"x" * {octets}
HEADERS = [("Content-Type", "application/ocsp-response"), ("Content-Length", "{octets}")]
def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [*HEADERS, ("Cache-Control", "no-store")])
    return [BODY]
"""
EMBEDDED = """
import sys
from importlib import import_module
from onecert.ca.status.serving import listening_server
sys.path.insert(0, ".")
app = import_module(sys.argv[1]).application
listening_server(app, ("127.0.0.1", int(sys.argv[2])), threads=8).serve()
"""


@benchmark("ca.ocsp.presigned.embedded", "ca.ocsp.presigned.granian")
def served(name: str) -> Iterator[Row]:
    """POST of a request to an answer that was signed ahead. Floor: hello-world of the same server."""
    folder, request = place.new_folder("served"), _request()
    ca().responders.prepare()
    script, octets = _script(request), len(ca().responders.answer("harbour", request).der)
    (folder / "hello.py").write_text(HELLO.format(octets=octets), encoding="utf-8")
    run = partial(_embedded if name.endswith("embedded") else _granian, folder)
    with run("onecert.ca.status.process") as ours, run("hello") as hello:
        yield Row(
            unit="answers/s",
            ours=Amount(work=lambda: _rate(script, ours, "/ca/harbour/ocsp")),
            floor=Amount(work=lambda: _rate(script, hello, "/"), name="the server's hello-world"),
            notes=[f"goals: 0.8 of the floor, {GOALS[name.rpartition('.')[2]]:,} a second"],
        )


def _script(request: bytes) -> Path:
    body = "".join(f"\\{octet:03d}" for octet in request)
    script = place.folder() / "post.lua"
    head = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/ocsp-request"\n'
    script.write_text(f'{head}wrk.body = "{body}"\n', encoding="utf-8")
    return script


def _rate(script: Path, port: int, path: str) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", str(script), f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    return float(said.rpartition("Requests/sec:")[2].split()[0])


@contextmanager
def _embedded(folder: Path, module: str) -> Iterator[int]:
    port = free_port()
    with _started(folder, port, [sys.executable, "-c", EMBEDDED, module, str(port)]):
        yield port


@contextmanager
def _granian(folder: Path, module: str) -> Iterator[int]:
    port = free_port()
    command = [str(BIN / "granian"), "--interface", "wsgi", "--workers", "2", "--no-ws", "--port", str(port)]
    # As docs/operator.md has it: hundreds of threads would wait for each other.
    command += ["--blocking-threads", "4"]
    with _started(folder, port, [*command, "--log-level", "warning", f"{module}:application"]):
        yield port


@contextmanager
def _started(folder: Path, port: int, command: list[str]) -> Iterator[None]:
    settings = {"ONECERT_CA_STATUS_FOLDER": str(ca().files.folder), "ONECERT_DATA": str(place.folder())}
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment() | settings, stdout=log, stderr=log)
    with stopping(process):
        wait_for(port, process)
        yield
