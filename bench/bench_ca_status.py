"""`ca.timestamp` and `ca.ocsp.*`: what the CA answers to everybody, in process, with keys on the token."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from unittest.mock import patch

import place
from bench_ca import ca
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from harness import Contender, Row, benchmark
from orders import OrderDesk

from onecert.ca.authorities.delegates import DEFAULT_KIND
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
def _leaf(authority: str = "harbour") -> x509.Certificate:
    parts, desk = ca(), OrderDesk(authority)
    desk.name = f"ra-status-{authority}"
    parts.registration_authorities.add(desk.name, desk.public_pem, [f"{authority}:*"], actor="command:bench")
    record = parts.issuance.issue(desk.order()[1]).record
    return x509.load_der_x509_certificate(record.certificate_der or b"")


def _request(authority: str = "harbour", *, nonce: bytes = b"") -> bytes:
    parts, leaf = ca(), _leaf(authority)
    issuer = x509.load_der_x509_certificate(parts.authorities.get(authority).certificate_der)
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


@benchmark("ca.ocsp.prepared")
def prepared(name: str) -> Iterator[Row]:
    """One request without a nonce to one answer, which was signed ahead."""
    parts, request = ca(), _request()
    parts.responders.prepare()
    yield Row(
        unit="answers/s",
        ours=Contender(work=lambda: parts.responders.answer("harbour", request)),
        floor=place.token_rate("p-256"),
    )


@benchmark("ca.ocsp.nonce.p256", "ca.ocsp.nonce.rsa2048")
def with_nonce(name: str) -> Iterator[Row]:
    """One request with a nonce to one answer, each with another: looked up, signed, verified; one caller."""
    parts = ca()
    authority, kind = ("harbour", "p-256") if name.endswith("p256") else ("pearl", "rsa-2048")
    if kind != DEFAULT_KIND:
        _give_responder(authority, kind)
    # As long as each other, so that only the nonce is another.
    requests = cycle([_request(authority, nonce=number.to_bytes(16, "big")) for number in range(1, 500)])
    notes = {
        "p-256": "goal: 0.6 of the floor; to verify costs nearly as much as to sign: both alone are 0.5",
        "rsa-2048": "goal: 0.6 of the floor",
    }
    yield Row(
        unit="answers/s",
        ours=Contender(work=lambda: parts.responders.answer(authority, next(requests))),
        floor=place.token_rate(kind),
        notes=[notes[kind]],
    )


def _give_responder(authority: str, kind: str) -> None:
    """What an authority has whose profile of responders names this kind of key only."""
    delegates = ca().ocsp_delegates
    with patch("onecert.ca.authorities.delegates.DEFAULT_KIND", kind), patch.object(delegates, "_used", 0.0):
        delegates.roll(ca().authorities.get(authority))
