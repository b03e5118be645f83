"""Malformed requests; clients that are slow, huge or silent: an answer or a closed connection, in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ca_ocsp import call, request_for
from test_ca_status_process import fill, process

from onecert.ca.der import DerError
from onecert.ca.ocsp.messages import IssuerHashes, load_request
from onecert.ca.signatures.algorithms import spki_der
from onecert.ca.status.serving import listening_server
from onecert.ca.timestamps import messages as timestamp
from onecert.verifier.signed_form import request_timestamp

CERT_ID = (b"n" * 20, b"k" * 20)
PATIENCE_S = 30
SHORT_S = 1
# Any octets, and what is nearly right: a request with octets taken out, put in and changed.
EDITS = st.lists(st.tuples(st.integers(0, 400), st.sampled_from("-+="), st.binary(max_size=3)), max_size=4)


def request_der(nonce: bytes | None = None, serial: int = 0x4F << 128, algorithm: Any = None) -> bytes:
    algorithm = algorithm or hashes.SHA1()
    hashed = tuple((part * 2)[: algorithm.digest_size] for part in CERT_ID)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(*hashed, serial, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def edited(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for place, what, octets in edits:
        at = place % (len(data) + 1)
        end = at if what == "+" else at + len(octets)
        data = data[:at] + (b"" if what == "-" else octets) + data[end:]
    return data


@given(data=st.binary(max_size=300) | st.builds(edited, st.just(request_der(b"n" * 16)), EDITS))
def test_an_ocsp_request_is_read_or_refused(data: bytes) -> None:
    with suppress(DerError):
        load_request(data)


@given(data=st.binary(max_size=300) | st.builds(edited, st.just(request_timestamp(b"a form").der), EDITS))
def test_a_timestamp_request_is_read_or_refused(data: bytes) -> None:
    with suppress(timestamp.RequestRefused):
        timestamp.load_request(data)


@pytest.fixture(scope="module")
def names() -> IssuerHashes:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    return IssuerHashes(
        subject.public_bytes(), spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    serial=st.integers(1, (1 << 159) - 1),
    nonce=st.none() | st.binary(min_size=1, max_size=128),
    algorithm=st.sampled_from([hashes.SHA1(), hashes.SHA256(), hashes.SHA512()]),
    edits=EDITS,
)
def test_what_is_recognised_by_its_octets_is_what_the_parser_reads(
    names: IssuerHashes, serial: int, nonce: bytes | None, algorithm: Any, edits: list[tuple[int, str, bytes]]
) -> None:
    hashed = names.cert_id(serial, algorithm.name)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashed.name_hash, hashed.key_hash, serial, algorithm
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    plain = builder.build().public_bytes(serialization.Encoding.DER)
    for data in (plain, edited(plain, edits)):
        recognised, question = names.question(data), names.plain_question(data)
        if recognised is not None:
            assert recognised == load_request(data)
        if question is not None:
            (cert_id,) = load_request(data).cert_ids
            assert load_request(data).nonce_value_der is None
            assert names.matches(cert_id)
            assert question == (cert_id.hash_name, f"{cert_id.serial:x}")


# ------------------------------------------------------------------ over HTTP


@contextmanager
def serving(app: Any) -> Iterator[int]:
    server = listening_server(app, ("127.0.0.1", 0), threads=2)
    # The same limits, sooner.
    server.timeout = SHORT_S
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()
        thread.join(10)


@contextmanager
def connected(port: int, *parts: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        for part in parts:
            connection.sendall(part)
        yield connection


def heard(connection: socket.socket) -> bytes:
    """Everything until the other side closes; a connection that it resets is closed, too."""
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def is_up(port: int, body: bytes) -> bool:
    head = HEAD + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with connected(port, head + body) as connection:
        return b"application/ocsp-response" in heard(connection)


HEAD = b"POST /ca/harbour/ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((b"",), id="silent"),
        pytest.param((b"POST /ca/har",), id="half a line"),
        pytest.param((HEAD,), id="headers without an end"),
        pytest.param((HEAD + b"Content-Length: 100\r\n\r\n", b"0" * 10), id="half a body"),
        pytest.param((HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"a\r\n123"), id="half a chunk"),
    ],
)
def test_clients_that_stop_do_not_keep_others_from_being_served(lite: Any, parts: tuple[bytes, ...]) -> None:
    """More of them than there are threads."""
    body = request_for(lite, lite.issue().record)
    fill(lite)
    with serving(process(lite)) as port:
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(5)]
        try:
            for connection in waiting:
                for part in parts:
                    connection.sendall(part)
            assert is_up(port, body)
        finally:
            for connection in waiting:
                connection.close()


@pytest.mark.parametrize(
    ("head", "flood", "statuses"),
    [
        pytest.param(HEAD + b"Content-Length: 10485760\r\n\r\n", b"0" * 65536, (b"413",), id="ten megabytes"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + b"0" * 65536 + b"\r\n",
            (b"413",),
            id="endless chunks",
        ),
        pytest.param(
            HEAD, b"X-Pad: " + b"0" * 1000 + b"\r\n", (b"413", b"400", b"431"), id="endless headers"
        ),
        pytest.param(b"GET /ca/harbour/ocsp/", b"A" * 65536, (b"413", b"414", b"400"), id="endless path"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", b"", (b"413", b"400"), id="negative length"),
        pytest.param(HEAD + b"Content-Length: ten\r\n\r\n", b"", (b"400",), id="no length"),
        pytest.param(b"\x16\x03\x01\x02\x00" * 100 + b"\r\n\r\n", b"", (b"400",), id="TLS"),
    ],
)
def test_too_much_is_cut_off(lite: Any, head: bytes, flood: bytes, statuses: tuple[bytes, ...]) -> None:
    body = request_for(lite, lite.issue().record)
    fill(lite)
    with serving(process(lite)) as port:
        with connected(port, head) as connection:
            try:
                for _ in range(160 if flood else 0):
                    connection.sendall(flood)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = heard(connection)
        # One answer at most: what follows is not taken for another request.
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert not answer or answer.split(b" ", 2)[1] in statuses
        assert is_up(port, body)


@pytest.mark.parametrize(
    "body", [b"", b"0", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"0" * 16385, request_der()[:-1]]
)
def test_a_malformed_request_gets_an_answer_from_a_status_process(lite: Any, body: bytes) -> None:
    fill(lite)
    status, headers, content = call(
        process(lite), "/ca/harbour/ocsp", "POST", body, CONTENT_TYPE="application/ocsp-request"
    )
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    found = ocsp.load_der_ocsp_response(content)
    assert found.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
