"""`ca.timestamp` and `ca.ocsp.*`: what the CA answers to everybody, in process, with keys on the token."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import place
from bench_ca import ca
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from harness import Contender, Row, benchmark
from orders import OrderDesk

from onecert.ca.operation.clock_guard import ClockGuard
from onecert.ca.timestamps.authority import TimestampAuthorities
from onecert.verifier.signed_form import request_timestamp


@benchmark("ca.timestamp")
def timestamp(name: str) -> Iterator[Row]:
    """A request in DER to an answer in DER, every answer read back before it leaves."""
    parts = ca()
    # The machine that measures need not have a time daemon.
    clock = ClockGuard(parts.clock, tolerance=parts.config.timestamp_accuracy)
    authorities = TimestampAuthorities(
        authorities=parts.authorities,
        delegates=parts.timestamp_delegates,
        signer=parts.signer,
        clock=clock,
        accuracy=parts.config.timestamp_accuracy,
        ordering=False,
    )
    request = request_timestamp(b"a form").der
    yield Row(
        unit="timestamps/s",
        ours=Contender(work=lambda: authorities.answer("city-tsa", request)),
        floor=place.token_rate("p-256"),
        peers=[_openssl_ts(request)],
        notes=["goal: 5,000 a second where the token signs 21,000 times (0.24 of the floor)"],
    )


def _openssl_ts(request: bytes) -> Contender:
    """`openssl ts -reply`, a process for each, with a P-256 key in a file: what people script."""
    folder = place.new_folder("ts")
    (folder / "request.tsq").write_bytes(request)
    (folder / "serial").write_text("01\n")
    (folder / "openssl.cnf").write_text(
        "[req]\ndistinguished_name = dn\n[dn]\n"
        "[tsa_ext]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n"
        "[tsa]\ndefault_tsa = t\n"
        f"[t]\nserial = {folder}/serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
        "digests = sha256\naccuracy = secs:1\ness_cert_id_alg = sha256\n"
    )
    _run(
        folder,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=peer", "-days", "30"),
        *("-config", "openssl.cnf", "-extensions", "tsa_ext"),
    )
    command = (
        *("ts", "-reply", "-queryfile", "request.tsq", "-out", "reply.tsr", "-config", "openssl.cnf"),
        *("-section", "t", "-signer", "cert.pem", "-inkey", "key.pem"),
    )
    return Contender(work=lambda: _run(folder, *command), name="openssl ts -reply, key in a file")


def _run(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, text=True)


@cache
def _leaf() -> x509.Certificate:
    parts, desk = ca(), OrderDesk("harbour")
    desk.name = "ra-status"
    parts.registration_authorities.add(desk.name, desk.public_pem, ["harbour:*"], actor="command:bench")
    record = parts.issuance.issue(desk.order()[1]).record
    return x509.load_der_x509_certificate(record.certificate_der or b"")


@benchmark("ca.ocsp.nonce", "ca.ocsp.prepared")
def ocsp_answer(name: str) -> Iterator[Row]:
    """One request to one answer; with a nonce each is signed, without one it was signed ahead."""
    parts, leaf = ca(), _leaf()
    parts.responders.prepare()
    issuer = x509.load_der_x509_certificate(parts.authorities.get("harbour").certificate_der)
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1())
    if name.endswith("nonce"):
        builder = builder.add_extension(x509.OCSPNonce(bytes(16)), critical=False)
    request = builder.build().public_bytes(serialization.Encoding.DER)
    yield Row(
        unit="answers/s",
        ours=Contender(work=lambda: parts.responders.answer("harbour", request)),
        floor=place.token_rate("p-256"),
        notes=["goal: 0.6 of the floor; sign and verify alone are 0.52 in one thread"]
        if name.endswith("nonce")
        else [],
    )
