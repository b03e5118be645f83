"""Programs under load, each in a process of its own, and the one client that drives all of them alike.

The client is small on purpose: it shares the machine with what it measures. Requests are made beforehand; a
thread keeps its connection; an answer with another status than expected ends the measurement.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import place
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
BIN = Path(sys.executable).parent
CFSSL_USAGES = ["digital signature", "content commitment"]
CFSSL_CONFIG = {"signing": {"default": {"expiry": "8760h", "usages": CFSSL_USAGES}}}
# Writers wait for each other for up to ten seconds instead of failing.
CFSSL_DATABASE = {"driver": "sqlite3", "data_source": "file:certs.db?_busy_timeout=10000"}
# The tables of cfssl's own migrations (certdb/sqlite), of the version that Debian packages.
CFSSL_TABLES = """
CREATE TABLE certificates (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL,
    reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY (serial_number, authority_key_identifier));
CREATE TABLE ocsp_responses (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL, expiry timestamp,
    PRIMARY KEY (serial_number, authority_key_identifier),
    FOREIGN KEY (serial_number, authority_key_identifier)
        REFERENCES certificates (serial_number, authority_key_identifier));
"""


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


class Client:
    """Keeps one TLS connection for each thread that posts."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(certificate))
        self._tls.check_hostname = False  # cfssl's certificate, its CA's own, names no host
        self._own = threading.local()

    def request(self, path: str, body: bytes, content_type: str, *headers: str) -> bytes:
        """The bytes of a request, made before the measurement."""
        lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}:{self._port}", f"Content-Type: {content_type}"]
        lines += [*headers, f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def send(self, request: bytes, *, status: int) -> bytes:
        """Post and return the body of the answer.

        Raises:
            RuntimeError: another status, or the connection ended.
        """
        if getattr(self._own, "connection", None) is None:
            plain = socket.create_connection((HOST, self._port), timeout=30)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._own.connection = self._tls.wrap_socket(plain)
        connection: ssl.SSLSocket = self._own.connection
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += _received(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += _received(connection)
        if int(head.split(b" ", 2)[1]) != status:
            raise RuntimeError(f"{head.decode()}\n{body.decode('utf-8', 'replace')[:500]}")
        if fields.get(b"connection") == b"close":
            connection.close()
            self._own.connection = None
        return body


def _received(connection: ssl.SSLSocket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


@contextmanager
def onecert_ca(data: Path) -> Iterator[Client]:
    """`onecert up --members ca` on a data folder that is set up."""
    port = free_port()
    command = [str(BIN / "onecert"), "up", "--data", str(data), "--members", "ca"]
    command += ["--https-port", str(port), "--http-port", str(free_port())]
    with (data / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment())
    with stopping(process):
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line.startswith(b"ready"):
            raise RuntimeError(f"onecert up did not start: {(data / 'service.log').read_text()[-2000:]}")
        yield Client(port, data / "tls" / "certificate.pem")


def onecert(data: Path, *arguments: str | Path) -> None:
    """Run a command of ours to its end."""
    command = [str(BIN / "onecert"), *map(str, arguments), "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def environment() -> dict[str, str]:
    """Ours without settings of whoever runs this."""
    keep = "ONECERT_PKCS11_MODULE"
    return {key: value for key, value in os.environ.items() if not key.startswith("ONECERT_") or key == keep}


def find_cfssl() -> str | None:
    """Where the cfssl command is, if it is installed."""
    return shutil.which("cfssl")


@contextmanager
def cfssl(program: str) -> Iterator[Client]:
    """`cfssl serve` with TLS, a P-256 CA key in memory, and certificates recorded in SQLite."""
    folder = place.new_folder("cfssl")
    make_ca(folder)
    (folder / "config.json").write_text(json.dumps(CFSSL_CONFIG))
    (folder / "db.json").write_text(json.dumps(CFSSL_DATABASE))
    with sqlite3.connect(folder / "certs.db") as connection:
        connection.executescript(CFSSL_TABLES)
    connection.close()
    port = free_port()
    command = [program, "serve", "-address", HOST, "-port", str(port), "-ca", "ca.pem", "-ca-key", "ca.key"]
    command += ["-tls-cert", "ca.pem", "-tls-key", "ca.key"]
    command += ["-config", "config.json", "-db-config", "db.json", "-loglevel", "3"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    with stopping(process):
        wait_for(port, process)
        yield Client(port, folder / "ca.pem")


def make_ca(folder: Path) -> None:
    """A self-signed P-256 certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer CA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens there."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the program does not listen")


@contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the process with the block."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
