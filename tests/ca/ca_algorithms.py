"""For tests of every algorithm: a CA of one kind of key, requests of any kind, what a reader makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ca_fakes import make_csr
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.ca import der
from onecert.ca.authorities.authorities import pem
from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.certificates.draft import key_identifier
from onecert.ca.signatures.algorithms import spki_der, throw_away_key
from onecert.hsm import Sm2PrivateKey
from onecert.verifier import RevocationEvidence, TrustAnchor, ValidatedPath, load_certificate, validate_path

SM2_CEREMONY = Path(__file__).parents[2] / "demo" / "ceremonies" / "capital-sm2.toml"
SUBJECT_DER = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.utf8("ignored by the CA"))))


def hold(world: Any, kind: str, *, holders: str = "") -> Any:
    """The demo's ceremony of an SM2 authority, with keys of this kind: the authority “capital”.

    Args:
        holders: what else the profile “organisation” takes.
    """
    text = SM2_CEREMONY.read_text(encoding="utf-8").replace('"sm2"', f'"{kind}"')
    if holders:
        text = text.replace('"p-256", "rsa-2048", "rsa-3072"]', f'"{holders}"]')
    text = text.replace(f'"{kind}", "p-256", "{kind}"', f'"{kind}", "p-256"')
    path = world.context.data / f"ceremony-{kind}.toml"
    path.write_text(text, encoding="utf-8")
    world.config = replace(world.config, timestamp_needs_kept_clock=False)
    world.restart()
    list(Ceremony(load_ceremony_file(path), world.parts, world.roots, actor="command:test").hold())
    return world.register("capital:*")


def request_of(kind: str, *, identifier: bytes | None = None) -> tuple[Any, str]:
    """A key of this kind in memory, and a request for it in PEM form."""
    key = throw_away_key(kind)
    if isinstance(key, Sm2PrivateKey):
        return key, _sm2_request(key, identifier)
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return key, make_csr(key)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return key, builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def _sm2_request(key: Sm2PrivateKey, identifier: bytes | None) -> str:
    tbs = der.sequence(der.integer(0), SUBJECT_DER, spki_der(key.public_key()), der.explicit(0))
    signature = key.sign(tbs) if identifier is None else key.sign(tbs, identifier)
    algorithm = der.sequence(der.oid("1.2.156.10197.1.501"))
    text = pem(der.sequence(tbs, algorithm, der.bit_string(signature)))
    return text.replace("BEGIN CERTIFICATE", "BEGIN CERTIFICATE REQUEST").replace(
        "END CERTIFICATE", "END CERTIFICATE REQUEST"
    )


def issue(world: Any, csr_pem: str, **changes: Any) -> Any:
    return world.issue(authority="capital", csr_pem=csr_pem, **changes).record


def authority_der(world: Any, name: str) -> bytes:
    certificate_der: bytes = world.parts.authorities.get(name).certificate_der
    return certificate_der


def list_der(world: Any, name: str) -> bytes:
    content: bytes = world.parts.files.path(name, "crl").read_bytes()
    return content


def ocsp_request(world: Any, serial: str, name: str = "capital") -> bytes:
    """An OCSP request without a nonce, written here: other libraries hash no SM2 key."""
    issuer = world.parts.authorities.get(name).issuer
    cert_id = der.sequence(
        der.sequence(der.oid("1.3.14.3.2.26"), der.NULL_DER),
        der.octet_string(hashlib.sha1(issuer.subject_der, usedforsecurity=False).digest()),
        der.octet_string(key_identifier(spki_der(issuer.public_key))),
        der.integer(int(serial, 16)),
    )
    return der.sequence(der.sequence(der.sequence(der.sequence(cert_id))))


def validate(
    world: Any, certificate_der: bytes, *, at: datetime | None = None, ocsp: tuple[bytes, ...] = ()
) -> ValidatedPath:
    """What a department's verifier says: by the lists, or by an OCSP answer for the leaf."""
    crls = [list_der(world, "capital-root")]
    if not ocsp:
        crls.append(list_der(world, "capital"))
    root = load_certificate(authority_der(world, "capital-root"))
    return validate_path(
        certificate_der,
        candidates=[authority_der(world, "capital")],
        anchors=[TrustAnchor.from_certificate(root)],
        at=at or world.clock.now(),
        revocation=RevocationEvidence(crls=crls, ocsp=ocsp),
    )


def spki_of(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
