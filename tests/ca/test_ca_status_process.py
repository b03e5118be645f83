"""A status process: serves from the status folder while CA, database and token are gone, never wrongly."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp
from test_ca_ocsp import call, certificates, post, request_for, revoke

from onecert.ca.config import CaConfig
from onecert.ca.ocsp.prepared_answers import PreparedAnswers
from onecert.ca.status import process as status_process
from onecert.ca.status.folder_copy import copy_folder
from onecert.ca.status.process import StatusProcess
from onecert.ca.status.serving import listening_server

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
STATUS = ocsp.OCSPResponseStatus
HOUR = timedelta(hours=1)


@pytest.fixture
def people() -> Iterator[dict[str, str]]:
    """Identities of different agents."""
    return iter(
        {"uscc": "91440300MA5DEM004J", "agent_idcard": person}
        for person in ("440300190001010015", "440300190001010031", "440300190001010058")
    )


def process(world: Any, *, folder: Path | None = None, **settings: Any) -> StatusProcess:
    """A status process as it starts: with nothing but the folder."""
    return StatusProcess(
        folder or world.parts.files.folder, CaConfig(batch_workers=0, **settings), world.clock
    )


@contextmanager
def with_signer(world: Any) -> Iterator[StatusProcess]:
    """A status process beside a CA that signs."""
    with (
        over_http(under_ca(world)) as port,
        closing(process(world, status_signer=f"http://127.0.0.1:{port}")) as app,
    ):
        yield app


def ask(app: Any, body: bytes, authority: str = "harbour") -> ocsp.OCSPResponse:
    status, headers, content = call(
        app, f"/ca/{authority}/ocsp", "POST", body, CONTENT_TYPE="application/ocsp-request"
    )
    assert (status, headers["Content-Type"]) == (200, "application/ocsp-response")
    return ocsp.load_der_ocsp_response(content)


def fill(world: Any) -> None:
    """What the jobs of a running CA do."""
    _ = world.service
    world.parts.responders.prepare()
    world.parts.responders.follow()


def destroy_ca(world: Any) -> None:
    """The CA's process, its database and its token are gone."""
    world.context.database.close()
    world.context.database.path.unlink()
    world.token.gone = True


@contextmanager
def over_http(app: Any) -> Iterator[int]:
    """The application behind the server that `onecert ca status serve` uses."""
    server = listening_server(app, ("127.0.0.1", 0), threads=4)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()
        thread.join(10)


def under_ca(world: Any) -> Callable[..., Any]:
    """The CA's own status service, mounted as in its process."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/ca")
        return world.service.status(environ, start_response)

    return app


def never_issued(world: Any, serial: int = 0x4F << 128, algorithm: Any = None) -> bytes:
    _leaf, issuer = certificates(world, world.issue().record)
    names = issuer.subject.public_bytes(), issuer.public_key()
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        _digest(names[0]),
        x509.SubjectKeyIdentifier.from_public_key(names[1]).digest,
        serial,
        algorithm or hashes.SHA1(),
    )
    return builder.build().public_bytes(serialization.Encoding.DER)


def _digest(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA1())
    digest.update(data)
    return digest.finalize()


# ------------------------------------------------------------------ everything else is gone


def test_served_while_ca_database_and_token_are_gone_and_after_a_restart(
    lite: Any, people: Iterator[dict[str, str]]
) -> None:
    good, bad = (lite.issue(identity=next(people)).record for _ in range(2))
    questions = {GOOD: request_for(lite, good), REVOKED: request_for(lite, bad)}
    revoke(lite, bad.serial)
    fill(lite)
    app = process(lite)
    destroy_ca(lite)
    for running in (app, process(lite)):
        for expected, body in questions.items():
            assert ask(running, body).certificate_status is expected
        status, headers, content = call(running, "/ca/harbour.crl")
        assert (status, headers["Content-Type"]) == (200, "application/pkix-crl")
        listed = x509.load_der_x509_crl(content)
        assert [entry.serial_number for entry in listed] == [int(bad.serial, 16)]
        assert x509.load_der_x509_certificate(call(running, "/ca/harbour.cer")[2])
        assert call(running, "/readyz")[0] == 200
    lite.clock.advance(timedelta(hours=7))
    assert ask(app, questions[GOOD]).certificate_status is GOOD
    lite.clock.advance(timedelta(hours=1))
    assert ask(app, questions[GOOD]).response_status is STATUS.UNAUTHORIZED


def test_an_empty_folder_serves_nothing_and_what_comes_later(lite: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    empty = tmp_path / "copied"
    app = process(lite, folder=empty)
    assert call(app, "/ca/harbour.crl")[0] == 404
    assert call(app, "/readyz")[0] == 503
    body = request_for(lite, record)
    assert call(app, "/ca/harbour/ocsp", "POST", body, CONTENT_TYPE="application/ocsp-request")[0] == 404
    fill(lite)
    copy_folder(lite.parts.files.folder, empty)
    assert ask(app, body).certificate_status is GOOD
    assert call(app, "/ca/harbour.crl")[0] == 200
    assert call(app, "/readyz")[0] == 200


def test_issued_a_moment_ago_has_an_answer_with_the_next_run(
    lite: Any, people: Iterator[dict[str, str]]
) -> None:
    """The job runs every two seconds; it does not go over all certificates for it."""
    fill(lite)
    app = process(lite)
    for person in people:
        record = lite.issue(identity=person).record
        lite.parts.responders.follow()
        assert ask(app, request_for(lite, record)).certificate_status is GOOD


def test_before_that_run_nobody_says_that_it_is_unknown(lite: Any) -> None:
    fill(lite)
    record = lite.issue().record
    assert ask(process(lite), request_for(lite, record)).response_status is STATUS.UNAUTHORIZED
    away = process(lite, status_signer="http://127.0.0.1:9")
    assert ask(away, request_for(lite, record)).response_status is STATUS.TRY_LATER


def test_revoked_at_once(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    app = process(lite)
    assert ask(app, body).certificate_status is GOOD
    revoke(lite, record.serial)
    # From the commit on nothing says "good"; the next run says what it is.
    assert ask(app, body).response_status is STATUS.UNAUTHORIZED
    lite.parts.responders.follow()
    found = ask(app, body)
    assert (found.certificate_status, found.revocation_reason) == (
        REVOKED,
        x509.ReasonFlags.key_compromise,
    )


def test_answers_of_a_revoked_responder_are_not_served(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    app = process(lite)
    (responder,) = ask(app, body).certificates
    revoke(lite, f"{responder.serial_number:x}")
    lite.parts.responders.prepare()
    assert ask(app, body).response_status is STATUS.UNAUTHORIZED
    lite.parts.ocsp_delegates.roll_all()
    lite.parts.responders.prepare()
    (following,) = ask(app, body).certificates
    assert following.serial_number != responder.serial_number


# ------------------------------------------------------------------ hashes, nonces, several questions


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_signed_ahead_for_the_hashes_of_the_settings(lite: Any, name: str) -> None:
    lite.config = CaConfig(batch_workers=0, ocsp_prepared_hashes=("sha1", "sha256"))
    lite.restart()
    record = lite.issue().record
    body = request_for(lite, record, getattr(hashes, name.upper())())
    fill(lite)
    app = process(lite)
    destroy_ca(lite)
    found = ask(app, body)
    assert (found.certificate_status, found.hash_algorithm.name) == (GOOD, name)


def test_a_nonce_without_a_signer(lite: Any) -> None:
    """By default the answer comes without it, and whoever asked decides; or the setting says no."""
    record = lite.issue().record
    body = request_for(lite, record, nonce=b"n" * 16)
    fill(lite)
    found = ask(process(lite), body)
    assert found.certificate_status is GOOD
    assert not list(found.extensions)
    strict = process(lite, ocsp_without_nonce=False)
    assert ask(strict, body).response_status is STATUS.UNAUTHORIZED


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_what_nobody_signed_ahead_is_signed_by_the_ca(lite: Any, algorithm: Any) -> None:
    record = lite.issue().record
    fill(lite)
    with with_signer(lite) as app:
        assert ask(app, request_for(lite, record, algorithm)).certificate_status is GOOD
        nonce = ask(app, request_for(lite, record, algorithm, nonce=b"n" * 16))
        assert nonce.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 16
        assert ask(app, never_issued(lite)).certificate_status is UNKNOWN
        fresh = lite.issue(identity={"uscc": "91440300MA5DEM004J", "agent_idcard": "440300190001010031"})
        assert ask(app, request_for(lite, fresh.record)).certificate_status is GOOD


def test_a_signer_without_a_token_is_no_signer(lite: Any) -> None:
    record = lite.issue().record
    body = request_for(lite, record, nonce=b"n" * 16)
    fill(lite)
    with with_signer(lite) as app:
        lite.token.gone = True
        assert not list(ask(app, body).extensions)
        assert ask(app, request_for(lite, record, hashes.SHA384())).response_status is STATUS.TRY_LATER


def test_two_status_processes_that_name_each_other_do_not_ask_for_ever(lite: Any) -> None:
    fill(lite)
    body = never_issued(lite)
    apps: list[Any] = []

    def itself(environ: dict[str, Any], start_response: Any) -> Any:
        return apps[0](environ, start_response)

    with over_http(itself) as port:
        apps.append(process(lite, status_signer=f"http://127.0.0.1:{port}"))
        with closing(apps[0]):
            assert ask(apps[0], body).response_status is STATUS.TRY_LATER


# ------------------------------------------------------------------ other clients


def openssl(world: Any, folder: Path, port: int, serials: list[str], *options: str) -> str:
    for name in ("root", "harbour"):
        (authority,) = (each for each in world.parts.authorities.everyone() if each.name.endswith(name))
        (folder / f"{name}.pem").write_text(authority.certificate_pem)
    command = ["openssl", "ocsp", "-CAfile", "root.pem", "-issuer", "harbour.pem"]
    command += ["-url", f"http://127.0.0.1:{port}/ca/harbour/ocsp", "-validity_period", "99999999"]
    for serial in serials:
        command += [*options, "-serial", f"0x{serial}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
def test_openssl_believes_the_answers(
    lite: Any, people: Iterator[dict[str, str]], tmp_path: Path, digest: str, nonce: str
) -> None:
    records = [lite.issue(identity=next(people)).record for _ in range(2)]
    revoke(lite, records[1].serial)
    fill(lite)
    serials = [record.serial for record in records]
    with with_signer(lite) as app, over_http(app) as port:
        one = openssl(lite, tmp_path, port, serials[:1], digest, nonce)
        several = openssl(lite, tmp_path, port, serials, digest, nonce)
    for said in (one, several):
        assert "Response verify OK" in said
        assert f"0x{serials[0]}: good" in said
    assert f"0x{serials[1]}: revoked" in several


# ------------------------------------------------------------------ copies, caches, CA certificates


def test_a_copy_is_replaced_as_a_whole_and_never_by_something_older(lite: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    folder, copied, old = lite.parts.files.folder, tmp_path / "copied", tmp_path / "old"
    copy_folder(folder, old)
    copy_folder(folder, copied)
    app = process(lite, folder=copied)
    assert ask(app, body).certificate_status is GOOD
    lite.clock.advance(HOUR)
    revoke(lite, record.serial)
    lite.parts.responders.follow()
    copy_folder(folder, copied)
    assert ask(app, body).certificate_status is REVOKED
    number = call(app, "/ca/harbour.crl")[2]
    copy_folder(old, copied)
    assert call(app, "/ca/harbour.crl")[2] == number


def test_a_copy_can_be_read_where_nothing_can_be_written(lite: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    fill(lite)
    copied = tmp_path / "copied"
    copy_folder(lite.parts.files.folder, copied)
    assert {path.name for path in copied.iterdir() if path.name.startswith("ocsp")} == {"ocsp.db"}
    store = PreparedAnswers(copied / "ocsp.db", read_only=True)
    assert store.find("harbour", "sha1", record.serial) is not None
    store.close()
    assert {path.name for path in copied.iterdir() if path.name.startswith("ocsp")} == {"ocsp.db"}


def test_a_damaged_file_of_answers_is_no_answer(lite: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    fill(lite)
    copied = tmp_path / "copied"
    shutil.copytree(lite.parts.files.folder, copied)
    for path in copied.glob("ocsp.db*"):
        path.write_bytes(b"this is no database" * 1000)
    app = process(lite, folder=copied)
    assert ask(app, request_for(lite, record)).response_status is STATUS.UNAUTHORIZED
    assert call(app, "/ca/harbour.crl")[0] == 200


def test_caches_keep_an_answer_no_longer_than_it_lives(lite: Any) -> None:
    import base64  # noqa: PLC0415
    from urllib.parse import unquote  # noqa: PLC0415

    record = lite.issue().record
    path = "/ca/harbour/ocsp/" + unquote(base64.b64encode(request_for(lite, record)).decode())
    fill(lite)
    app = process(lite)
    _status, headers, content = call(app, path)
    assert headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert (headers["Last-Modified"], headers["Expires"]) == (
        "Sat, 21 Nov 2026 09:00:00 GMT",
        "Sat, 21 Nov 2026 17:00:00 GMT",
    )
    assert call(app, path, "HEAD")[1:] == (headers, b"")
    for known in (
        {"HTTP_IF_NONE_MATCH": headers["ETag"]},
        {"HTTP_IF_MODIFIED_SINCE": headers["Last-Modified"]},
    ):
        status, _headers, body = call(app, path, **known)
        assert (status, body) == (304, b"")
    assert call(app, path, HTTP_IF_NONE_MATCH='"another"')[2] == content
    lite.clock.advance(timedelta(hours=7, minutes=59, seconds=30))
    assert call(app, path)[1]["Cache-Control"] == "public, max-age=30, must-revalidate"
    nonce = request_for(lite, record, nonce=b"n" * 16)
    assert post(lite.service.status, nonce)[1]["Cache-Control"] == "no-store"


def test_certificates_of_an_authority_as_cms(lite: Any) -> None:
    fill(lite)
    status, headers, content = call(process(lite), "/ca/harbour.p7c")
    assert (status, headers["Content-Type"]) == (200, "application/pkcs7-mime; smime-type=certs-only")
    (found,) = pkcs7.load_der_pkcs7_certificates(content)
    assert found.public_bytes(serialization.Encoding.DER) == call(process(lite), "/ca/harbour.cer")[2]


def test_nothing_else_is_served(lite: Any) -> None:
    fill(lite)
    app = process(lite)
    for path in ("/", "/ca", "/ca/", "/harbour.crl", "/ca/ocsp.db", "/ca/../ca.db", "/ca/harbour.crl-number"):
        assert call(app, path)[0] == 404


def test_a_wsgi_server_finds_it_by_its_name(lite: Any, monkeypatch: Any) -> None:
    """`granian onecert.ca.status.process:application`: data, settings and folder from the environment."""
    fill(lite)
    monkeypatch.setattr(status_process, "_built", None)
    monkeypatch.setenv("ONECERT_DATA", str(lite.context.shared))
    monkeypatch.setenv("ONECERT_CA_STATUS_FOLDER", str(lite.parts.files.folder))
    assert call(status_process.application, "/ca/harbour.crl")[0] == 200
