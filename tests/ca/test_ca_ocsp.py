"""OCSP and the status service: answers read back by cryptography and by the openssl command."""

from __future__ import annotations

import base64
import io
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from onecert.ca import der
from onecert.ca.errors import LintError
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.member import roll_delegates
from onecert.ca.ocsp.messages import check_answer, load_request
from onecert.ca.status.app import StatusApp


def status_app(world: Any) -> StatusApp:
    return world.service.status


def call(
    app: Any, path: str, method: str = "GET", body: bytes = b"", **environ: str
) -> tuple[int, dict[str, str], bytes]:
    captured: dict[str, Any] = {}

    def start_response(line: str, headers: list[tuple[str, str]]) -> None:
        captured["status"], captured["headers"] = int(line.split(maxsplit=1)[0]), dict(headers)

    full = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    content = b"".join(app(full, start_response))
    return captured["status"], captured["headers"], content


def post(app: Any, body: bytes, authority: str = "harbour") -> tuple[int, dict[str, str], bytes]:
    return call(app, f"/{authority}/ocsp", "POST", body, CONTENT_TYPE="application/ocsp-request")


def certificates(world: Any, record: Any) -> tuple[x509.Certificate, x509.Certificate]:
    issuer = world.parts.authorities.get("harbour").certificate_der
    return x509.load_der_x509_certificate(record.certificate_der), x509.load_der_x509_certificate(issuer)


def request_for(world: Any, record: Any, algorithm: Any = None, nonce: bytes | None = None) -> bytes:
    leaf, issuer = certificates(world, record)
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def answer(world: Any, body: bytes) -> ocsp.OCSPResponse:
    status, headers, content = post(status_app(world), body)
    assert (status, headers["Content-Type"]) == (200, "application/ocsp-response")
    return ocsp.load_der_ocsp_response(content)


def revoke(world: Any, serial: str, **changes: Any) -> None:
    world.parts.revocation.revoke(open_revocation(world.parts.desk, world.revocation(serial, **changes)))


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_good_then_revoked_at_once_in_the_hash_asked_for(lite: Any, algorithm: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record, algorithm)

    good = answer(lite, body)
    assert good.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert good.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert good.hash_algorithm.name == algorithm.name
    assert good.serial_number == int(record.serial, 16)
    assert good.this_update_utc == lite.clock.now()
    assert good.next_update_utc == lite.clock.now() + timedelta(hours=1)

    revoke(lite, record.serial)

    revoked = answer(lite, body)
    assert revoked.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert revoked.revocation_reason is x509.ReasonFlags.key_compromise
    assert revoked.revocation_time_utc == lite.clock.now()


def test_answer_is_signed_by_a_delegated_responder_of_that_ca(lite: Any) -> None:
    record = lite.issue().record
    response = answer(lite, request_for(lite, record))
    (responder,) = response.certificates
    responder.verify_directly_issued_by(certificates(lite, record)[1])
    purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck) is not None
    responder.public_key().verify(
        response.signature, response.tbs_response_bytes, _ecdsa(response.signature_hash_algorithm)
    )


def _ecdsa(algorithm: Any) -> Any:
    return ec.ECDSA(algorithm)


@pytest.mark.parametrize("size", [1, 32, 128])
def test_nonce_is_echoed(lite: Any, size: int) -> None:
    nonce = bytes(range(size))
    response = answer(lite, request_for(lite, lite.issue().record, nonce=nonce))
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


def test_nonce_out_of_bounds_is_malformed(lite: Any) -> None:
    response = answer(lite, request_for(lite, lite.issue().record, nonce=b"x" * 129))
    assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_never_issued_is_unknown(lite: Any) -> None:
    _leaf, issuer = certificates(lite, lite.issue().record)
    body = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(
            *_hashes(issuer), serial_number=0x4F0102030405060708090A0B0C0D0E0F10, algorithm=hashes.SHA1()
        )
        .build()
        .public_bytes(serialization.Encoding.DER)
    )
    assert answer(lite, body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_another_issuer_is_unknown(lite: Any) -> None:
    record = lite.issue().record
    body = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(b"n" * 20, b"k" * 20, int(record.serial, 16), hashes.SHA1())
        .build()
        .public_bytes(serialization.Encoding.DER)
    )
    assert answer(lite, body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def _hashes(issuer: x509.Certificate) -> tuple[bytes, bytes]:
    built = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, hashes.SHA1()).build()
    # issuer of itself here stands for "subject of the issuer": the name hash must be of its subject.
    digest = hashes.Hash(hashes.SHA1())
    digest.update(issuer.subject.public_bytes())
    return digest.finalize(), built.issuer_key_hash


def test_several_requests_in_one_are_answered_in_order(lite: Any) -> None:
    good, bad = lite.issue().record, lite.issue().record
    revoke(lite, bad.serial)
    singles = b""
    for record in (bad, good):
        reader = der.Reader(request_for(lite, record)).enter().enter().enter()
        singles += reader.element()[2]
    body = der.sequence(der.sequence(der.sequence(singles)))
    _status, _headers, content = post(status_app(lite), body)
    answers = list(ocsp.load_der_ocsp_response(content).responses)
    assert [each.certificate_status for each in answers] == [
        ocsp.OCSPCertStatus.REVOKED,
        ocsp.OCSPCertStatus.GOOD,
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: body[:-1],
        lambda body: body + b"\x00",
        lambda body: b"\x30\x80" + body[2:],
        lambda body: b"x" * 20000,
        lambda body: body.replace(b"\x02\x11\x4f", b"\x02\x11\xcf"),
        lambda body: der.sequence(der.sequence(der.sequence())),
    ],
)
def test_malformed_requests_get_an_answer(lite: Any, change: Callable[[bytes], bytes]) -> None:
    body = change(request_for(lite, lite.issue().record))
    assert answer(lite, body).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_unknown_critical_extension_is_malformed(lite: Any) -> None:
    reader = der.Reader(request_for(lite, lite.issue().record)).enter().enter()
    requests = reader.element()[2]
    strange = der.sequence(der.extension("1.2.3.4", der.NULL_DER, critical=True))
    with pytest.raises(der.DerError):
        load_request(der.sequence(der.sequence(requests, der.explicit(2, strange))))
    harmless = der.sequence(der.extension("1.2.3.4", der.NULL_DER))
    assert load_request(der.sequence(der.sequence(requests, der.explicit(2, harmless)))).cert_ids


def test_get_is_answered_with_caching_headers(lite: Any) -> None:
    body = request_for(lite, lite.issue().record)
    encoded = quote(base64.b64encode(body).decode(), safe="")
    status, headers, content = call(
        status_app(lite),
        "/harbour/ocsp/" + encoded.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="),
    )
    assert status == 200
    assert ocsp.load_der_ocsp_response(content).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert post(status_app(lite), body)[1]["Cache-Control"] == "no-store"


def test_token_gone_what_was_signed_is_still_served(lite: Any) -> None:
    """Signed before: served while the record agrees. New status or nonce: try later."""
    record = lite.issue().record
    body = request_for(lite, record)
    answer(lite, body)
    lite.token.gone = True
    assert answer(lite, body).certificate_status is ocsp.OCSPCertStatus.GOOD
    nonce = answer(lite, request_for(lite, record, nonce=b"n" * 16))
    assert nonce.response_status is ocsp.OCSPResponseStatus.TRY_LATER
    revoke(lite, record.serial)
    assert answer(lite, body).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_database_gone_lists_are_served_and_ocsp_says_try_later(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    app = status_app(lite)
    path = lite.context.database.path
    path.rename(path.with_name("away.db"))
    lite.token.gone = True
    status, headers, content = call(app, "/harbour.crl")
    assert (status, headers["Content-Type"]) == (200, "application/pkix-crl")
    assert x509.load_der_x509_crl(content).next_update_utc > lite.clock.now()
    assert answer(lite, body).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_responder_is_rolled_before_it_expires(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    (first,) = answer(lite, body).certificates
    roll_delegates(lite.parts)
    assert answer(lite, body).certificates == [first]

    lite.clock.advance(timedelta(days=61))
    roll_delegates(lite.parts)
    (second,) = answer(lite, body).certificates
    assert second.serial_number != first.serial_number
    assert second.public_key() != first.public_key()


def test_expired_responder_never_answers(lite: Any) -> None:
    body = request_for(lite, lite.issue().record)
    lite.clock.advance(timedelta(days=91))
    assert answer(lite, body).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_answers_are_linted_before_they_leave(lite: Any) -> None:
    body = request_for(lite, lite.issue().record, nonce=b"n" * 16)
    encoded = post(status_app(lite), body)[2]
    data = ocsp.load_der_ocsp_response(encoded).tbs_response_bytes
    right: dict[str, Any] = {
        "singles": 1,
        "at": lite.clock.now(),
        "not_after": lite.clock.now() + timedelta(days=9),
    }
    check_answer(encoded, data, **right)
    for wrong in (
        {"singles": 2},
        {"at": lite.clock.now() + timedelta(hours=2)},
        {"not_after": lite.clock.now() + timedelta(minutes=5)},
    ):
        with pytest.raises(LintError):
            check_answer(encoded, data, **(right | wrong))
    with pytest.raises(LintError):
        check_answer(b"nonsense", data, **right)


# ------------------------------------------------------------------ files over HTTP


def test_files_and_their_headers(lite: Any) -> None:
    app = status_app(lite)
    status, headers, content = call(app, "/harbour.crl")
    assert status == 200
    assert content == lite.parts.files.path("harbour", "crl").read_bytes()
    assert headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert call(app, "/harbour.crl", HTTP_IF_NONE_MATCH=headers["ETag"])[0] == 304
    status, head, empty = call(app, "/harbour.crl", "HEAD")
    assert (status, head["Content-Length"], empty) == (200, str(len(content)), b"")
    status, headers, content = call(app, "/harbour-root.cer")
    assert (status, headers["Content-Type"]) == (200, "application/pkix-cert")
    assert x509.load_der_x509_certificate(content).subject == x509.load_der_x509_certificate(content).issuer

    lite.parts.publisher.publish("harbour")
    assert call(app, "/harbour.crl", HTTP_IF_NONE_MATCH=headers["ETag"])[0] == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nobody.crl", "GET", 404),
        ("/../ca.db", "GET", 404),
        ("/harbour.key", "GET", 404),
        ("/", "GET", 404),
        ("/harbour.crl", "POST", 405),
        ("/harbour/ocsp", "GET", 405),
        ("/harbour/ocsp", "POST", 415),
        ("/harbour/ocsp/%%%", "GET", 200),
    ],
)
def test_other_addresses(lite: Any, path: str, method: str, status: int) -> None:
    assert call(status_app(lite), path, method)[0] == status


def test_ocsp_of_an_unknown_authority_is_not_found(lite: Any) -> None:
    body = request_for(lite, lite.issue().record)
    assert post(status_app(lite), body, "nobody")[0] == 404


# ------------------------------------------------------------------ openssl as a foreign client


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def openssl(*arguments: Any) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=20
    )
    return done.stdout + done.stderr


@pytest.fixture
def files(lite: Any, tmp_path: Path) -> dict[str, Path]:
    issued = lite.issue()
    made = {"leaf": tmp_path / "leaf.pem", "issuer": tmp_path / "issuer.pem", "root": tmp_path / "root.pem"}
    made["leaf"].write_text(issued.as_json()["certificate_pem"])
    made["issuer"].write_text(issued.chain_pem[0])
    made["root"].write_text(issued.chain_pem[1])
    made["serial"] = Path(issued.record.serial)
    return made


def lists(lite: Any, folder: Path) -> Path:
    joined = ""
    for name in ("harbour", "harbour-root"):
        path = lite.parts.files.path(name, "crl")
        joined += openssl("crl", "-inform", "DER", "-in", path)
    target = folder / "lists.pem"
    target.write_text(joined)
    return target


def verify(lite: Any, files: dict[str, Path], tmp_path: Path) -> str:
    moment = int(lite.clock.now().timestamp()) + 5
    return openssl(
        "verify", "-x509_strict", "-crl_check_all", "-attime", moment, "-CRLfile", lists(lite, tmp_path),
        "-CAfile", files["root"], "-untrusted", files["issuer"], files["leaf"],
    )  # fmt: skip


def test_openssl_verify_with_our_lists(lite: Any, files: dict[str, Path], tmp_path: Path) -> None:
    assert ": OK" in verify(lite, files, tmp_path)
    revoke(lite, str(files["serial"]))
    assert "certificate revoked" in verify(lite, files, tmp_path)


def test_openssl_reads_our_list(lite: Any, files: dict[str, Path]) -> None:
    revoke(lite, str(files["serial"]), reason="certificateHold")
    text = openssl(
        "crl", "-inform", "DER", "-in", lite.parts.files.path("harbour", "crl"), "-text", "-noout",
        "-CAfile", files["issuer"],
    )  # fmt: skip
    assert "verify OK" in text
    assert "Certificate Hold" in text
    assert str(files["serial"]).upper() in text


def test_openssl_ocsp_agrees(lite: Any, files: dict[str, Path]) -> None:
    """openssl judges freshness by the real clock, so the answers' age is not compared, everything else is."""

    moment = int(lite.clock.now().timestamp()) + 5

    def ask(digest: str = "-sha1", *more: str) -> str:
        return openssl(
            "ocsp", digest, "-attime", moment, "-issuer", files["issuer"], "-cert", files["leaf"],
            "-url", f"{url}/harbour/ocsp",
            "-CAfile", files["root"], "-verify_other", files["issuer"], "-validity_period", "1000000000",
            *more,
        )  # fmt: skip

    with served(status_app(lite)) as url:
        good = ask()
        assert "leaf.pem: good" in good
        assert "WARNING: no nonce" not in good
        assert "Nonce Verify error" not in good
        assert "leaf.pem: good" in ask("-sha256", "-no_nonce")
        revoke(lite, str(files["serial"]))
        assert "leaf.pem: revoked" in ask()
        assert "Reason: keyCompromise" in ask()
