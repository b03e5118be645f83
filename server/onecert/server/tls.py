"""TLS of this process: its certificate, optional client certificates, and handshakes that block nobody.

A client certificate is asked for and never required. One that does not lead to the operators' anchors ends
the handshake; one that does arrives as ``SSL_CLIENT_CERT`` in the WSGI environment, where the sign-in
verifies it again with our own verifier (dates, usage, revocation). Changed certificate or anchor files count
from the next connection on.
"""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import os
import ssl
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from socket import socket
from time import monotonic
from typing import Any

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server as WsgiServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onecert.server.errors import ConfigError
from onecert.server.folders import make_private_folder, write_file
from onecert.server.streams import stream

__all__ = ["TlsAdapter", "WaitingServer", "ensure_certificate"]

log = logging.getLogger(__name__)

_ANCHOR_SUFFIXES = {".pem", ".cer", ".crt"}
_LIFETIME = timedelta(days=730)
_RENEW_BEFORE = timedelta(days=30)
_LOOK_AGAIN_S = 2.0
_HANDSHAKE_TIMEOUT_S = 5.0


def ensure_certificate(folder: Path, *, host: str, at: datetime) -> tuple[Path, Path, bool]:
    """Return (certificate, key, whether it was just made): self-signed, for this machine, kept in the folder.

    It is made anew when it is missing or about to expire; by one, where several processes of a folder start.
    """
    make_private_folder(folder)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _ensure(folder / "certificate.pem", folder / "key.pem", host=host, at=at)
    finally:
        os.close(lock)


def _ensure(certificate_file: Path, key_file: Path, *, host: str, at: datetime) -> tuple[Path, Path, bool]:
    if key_file.is_file() and certificate_file.is_file():
        found = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if found.not_valid_after_utc - at > _RENEW_BEFORE:
            return certificate_file, key_file, False
    key = ec.generate_private_key(ec.SECP256R1())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _self_signed(key, host=host, at=at)
    # The key first: a certificate that is there always has its key beside it.
    write_file(key_file, key_pem)
    write_file(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return certificate_file, key_file, True


def _self_signed(key: ec.EllipticCurvePrivateKey, *, host: str, at: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OneCert on this machine")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    addresses = ["127.0.0.1", "::1"]
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            addresses.append(host)
    except ValueError:
        if host != "localhost":
            names.append(x509.DNSName(host))
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=5))
        .not_valid_after(at + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )


class TlsAdapter(BuiltinSSLAdapter):
    """cheroot's adapter with optional client certificates, fresh files, and the handshake left for later."""

    def __init__(
        self, certificate: Path, key: Path, *, anchors_folder: Path, anchors: Sequence[Path]
    ) -> None:
        self._anchors_folder = anchors_folder
        self._anchors = tuple(anchors)
        self._refresh_lock = threading.Lock()
        self._looked_at = 0.0
        try:
            super().__init__(str(certificate), str(key))
            self._stamp = self._files_stamp()
            self.context = self._make_context()
        except (OSError, ssl.SSLError) as exc:
            raise ConfigError([f"[server] tls_certificate, tls_key, operator_anchors: {exc}"]) from exc

    def wrap(self, sock: socket) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        """Wrap a new connection; `TlsConnection` shakes hands later, in a thread of its own."""
        self._refresh()
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {}

    def _refresh(self) -> None:
        now = monotonic()
        if now - self._looked_at < _LOOK_AGAIN_S:
            return
        with self._refresh_lock:
            self._looked_at = now
            try:
                stamp = self._files_stamp()
                if stamp != self._stamp:
                    self.context = self._make_context()
                    self._stamp = stamp
                    log.info("TLS files read again")
            except (OSError, ssl.SSLError) as exc:
                # Half-copied files, for example: the old ones serve until the new ones are whole.
                log.error("TLS files cannot be read, the old ones stay", extra={"error": str(exc)})

    def _anchor_files(self) -> list[Path]:
        found = list(self._anchors)
        if self._anchors_folder.is_dir():
            found += sorted(f for f in self._anchors_folder.iterdir() if f.suffix in _ANCHOR_SUFFIXES)
        return found

    def _files_stamp(self) -> tuple[tuple[str, int, int], ...]:
        files = [Path(self.certificate), Path(self.private_key), *self._anchor_files()]
        return tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files)

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.private_key)
        anchors = self._anchor_files()
        for file in anchors:
            content = file.read_bytes()
            if b"-----BEGIN" in content:
                context.load_verify_locations(cadata=content.decode("ascii", "replace"))
            else:
                context.load_verify_locations(cadata=content)
        # Without an anchor no client certificate could be accepted, so none is asked for.
        context.verify_mode = ssl.CERT_OPTIONAL if anchors else ssl.CERT_NONE
        # The anchor is the CA that issues operators' certificates, which need not be a root.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


class NoUnderscores(HeaderReader):
    """Ignores headers with an underscore: in WSGI, X_A would arrive under the name of X-A, a proxy's word.

    cheroot's own class for that looks for text in bytes and breaks every request.
    """

    def _allow_header(self, key_name: bytes) -> bool:
        return b"_" not in key_name


class StrictRequest(HTTPRequest):
    """A request without such headers, and with a body whose length is said, or none.

    cheroot leaves on the connection what the application does not read of any other body, and takes it for
    the next request: behind a proxy, somebody else's.
    """

    header_reader = NoUnderscores()

    def respond(self) -> None:
        length = self.inheaders.get(b"Content-Length", b"0")
        if b"Transfer-Encoding" in self.inheaders or not length.isdigit():
            # With this status cheroot says that it ends the connection, and does.
            self.simple_response("413 Request Entity Too Large", "A body needs a Content-Length.\n")
            return
        super().respond()
        self.conn.wfile.flush()

    def send_headers(self) -> None:
        self.conn.wfile.hold()
        super().send_headers()


class TlsConnection(HTTPConnection):
    """Shakes hands in the worker thread. cheroot would do it in the thread that accepts everybody."""

    RequestHandlerClass = StrictRequest
    _is_greeted = False

    def __init__(self, server: Any, sock: socket, makefile: object) -> None:
        super().__init__(server, sock, stream)

    def communicate(self) -> bool:
        if isinstance(self.socket, ssl.SSLSocket) and not self._is_greeted:
            try:
                self.socket.settimeout(_HANDSHAKE_TIMEOUT_S)
                self.socket.do_handshake()
                self.socket.settimeout(self.server.timeout)
                self.ssl_env = self.server.ssl_adapter.get_environ(self.socket)
            except (OSError, ValueError) as exc:  # SSLError is an OSError
                log.info("TLS handshake failed", extra={"peer": self.remote_addr, "error": str(exc)})
                return False
            self._is_greeted = True
        return bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's types end here


class WaitingServer(WsgiServer):
    """Gives a new connection to a worker only when its first bytes are there.

    cheroot hands it over at once: as many silent connections as there are threads would stop the service.
    """

    ConnectionClass = TlsConnection

    def process_conn(self, conn: Any) -> None:
        if not getattr(conn, "has_spoken", False):
            conn.has_spoken = True
            self._connections.put(conn)  # type: ignore[attr-defined]  # made by prepare()
            return
        super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        log.log(level, "http server", extra={"detail": msg}, exc_info=traceback)
