"""OCSP for attribute certificates: every status, read by cryptography and by `openssl ocsp`."""

from __future__ import annotations

import base64
import io
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import OCSPNonce, ocsp
from sqlalchemy import func, select

from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import ocsp_answers
from onecert.pmi.status.ocsp_app import OcspApp
from onecert.pmi.status.ocsp_messages import is_about, read_request, write_cert_id
from onecert.server.errors import ServiceError
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import SEQUENCE, DerError

pytestmark = pytest.mark.token


def authority(pmi):
    with pmi.database.reading() as connection:
        return pmi.parts.authorities.load(connection, "tax-office")


def question(pmi, *serials: int | str, hash_name: str = "sha1", extensions: bytes = b"") -> bytes:
    numbers = [serial if isinstance(serial, int) else int(serial, 16) for serial in serials]
    certificate = authority(pmi).certificate
    singles = [tlv(SEQUENCE, write_cert_id(certificate, number, hash_name).raw) for number in numbers]
    return tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, *singles), extensions))


def nonce(value: bytes) -> bytes:
    oid = bytes.fromhex("06092b0601050507300102")
    return tlv(0xA2, tlv(SEQUENCE, tlv(SEQUENCE, oid, tlv(4, tlv(4, value)))))


def ask(pmi, request: bytes):
    return ocsp.load_der_ocsp_response(pmi.parts.responder.answer("tax-office", request))


def signed(pmi) -> int:
    with pmi.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(ocsp_answers))


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_good_held_good_revoked_unknown(pmi_on_both, lab, hash_name: str) -> None:
    """Each change counts from the next question on; the authority's own key signs."""
    pmi = pmi_on_both
    serial = pmi.grant(lab.READER_ROLE).serial
    request = question(pmi, serial, hash_name=hash_name)
    key = pmi.authority_certificate.public_key()

    def status() -> tuple[str, str | None]:
        found = ask(pmi, request)
        key.verify(found.signature, found.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
        assert found.serial_number == int(serial, 16)
        assert found.hash_algorithm.name == hash_name
        reason = found.revocation_reason
        return found.certificate_status.name, reason.value if reason else None

    revocations = pmi.parts.revocations
    assert status() == ("GOOD", None)
    revocations.hold(serial, operator=pmi.officer)
    assert status() == ("REVOKED", "certificateHold")
    revocations.release(serial, operator=pmi.officer)
    assert status() == ("GOOD", None)
    revocations.revoke(serial, reason="affiliationChanged", operator=pmi.officer)
    assert status() == ("REVOKED", "affiliationChanged")
    unknown = ask(pmi, question(pmi, 0x4A00FF, hash_name=hash_name))
    assert unknown.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert signed(pmi) == 1


def test_what_was_signed_is_kept_until_half_of_its_time_or_a_change(pmi, lab) -> None:
    serial = pmi.grant(lab.READER_ROLE).serial
    request = question(pmi, serial)
    first = pmi.parts.responder.answer("tax-office", request)
    pmi.clock.advance(timedelta(hours=1))
    assert pmi.parts.responder.answer("tax-office", request) == first
    pmi.clock.advance(timedelta(hours=2))
    pmi.parts.responder.renew(pmi.clock.now())
    again = ask(pmi, request)
    assert again.this_update_utc == lab.T + timedelta(hours=3)
    assert again.next_update_utc == lab.T + timedelta(hours=7)
    pmi.clock.advance(timedelta(days=2))
    pmi.parts.responder.renew(pmi.clock.now())
    assert signed(pmi) == 0


def test_without_the_token_what_is_true_stays_good_until_its_end(pmi, lab, monkeypatch) -> None:
    """good -> token away: the kept answer, also to a nonce; revoked -> nobody says good, nor anything."""
    serial, other = (pmi.grant(lab.READER_ROLE).serial for _ in range(2))
    request = question(pmi, serial)
    first = pmi.parts.responder.answer("tax-office", request)
    with monkeypatch.context() as patched:

        def away(*_arguments: object) -> bytes:
            raise ServiceError("TOKEN_UNAVAILABLE", status=503, text="-", hint="-")

        patched.setattr(Signer, "sign", away)
        pmi.clock.advance(timedelta(hours=3))
        assert pmi.parts.responder.answer("tax-office", request) == first
        with_nonce = question(pmi, serial, extensions=nonce(b"12345678"))
        assert pmi.parts.responder.answer("tax-office", with_nonce) == first
        assert ask(pmi, question(pmi, other)).response_status.name == "TRY_LATER"
        pmi.parts.revocations.revoke(serial, reason="superseded", operator=pmi.officer)
        assert ask(pmi, request).response_status.name == "TRY_LATER"
    assert ask(pmi, request).certificate_status.name == "REVOKED"


def test_without_the_database_the_last_answer_counts_until_its_end(pmi, lab, monkeypatch) -> None:
    request = question(pmi, pmi.grant(lab.READER_ROLE).serial)
    first = pmi.parts.responder.answer("tax-office", request)

    def away(*_arguments: object) -> None:
        raise ServiceError("DATABASE_UNAVAILABLE", status=503, text="-", hint="-")

    monkeypatch.setattr(type(pmi.database), "reading", away)
    assert pmi.parts.responder.answer("tax-office", request) == first
    pmi.clock.advance(timedelta(hours=4))
    assert pmi.parts.responder.answer("tax-office", request) == bytes.fromhex("30030a0103")


def test_nonces_and_several_in_one(pmi, lab) -> None:
    serial = pmi.grant(lab.READER_ROLE).serial
    pmi.parts.revocations.revoke(serial, reason="superseded", operator=pmi.officer)
    found = ask(pmi, question(pmi, serial, extensions=nonce(b"0123456789abcdef")))
    assert found.extensions.get_extension_for_class(OCSPNonce).value.nonce == b"0123456789abcdef"
    several = list(ask(pmi, question(pmi, serial, 0x4A01)).responses)
    assert [each.certificate_status.name for each in several] == ["REVOKED", "UNKNOWN"]
    foreign = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, foreign_id()))))
    assert ask(pmi, foreign).response_status.name == "UNAUTHORIZED"


def foreign_id() -> bytes:
    algorithm = bytes.fromhex("300906052b0e03021a0500")
    return tlv(SEQUENCE, algorithm, tlv(4, bytes(20)), tlv(4, bytes(20)), tlv(2, b"\x05"))


BAD = {
    "empty": b"",
    "not DER": b"\x30\x80\x00\x00",
    "nothing asked": bytes.fromhex("300430023000"),
    "left over": bytes.fromhex("3004300230000500"),
    "too long": bytes(20_000),
    "a nonce of nothing": tlv(
        SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, foreign_id())), nonce(b""))
    ),
    "thirty-three": tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, *[tlv(SEQUENCE, foreign_id())] * 33))),
    "critical and unknown": tlv(
        SEQUENCE,
        tlv(
            SEQUENCE,
            tlv(SEQUENCE, tlv(SEQUENCE, foreign_id())),
            tlv(0xA2, tlv(SEQUENCE, tlv(SEQUENCE, bytes.fromhex("06032a03040101ff"), tlv(4, b"")))),
        ),
    ),
}


def test_what_cannot_be_read_is_said_so(pmi) -> None:
    for name, request in BAD.items():
        with pytest.raises(DerError):
            read_request(request)
        answer = pmi.parts.responder.answer("tax-office", request)
        assert answer == bytes.fromhex("30030a0101"), name
    assert not is_about(read_request(good()).cert_ids[0], authority(pmi).certificate)


def good() -> bytes:
    return tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, foreign_id()))))


def call(app, method: str, path: str, body: bytes = b"") -> tuple[str, dict[str, str], bytes]:
    said: list = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    content = b"".join(app(environ, lambda status, headers: said.extend((status, dict(headers)))))
    return said[0], said[1], content


def test_over_http_and_by_openssl(pmi, lab, tmp_path) -> None:
    """POST, GET with base64 in the path; `openssl ocsp` asks by serial number and issuer, and believes it."""
    serial, revoked = (pmi.grant(lab.READER_ROLE).serial for _ in range(2))
    pmi.parts.revocations.revoke(revoked, reason="keyCompromise", operator=pmi.officer)
    app = OcspApp(pmi.parts.responder, lambda *_: [b"behind"])
    request = question(pmi, serial)
    status, headers, posted = call(app, "POST", "/tax-office/ocsp", request)
    assert (status, headers["Content-Type"]) == ("200 OK", "application/ocsp-response")
    path = "/tax-office/ocsp/" + quote(base64.b64encode(request).decode(), safe="")
    assert call(app, "GET", path)[2] == posted
    assert call(app, "GET", "/tax-office/ocsp/!")[2] == bytes.fromhex("30030a0101")
    assert call(app, "PUT", "/tax-office/ocsp")[0].startswith("405")
    assert b"".join(app({"PATH_INFO": "/tax-office.acrl"}, lambda *_: None)) == b"behind"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            content = call(app, "POST", self.path, body)[2]
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    issuer, anchor = tmp_path / "issuer.pem", tmp_path / "anchor.pem"
    issuer.write_bytes(pmi.authority_certificate.public_bytes(Encoding.PEM))
    anchor.write_bytes(pmi.ca.certificate.public_bytes(Encoding.PEM))
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/tax-office/ocsp"
        at = str(int(lab.T.timestamp()))
        command = ["openssl", "ocsp", "-issuer", issuer, "-url", url, "-CAfile", anchor]
        # The command compares thisUpdate with the real clock; the answers are of the test's.
        command += ["-VAfile", issuer, "-attime", at, "-validity_period", "1000000000"]
        command += ["-serial", f"0x{serial}", "-serial", f"0x{revoked}", "-serial", "0x4a00"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    finally:
        server.shutdown()
        server.server_close()
    assert "Response verify OK" in done.stderr, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert f"0x{serial}: good" in lines
    assert f"0x{revoked}: revoked" in lines
    assert "Reason: keyCompromise" in lines
    assert "0x4a00: unknown" in lines
