"""The way from a status process to the CA that signs, bounded in time and in number.

A CA that is slow or away never slows down what needs no signature.
"""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlsplit

from cryptography.x509 import ocsp

from onecert.ca.ocsp.stored_answers import OcspAnswer

__all__ = ["FORWARDED", "RemoteSigner"]

log = logging.getLogger(__name__)

# A status process that is asked by another one never asks on.
FORWARDED = "X-OneCert-Forwarded"
ANSWER_MAX_OCTETS = 1 << 16
TIMEOUT_S = 2.0
# After a failure nobody waits for the CA for so long.
PAUSE_S = 1.0
AT_ONCE = 4


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class RemoteSigner:
    """Asks a CA's status service for answers.

    Args:
        address: `http://host:port`, or the path of the CA's socket.
        at_once: so many requests wait for it at most; more are told at once that there is no answer.
    """

    def __init__(
        self, address: str, *, timeout_s: float = TIMEOUT_S, pause_s: float = PAUSE_S, at_once: int = AT_ONCE
    ) -> None:
        parsed = urlsplit(address)
        if address.startswith("/"):
            self._socket, self._host, self._port = address, "", 0
        elif parsed.scheme == "http" and parsed.hostname:
            self._socket, self._host, self._port = "", parsed.hostname, parsed.port or 80
        else:
            raise ValueError("the signer is http://host:port or the path of a socket")
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._places = threading.BoundedSemaphore(at_once)
        self._idle: list[http.client.HTTPConnection] = []
        self._not_before = 0.0

    def answer(self, authority: str, request_der: bytes) -> OcspAnswer | None:
        """A signed answer, or None: away, slow, busy, or without an answer itself."""
        if monotonic() < self._not_before or not self._places.acquire(blocking=False):
            return None
        try:
            return _signed(self._ask(authority, request_der))
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._not_before = monotonic() + self._pause_s
            log.warning("the signer gave no answer", extra={"why": repr(exc)})
            return None
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the connections that nobody uses at this moment."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, authority: str, request_der: bytes) -> bytes:
        while self._idle:
            try:
                return self._ask_on(self._idle.pop(), authority, request_der)
            except (IndexError, ConnectionError, http.client.BadStatusLine):
                # Another thread took it, or the other side has closed it since it was used.
                continue
        return self._ask_on(self._connection(), authority, request_der)

    def _ask_on(self, connection: http.client.HTTPConnection, authority: str, request_der: bytes) -> bytes:
        is_kept = False
        try:
            headers = {"Content-Type": "application/ocsp-request", FORWARDED: "1"}
            connection.request("POST", f"/ca/{authority}/ocsp", body=request_der, headers=headers)
            response = connection.getresponse()
            answer = bytes(response.read(ANSWER_MAX_OCTETS + 1))
            if response.status != HTTPStatus.OK or len(answer) > ANSWER_MAX_OCTETS:
                raise ValueError(f"status {response.status}, {len(answer)} octets")
            is_kept = not response.will_close
            if is_kept:
                self._idle.append(connection)
            return answer
        finally:
            if not is_kept:
                connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._socket:
            return _SocketConnection(self._socket, self._timeout_s)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def _signed(answer_der: bytes) -> OcspAnswer | None:
    """Take an answer that is signed; any other says no more than that there is none."""
    response = ocsp.load_der_ocsp_response(answer_der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return None
    singles = list(response.responses)
    ends = [single.next_update_utc for single in singles]
    is_plain = len(singles) == 1 and not list(response.extensions) and ends[0] is not None
    if not is_plain:
        return OcspAnswer(der=answer_der)
    return OcspAnswer(
        der=answer_der,
        next_update=int(ends[0].timestamp()) if ends[0] else None,
        this_update=int(singles[0].this_update_utc.timestamp()),
    )
