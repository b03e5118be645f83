"""OCSP requests, as the CA reads them: by the strict parser, and by the octets that most clients send."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from fuzz.material import T, hierarchy
from fuzz.rules import require
from onecert.ca import der
from onecert.ca.ocsp.messages import (
    UNKNOWN,
    CertId,
    IssuerHashes,
    OcspRequest,
    load_request,
    response_data,
    single_response,
)

IS_DER = True


@cache
def _parties() -> tuple[x509.Certificate, x509.Certificate]:
    pieces = hierarchy()
    leaf, issuer = (x509.load_der_x509_certificate(each.der) for each in (pieces.leaf, pieces.ca_2))
    return leaf, issuer


@cache
def _names() -> IssuerHashes:
    _leaf, issuer = _parties()
    spki = issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return IssuerHashes(issuer.subject.public_bytes(), spki)


def seeds() -> Iterable[bytes]:
    """With every hash, with nonces of several lengths, and two questions in one."""
    made = []
    for algorithm in (hashes.SHA1(), hashes.SHA256(), hashes.SHA512()):
        plain = ocsp.OCSPRequestBuilder().add_certificate(*_parties(), algorithm)
        made.append(plain)
        made += [plain.add_extension(x509.OCSPNonce(bytes(size)), critical=False) for size in (1, 16, 32, 64)]
    encoded = [each.build().public_bytes(serialization.Encoding.DER) for each in made]
    asked = [load_request(each).cert_ids[0].raw for each in encoded[:2]]
    return [*encoded, der.sequence(der.sequence(der.sequence(*(der.sequence(each) for each in asked))))]


def run(data: bytes) -> None:
    """What is recognised reads as by the strict parser; what is answered repeats what was asked."""
    names = _names()
    plain, usual = names.plain_question(data), names.question(data)
    try:
        request = load_request(data)
    except der.DerError:
        require(plain is None and usual is None, "recognised, and no request")
        return
    if usual is not None:
        require(usual == request, "recognised as something else")
    if plain is not None:
        (cert_id,) = request.cert_ids
        require(plain == (cert_id.hash_name, f"{cert_id.serial:x}"), "recognised as another certificate")
        require(request.nonce_value_der is None and names.matches(cert_id), "a plain question is not plain")
    _answer(request)


def _answer(request: OcspRequest) -> None:
    ids: tuple[CertId, ...] = request.cert_ids
    singles = [single_response(each, UNKNOWN, this_update=T, next_update=T + timedelta(1)) for each in ids]
    written = response_data(bytes(20), singles, produced_at=T, nonce_value_der=request.nonce_value_der)
    require(all(each.raw in written for each in ids), "a CertID that was asked for is not in the answer")
