"""What servers answer: documents of every kind, HTTP without a socket, addresses, cache records.

The first octet says what the rest is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from fuzz.material import T, hierarchy, key
from fuzz.rules import answer, check_texts, passes, require
from onecert.verifier.fetch import HttpFetch, http
from onecert.verifier.fetch.addresses import Destinations, is_public
from onecert.verifier.fetch.documents import Document, Kind, check_may_replace, load_document, next_update
from onecert.verifier.fetch.records import read_failure, read_record
from onecert.verifier.fetch.transfer import FetchAnswer, FetchRequest
from onecert.verifier.fetch.wire import Wire
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.revocation import Crl

IS_DER = False

_KINDS = (*Kind, "http", "address", "record")
_MAX_BYTES = 4096
_URL = "http://93.184.216.34/ca.crl"
_PLACES = (
    *("http://a.cn/1.crl", "https://a.cn:8443/x?y=1", "http://[2001:db8::1]/", "http://10.0.0.1:99/"),
    *("http://0x7f.1/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "ldap://a.cn/"),
)
_HEADS = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "a"\r\nCache-Control: max-age=60\r\nAge: 5\r\n\r\nbody',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nLast-Modified: Sat, 21 Nov 2026 08:00:00 GMT\r\n\r\nuntil the end",
    b"HTTP/1.1 302 Found\r\nLocation: http://93.184.216.34/other\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "b"\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\n\r\n",
)
_RECORD = {
    "url": "http://a.cn/1.crl",
    "kind": "crl",
    "fetched_at": "2026-11-21T09:00:00+00:00",
    "sha256": "00" * 32,
    "etag": "",
    "last_modified": "",
    "max_age_s": 60,
    "count": 2,
    "failed_at": "2026-11-21T09:00:00+00:00",
    "retry_at": "2026-11-21T09:01:00+00:00",
    "detail": "FETCH_TIMEOUT",
}


def seeds() -> Iterable[bytes]:
    """Good answers of each kind."""
    world = hierarchy()
    certificates = [world.ca_1.certificate, world.ca_2.certificate]
    bundles = [pkcs7.serialize_certificates(certificates, form) for form in (Encoding.DER, Encoding.PEM)]
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    by_kind: dict[object, list[bytes]] = {
        Kind.CRL: [world.crl_2, world.delta_2],
        Kind.OCSP: [world.good, world.delegated],
        Kind.CERTIFICATES: [world.ca_1.der, *bundles, pem],
        "http": list(_HEADS),
        "address": [place.encode() for place in _PLACES],
        "record": [json.dumps(_RECORD).encode()],
    }
    for number, kind in enumerate(_KINDS):
        yield from (bytes((number,)) + data for data in by_kind[kind])


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "http"
    if isinstance(kind, Kind):
        _load(kind, body)
    elif kind == "http":
        _ask(body)
    elif kind == "address":
        _read_address(body)
    else:
        _read_records(body)


def _load(kind: Kind, body: bytes) -> None:
    found: Document | None = answer(lambda: load_document(kind, body, DEFAULT_LIMITS))
    if found is None:
        return
    next_update(found)
    if isinstance(found, tuple):
        require(found, "no certificate at all")
        require(all(certificate.der in body for certificate in found) or b"-----" in body or b"\x24" in body,
                "a certificate that was not sent")  # fmt: skip
        return
    world = hierarchy()
    keys = [key(world.ca_2.number).public_key()]
    data = world.crl_2 if isinstance(found, Crl) else world.good
    known = load_document(kind, data, DEFAULT_LIMITS)
    for new, old in ((found, None), (found, known), (known, found)):
        passes(check_may_replace, new, old, keys=keys, at=T)
    require(passes(check_may_replace, known, None, keys=keys, at=T), "a good list may not be kept")


class _Told(Wire):
    """A connection on which the server has already said everything."""

    def __init__(self, said: bytes) -> None:
        self._said = io.BytesIO(said)

    def send(self, data: bytes) -> None:
        require(data.endswith(b"\r\n\r\n") and data.count(b"\r\n\r\n") == 1, "a request that is two")

    def readinto(self, buffer: Any) -> int:
        return self._said.readinto(buffer)

    def close(self) -> None:
        io.RawIOBase.close(self)


def _ask(said: bytes) -> None:
    for etag in ("", '"a"'):
        request = FetchRequest(url=_URL, max_bytes=_MAX_BYTES, etag=etag)
        with mock.patch.object(http, "connect", side_effect=lambda *_, **__: _Told(said)):
            found: FetchAnswer | None = answer(HttpFetch(), request)
        if found is None:
            continue
        require(found.data is not None or etag, "not modified, though nothing was at hand")
        require(found.data is None or len(found.data) <= _MAX_BYTES, "more than was asked for")
        require(found.max_age is None or found.max_age >= timedelta(0), "an age below zero")
        check_texts([found.etag, found.last_modified, found.content_type])


def _read_address(body: bytes) -> None:
    rules = Destinations()
    text = body.decode("utf-8", "replace")
    found = answer(lambda: rules.read(text))
    if found is None:
        return
    for part in (found.target, found.host_header):
        require(part.isascii() and part.isprintable() and " " not in part, "an address that breaks a request")
    with suppress(ValueError):
        address = ip_address(found.host)
        allowed = passes(rules.check, found, found.host)
        require(allowed == is_public(address), "a private address may be asked")


def _read_records(body: bytes) -> None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(fields, dict):
        for read in (read_record, read_failure):
            with suppress(KeyError, TypeError, ValueError):
                read(fields)
