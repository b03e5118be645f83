"""OCSP answers: who may give them, when they count, and how they stand beside CRLs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as builder
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import CouldNotCheckError, MalformedError, PathValidator, RevokedError, load_ocsp
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def causes(caught: pytest.ExceptionInfo[CouldNotCheckError]) -> object:
    assert caught.value.code == "REVOCATION_UNKNOWN"
    return caught.value.facts["causes"]


@pytest.mark.parametrize("changes", [{}, {"digest": "sha256"}, {"by_name": True}, {"nonce": b"12345678"}])
def test_good_answer_of_the_issuer(pki: Any, changes: dict[str, Any]) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    path = pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, **changes)])
    assert [(e.kind, e.serial) for e in path.evidence] == [("ocsp", leaf.certificate.serial_number)]
    assert path.valid_until == pki.T + pki.DAY


def test_our_fields_are_those_of_cryptography(pki: Any) -> None:
    """A second reader sees the same answer."""
    root = pki.root()
    leaf = pki.leaf(root)
    data = pki.ocsp(root, leaf, status="revoked", reason=1, nonce=b"n" * 8)
    ours, theirs = load_ocsp(data), builder.load_der_ocsp_response(data)
    single = ours.answers[0]
    assert single.serial == theirs.serial_number
    assert (single.this_update, single.next_update) == (theirs.this_update_utc, theirs.next_update_utc)
    assert single.revoked_at == theirs.revocation_time_utc
    assert (single.status, single.reason) == ("revoked", "keyCompromise")
    assert theirs.revocation_reason is x509.ReasonFlags.key_compromise
    assert ours.produced_at == theirs.produced_at_utc
    assert (ours.tbs, ours.signature) == (theirs.tbs_response_bytes, theirs.signature)
    assert ours.nonce == theirs.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce


def test_answer_made_by_cryptography(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    made = (
        builder.OCSPResponseBuilder()
        .add_response(
            cert=leaf.certificate,
            issuer=root.certificate,
            algorithm=hashes.SHA256(),
            cert_status=builder.OCSPCertStatus.UNKNOWN,
            this_update=pki.T,
            next_update=None,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(builder.OCSPResponderEncoding.NAME, root.certificate)
        .certificates([root.certificate])
        .sign(root.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    loaded = load_ocsp(made)
    assert loaded.answers[0].status == "unknown"
    assert [c.certificate for c in loaded.certificates] == [root.certificate]


def test_revoked_and_held(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, status="revoked", reason=1)])
    assert (caught.value.code, caught.value.reason) == ("CERT_REVOKED", "keyCompromise")
    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, status="revoked", reason=6)])
    assert caught.value.code == "CERT_HELD"


def test_delegated_responder(pki: Any) -> None:
    """root -> CA -> leaf; the CA has certified a responder, with id-pkix-ocsp-nocheck. Accepted."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    responder = pki.responder(ca)
    for changes in ({}, {"by_name": True}):
        answer = pki.ocsp(ca, leaf, responder=responder, **changes)
        pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root)], ocsp=[answer])


def test_responder_without_no_check_needs_a_crl(pki: Any) -> None:
    """Without nocheck a CRL must say that the responder is good; a revoked one gives no answers."""
    root = pki.root()
    leaf, responder = pki.leaf(root), pki.responder(root, no_check=False)
    answer = pki.ocsp(root, leaf, responder=responder)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[answer])
    assert causes(caught) == ("OCSP_RESPONDER",)

    path = pki.validate(leaf, root=root, ocsp=[answer], crls=[pki.crl(root)])
    assert {e.kind for e in path.evidence} == {"ocsp", "crl"}

    pki.revoke(root, responder)
    path = pki.validate(leaf, root=root, ocsp=[answer], crls=[pki.crl(root)])
    assert {e.kind for e in path.evidence} == {"crl"}


def test_responder_of_another_ca(pki: Any) -> None:
    """A responder certified by a sister CA, however trusted, does not speak for this CA. Not known."""
    root = pki.root()
    ca, sister = pki.ca(root, "CA 1"), pki.ca(root, "CA 2")
    leaf = pki.leaf(ca)
    for responder in (pki.responder(sister), pki.responder(root)):
        answer = pki.ocsp(ca, leaf, responder=responder)
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, cas=[ca, sister], crls=[pki.crl(root)], ocsp=[answer])
        assert causes(caught) == ("OCSP_RESPONDER",)


@pytest.mark.parametrize(
    "changes",
    [
        {"extended": []},
        {"extended": [ExtendedKeyUsageOID.CLIENT_AUTH]},
        {"extended": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]},
        {"not_after": -1},
        {"key_usage": "key_encipherment"},
    ],
)
def test_responder_that_is_not_entitled(pki: Any, changes: dict[str, Any]) -> None:
    changes = dict(changes)
    if "not_after" in changes:
        changes["not_after"] = pki.T - SECOND
    if "key_usage" in changes:
        changes["key_usage"] = pki.usage(changes["key_usage"])
    root = pki.root()
    leaf, responder = pki.leaf(root), pki.responder(root, **changes)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, responder=responder)])
    assert causes(caught) == ("OCSP_RESPONDER",)


def test_a_leaf_cannot_answer_for_itself(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, responder=leaf)])


def test_altered_answer(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    data = bytearray(pki.ocsp(root, leaf, status="revoked"))
    good = bytes(data).replace(b"20261121", b"20261122")
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[good])
    assert causes(caught)


def test_answer_about_another_certificate(pki: Any) -> None:
    """Another serial; and the same serial of a CA with another key. Not known."""
    root, namesake = pki.root(), pki.root()
    leaf, other = pki.leaf(root), pki.leaf(root, "Other")
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, other)])
    assert causes(caught) == ("OCSP_NO_MATCH",)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(namesake, leaf)])


def test_several_answers_in_one(pki: Any) -> None:
    root = pki.root()
    leaf, other = pki.leaf(root), pki.leaf(root, "Other")
    pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, other, leaf)])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"next_update": -SECOND}, "OCSP_STALE"),
        ({"this_update": 6 * MINUTE, "produced_at": timedelta(0)}, "OCSP_FUTURE"),
        ({"produced_at": 6 * MINUTE}, "OCSP_FUTURE"),
        ({"next_update": None, "this_update": timedelta(hours=-25)}, "OCSP_STALE"),
    ],
)
def test_times(pki: Any, changes: dict[str, Any], code: str) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    moments = {key: None if value is None else pki.T + value for key, value in changes.items()}
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, **moments)])
    assert causes(caught) == (code,)


def test_nonce(pki: Any) -> None:
    """When a nonce was sent, an answer that repeats another one, or none, is an old one. Not known."""
    root = pki.root()
    leaf = pki.leaf(root)
    policy = RevocationPolicy(nonce=b"fresh-nonce")
    pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, nonce=b"fresh-nonce")], revocation_policy=policy)
    for nonce in (b"older-nonce", None):
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, nonce=nonce)], revocation_policy=policy)
        assert causes(caught) == ("OCSP_NONCE",)


def test_unknown(pki: Any) -> None:
    """The responder does not know the certificate: not known, even where evidence is only preferred."""
    root = pki.root()
    leaf = pki.leaf(root)
    for mode in (RevocationMode.REQUIRE, RevocationMode.PREFER):
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(
                leaf,
                root=root,
                ocsp=[pki.ocsp(root, leaf, status="unknown")],
                revocation_policy=RevocationPolicy(mode=mode),
            )
        assert causes(caught) == ("OCSP_UNKNOWN",)


def test_contradiction(pki: Any) -> None:
    """Two answers of one second that differ count for nothing; of two seconds, the newer counts."""
    root = pki.root()
    leaf = pki.leaf(root)
    good, bad = pki.ocsp(root, leaf), pki.ocsp(root, leaf, status="revoked", reason=6)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[good, bad])
    assert causes(caught) == ("REVOCATION_CONFLICT",)

    newer = pki.ocsp(root, leaf, this_update=pki.T - MINUTE, produced_at=pki.T)
    pki.validate(leaf, root=root, ocsp=[bad, newer])


def test_beside_a_crl(pki: Any) -> None:
    """Revoked in either refuses; a hold in the older of the two does not."""
    root = pki.root()
    leaf = pki.leaf(root)
    good = pki.ocsp(root, leaf)
    pki.revoke(root, leaf)
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, ocsp=[good], crls=[pki.crl(root, this_update=pki.T - pki.DAY)])

    root.revoked.clear()
    pki.revoke(root, leaf, reason=x509.ReasonFlags.certificate_hold)
    pki.validate(leaf, root=root, ocsp=[good], crls=[pki.crl(root, this_update=pki.T - pki.DAY)])
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, ocsp=[good], crls=[pki.crl(root, this_update=pki.T - MINUTE)])


def test_unknown_critical_extension(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    extension = pki.tlv(0x30, bytes.fromhex("06032a0304"), b"\x01\x01\xff", b"\x04\x00")
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, extensions=extension)])
    assert causes(caught) == ("OCSP_CRITICAL_EXTENSION",)


def test_answer_given_with_the_call(pki: Any) -> None:
    """An answer that came with the request is used for that call only."""
    root = pki.root()
    leaf = pki.leaf(root)
    validator = PathValidator(anchors=[root.anchor])
    validator.validate(leaf.der, at=pki.T, ocsp=[pki.ocsp(root, leaf)])
    with pytest.raises(CouldNotCheckError):
        validator.validate(leaf.der, at=pki.T)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x30\x03\x0a\x01\x06", "OCSP_STATUS"),
        (b"\x30\x03\x0a\x01\x00", "NOT_DER"),
        (b"", "NOT_DER"),
        (b"\x30\x80\x00\x00", "NOT_DER"),
        (b"\x30" * 70_000, "TOO_LARGE"),
    ],
)
def test_not_an_answer(data: bytes, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        load_ocsp(data)
    assert caught.value.code == code
