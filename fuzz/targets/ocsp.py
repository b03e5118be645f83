"""OCSP answers: loading, what they say, and whether a path may rely on them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cache

from fuzz.material import T, hierarchy, ocsp_response, signed
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import tlv
from onecert.verifier import (
    RevocationEvidence,
    RevocationPolicy,
    TrustAnchor,
    explain,
    load_ocsp,
    validate_path,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import OcspResponse

IS_DER = True

_POLICIES = (RevocationPolicy(), RevocationPolicy(nonce=b"nonce", clock_skew=timedelta(0)))


def seeds() -> Iterable[bytes]:
    """All answers of the hierarchy."""
    return hierarchy().answers


def run(data: bytes) -> None:
    """Load, ask, and let a path rely on it: as it is, and signed anew so that what it says is looked at."""
    response = answer(lambda: load_ocsp(data))
    if response is None:
        return
    require(response.der == bytes(data), "the octets are not those that were loaded")
    _ask(response)
    _rely(response, is_genuine=response.tbs in _genuine())
    along = [certificate.der for certificate in response.certificates]
    sent = tlv(0xA0, tlv(0x30, *along)) if along else b""
    again = answer(lambda: load_ocsp(ocsp_response(signed(response.tbs, hierarchy().ca_2.number, sent))))
    if again is not None:
        _rely(again, is_genuine=True)


@cache
def _genuine() -> frozenset[bytes]:
    return frozenset(load_ocsp(each).tbs for each in hierarchy().answers)


@cache
def _anchor() -> TrustAnchor:
    return TrustAnchor.from_certificate(hierarchy().ca_2.certificate)


def _ask(response: OcspResponse) -> None:
    check_texts([response.responder_text, response.source_text])
    pieces = hierarchy()
    issuer, leaf = parse_certificate(pieces.ca_2.der), parse_certificate(pieces.leaf.der)
    for single in response.answers:
        single.matches(leaf.serial, leaf.issuer_der, issuer.spki_der)
    for certificate in response.certificates:
        response.is_from(certificate.subject, certificate.spki_der)
    require(response.number is None, "answers have no number")


def _rely(response: OcspResponse, *, is_genuine: bool) -> None:
    pieces = hierarchy()
    for policy in _POLICIES:
        for party in (pieces.leaf, pieces.revoked):
            path = answer(
                validate_path,
                party.certificate,
                anchors=[_anchor()],
                at=T,
                purpose=ANY,
                revocation=RevocationEvidence(ocsp=[response]),
                revocation_policy=policy,
            )
            if path is not None:
                require(is_genuine, "an answer that nobody signed is relied upon")
                check_json(path.as_dict())
                check_texts(explain(path))
