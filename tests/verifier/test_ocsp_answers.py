"""OCSP answers in their less common forms: other hashes, archives, never issued, delegated and ending soon.

root -> leaf; the root answers itself unless a test says otherwise.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp as builder
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import (
    CouldNotCheckError,
    PathValidator,
    RevocationEvidence,
    RevokedError,
    load_ocsp,
)

MINUTE = timedelta(minutes=1)
NULL = b"\x05\x00"
ARCHIVE_CUTOFF, CRL_REFERENCES = "2b0601050507300106", "2b0601050507300103"
EXTENDED_REVOKE = "2b0601050507300109"
CRITICAL = b"\x01\x01\xff"
UNKNOWN = "2a0304"


def extension(pki: Any, oid_hex: str, value: bytes = NULL, *, critical: bool = False) -> bytes:
    flag = CRITICAL if critical else b""
    der: bytes = pki.tlv(0x30, pki.tlv(0x06, bytes.fromhex(oid_hex)), flag, pki.tlv(0x04, value))
    return der


def causes(caught: pytest.ExceptionInfo[CouldNotCheckError]) -> object:
    assert caught.value.code == "REVOCATION_UNKNOWN"
    return caught.value.facts["causes"]


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("status", ["good", "revoked"])
def test_every_hash_of_a_cert_id(pki: Any, digest: str, status: str) -> None:
    root = pki.root()
    leaf, other = pki.leaf(root), pki.leaf(root, "Other")
    answer = pki.ocsp(root, leaf, digest=digest, status=status)
    if status == "good":
        pki.validate(leaf, root=root, ocsp=[answer])
    else:
        with pytest.raises(RevokedError):
            pki.validate(leaf, root=root, ocsp=[answer])
    with pytest.raises(CouldNotCheckError):
        pki.validate(other, root=root, ocsp=[answer])


def test_hashes_are_those_of_cryptography(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    for algorithm in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        ours = load_ocsp(pki.ocsp(root, leaf, digest=algorithm.name)).answers[0]
        theirs = builder.OCSPRequestBuilder().add_certificate(leaf.certificate, root.certificate, algorithm)
        request = theirs.build()
        assert (ours.name_hash, ours.key_hash) == (request.issuer_name_hash, request.issuer_key_hash)


def test_address_in_the_certificate_does_not_matter(pki: Any) -> None:
    """With or without an address of a responder, an answer that is supplied is used."""
    root = pki.root()
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://o.example/")
            )
        ]
    )
    for extra in ([], [(access, False)]):
        leaf = pki.leaf(root, extra=extra)
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf)])


def test_two_answers_about_one_certificate_in_one_response(pki: Any) -> None:
    """Good and revoked of one moment, side by side: neither counts; good twice is good."""
    root = pki.root()
    leaf = pki.leaf(root)
    pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, leaf)])
    others = [pki.leaf(root, f"Other {number}") for number in range(5)]
    pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, *others, leaf)])
    conflict = [pki.ocsp(root, leaf, leaf), pki.ocsp(root, leaf, status="revoked")]
    for answers in (conflict, conflict[::-1]):
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, ocsp=answers)
        assert causes(caught) == ("REVOCATION_CONFLICT",)


def test_newer_answer_counts(pki: Any) -> None:
    """Revoked, and a newer answer says good: a mistake was corrected. The other way round: refused."""
    root = pki.root()
    leaf = pki.leaf(root)
    times = {"this_update": pki.T - MINUTE, "produced_at": pki.T - MINUTE}
    pki.validate(
        leaf, root=root, ocsp=[pki.ocsp(root, leaf, status="revoked"), pki.ocsp(root, leaf, **times)]
    )
    with pytest.raises(RevokedError):
        pki.validate(
            leaf, root=root, ocsp=[pki.ocsp(root, leaf), pki.ocsp(root, leaf, status="revoked", **times)]
        )


def test_never_issued(pki: Any) -> None:
    """The responder's way to say that its CA has not issued this: not a hold that somebody may lift."""
    root = pki.root()
    leaf = pki.leaf(root)
    said = {"status": "revoked", "reason": 6, "revoked_at": datetime(1970, 1, 1, tzinfo=UTC)}
    marked = {**said, "extensions": extension(pki, EXTENDED_REVOKE)}
    newer_list = pki.crl(root, this_update=pki.T - MINUTE)
    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, **marked)], crls=[newer_list])
    assert caught.value.code == "CERT_NEVER_ISSUED"
    assert caught.value.text("zh") != caught.value.text("en")
    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, **said)])
    assert caught.value.code == "CERT_HELD"


def test_archive_cutoff(pki: Any) -> None:
    """A responder that forgets ended certificates says nothing about those that ended before its cutoff."""
    root = pki.root()
    leaf = pki.leaf(root)
    for moment, good in ((pki.T - 300 * pki.DAY, True), (pki.T + 400 * pki.DAY, False)):
        value = pki.tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
        answer = pki.ocsp(root, leaf, single_extensions=extension(pki, ARCHIVE_CUTOFF, value, critical=True))
        assert load_ocsp(answer).answers[0].archive_cutoff == moment
        if good:
            pki.validate(leaf, root=root, ocsp=[answer])
        else:
            with pytest.raises(CouldNotCheckError) as caught:
                pki.validate(leaf, root=root, ocsp=[answer])
            assert causes(caught) == ("OCSP_ARCHIVE",)


def test_extensions_of_a_single_answer(pki: Any) -> None:
    """References to a list are of no interest; what is critical and unknown makes the answer useless."""
    root = pki.root()
    leaf = pki.leaf(root)
    fine = extension(pki, CRL_REFERENCES, b"\x30\x00", critical=True) + extension(pki, UNKNOWN)
    pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, single_extensions=fine)])
    bad = extension(pki, UNKNOWN, critical=True)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, single_extensions=bad)])
    assert causes(caught) == ("OCSP_CRITICAL_EXTENSION",)


def test_a_responder_that_ends_soon(pki: Any) -> None:
    """The delegated responder's certificate, or the list that vouches for it, ends before its answer."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    soon = pki.T + 10 * MINUTE
    answer = pki.ocsp(ca, leaf, responder=pki.responder(ca, not_after=soon))
    path = pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root)], ocsp=[answer])
    assert path.valid_until == soon

    answer = pki.ocsp(ca, leaf, responder=pki.responder(ca, no_check=False))
    lists = [pki.crl(root), pki.crl(ca, next_update=soon)]
    path = pki.validate(leaf, root=root, cas=[ca], crls=lists, ocsp=[answer])
    assert path.valid_until == soon


def test_answer_outside_of_the_life_of_its_responder(pki: Any) -> None:
    """Made before the responder was certified; or by one that has ended since. Not known."""
    root = pki.root()
    leaf = pki.leaf(root)
    early = pki.ocsp(root, leaf, responder=pki.responder(root, not_before=pki.T - MINUTE))
    ended = pki.ocsp(root, leaf, responder=pki.responder(root, not_after=pki.T - MINUTE))
    for answer in (early, ended):
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, ocsp=[answer])
        assert causes(caught) == ("OCSP_RESPONDER",)


def test_answers_about_a_ca_are_remembered_as_long_as_they_hold(pki: Any) -> None:
    """root -> CA -> leaf, the CA's status by an answer that ends: what was remembered ends with it."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    answers = [pki.ocsp(root, ca, next_update=pki.T + 5 * MINUTE), pki.ocsp(ca, leaf)]
    validator = PathValidator(anchors=[root.anchor], candidates=[ca.certificate])
    for minutes in (0, 1, 4):
        validator.validate(leaf.der, at=pki.T + minutes * MINUTE, ocsp=answers)
    with pytest.raises(CouldNotCheckError):
        validator.validate(leaf.der, at=pki.T + 5 * MINUTE, ocsp=answers)


def test_answers_about_others_change_nothing(pki: Any) -> None:
    """A folder full of answers about other certificates: the list answers, first and remembered alike."""
    root = pki.root()
    leaves = [pki.leaf(root, f"Clerk {number}") for number in range(4)]
    pki.revoke(root, leaves[3])
    others = [pki.ocsp(root, pki.leaf(root, f"Other {number}")) for number in range(8)]
    evidence = RevocationEvidence(crls=[pki.crl(root)], ocsp=[*others, pki.ocsp(root, leaves[1])])
    validator = PathValidator(anchors=[root.anchor], evidence=evidence)
    kinds = [
        sorted(source.kind for source in validator.validate(leaf.der, at=pki.T).evidence)
        for leaf in leaves[:3]
    ]
    assert kinds == [["crl"], ["crl", "ocsp"], ["crl"]]
    with pytest.raises(RevokedError):
        validator.validate(leaves[3].der, at=pki.T)
