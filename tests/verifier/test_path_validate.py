"""RFC 5280, section 6.1, on chains of our own. A drawing shows the chain, the one fault and the verdict."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import (
    CouldNotCheckError,
    RefusedError,
    RevokedError,
    TrustAnchor,
    VerifyError,
    validate_path,
)
from onecert.verifier.path import PathParameters
from onecert.verifier.purposes import ANY, ENCRYPTION, LOGIN, SIGNING
from onecert.verifier.result import explain
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)


def test_good_chain(pki: Any) -> None:
    """root -> issuing CA -> leaf, both CRLs fresh. Accepted, and the answer says on what grounds."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)

    path = pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca))

    assert [c.certificate for c in path.chain] == [leaf.certificate, ca.certificate]
    assert path.anchor.subject == "CN=Root,C=CN"
    assert [(e.kind, e.issuer) for e in path.evidence] == [
        ("crl", "CN=Root,C=CN"),
        ("crl", "CN=Issuing CA,C=CN"),
    ]
    assert path.evidence[1].age == timedelta(hours=1)
    assert path.valid_until == pki.T + pki.DAY
    assert path.as_dict()["path"][0]["subject"] == "CN=Clerk 7,C=CN"
    assert explain(path)[0] == "[CN=Root,C=CN]"


def test_issuing_ca_as_anchor(pki: Any) -> None:
    """issuing CA (anchor) -> leaf, CRL by the anchor. A trust list names issuing CAs. Accepted."""
    ca = pki.ca(pki.root())
    leaf = pki.leaf(ca)

    path = pki.validate(leaf, root=ca, crls=pki.crls(ca))

    assert len(path.chain) == 1


def test_revoked_before_use_is_refused(pki: Any) -> None:
    """root -> issuing CA -> leaf; the leaf was put on the CRL one day before T. Refused."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    pki.revoke(ca, leaf)

    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca))

    assert caught.value.code == "CERT_REVOKED"
    assert caught.value.revoked_at == pki.T - pki.DAY
    assert caught.value.reason == "keyCompromise"
    assert "2026-11-20" in caught.value.text("zh")
    assert caught.value.hint("zh")


def test_held_is_refused_and_released_is_accepted(pki: Any) -> None:
    """The leaf is on hold in an older CRL; a newer CRL does not list it any more."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    pki.revoke(ca, leaf, reason=x509.ReasonFlags.certificate_hold)
    held = pki.crl(ca, this_update=pki.T - timedelta(hours=2))

    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root), held])
    assert caught.value.code == "CERT_HELD"

    released = pki.crl(ca, entries=[])
    pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root), held, released])


def test_revoked_ca_kills_its_leaves(pki: Any) -> None:
    """root -> revoked CA -> leaf. Refused, and the error names the CA."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    pki.revoke(root, ca)

    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca))

    assert caught.value.certificate == ca.certificate


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"not_after": "T-1s"}, "CERT_EXPIRED"),
        ({"not_before": "T+1s"}, "CERT_NOT_YET_VALID"),
        ({"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]},
         "UNKNOWN_CRITICAL_EXTENSION"),
        ({"key_usage": "key_encipherment"}, "KEY_USAGE"),
        ({"key_usage": "content_commitment"}, "KEY_USAGE"),
        ({"without": [x509.KeyUsage]}, "KEY_USAGE"),
        ({"extended": [ExtendedKeyUsageOID.SERVER_AUTH]}, "EXTENDED_KEY_USAGE"),
        ({"hash_algorithm": hashes.SHA224()}, "ALGORITHM_NOT_ALLOWED"),
    ],
)  # fmt: skip
def test_leaf_faults(pki: Any, changes: dict[str, Any], code: str) -> None:
    """root -> leaf with one fault. Refused for exactly that."""
    moments = {"T-1s": pki.T - timedelta(seconds=1), "T+1s": pki.T + timedelta(seconds=1)}
    changes = {key: moments.get(value, value) if isinstance(value, str) else value
               for key, value in changes.items()}  # fmt: skip
    if "key_usage" in changes:
        changes["key_usage"] = pki.usage(changes["key_usage"])
    root = pki.root()
    leaf = pki.leaf(root, **changes)

    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, crls=pki.crls(root))

    assert caught.value.code == code
    assert caught.value.certificate == leaf.certificate
    assert caught.value.text("zh") != caught.value.text("en")


def test_last_and_first_second_of_validity_are_valid(pki: Any) -> None:
    root = pki.root()
    for changes in ({"not_after": pki.T}, {"not_before": pki.T}):
        pki.validate(pki.leaf(root, **changes), root=root, revocation_policy=OFF)


def test_processed_extension_may_be_critical(pki: Any) -> None:
    """A critical identity extension is fine when the caller says that it acts upon it."""
    root = pki.root()
    oid = "2.16.156.112548"
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x0c\x01x")
    leaf = pki.leaf(root, extra=[(extension, True)])

    parameters = PathParameters(revocation=OFF, processed_extensions=frozenset({oid}))
    pki.validate(leaf, root=root, parameters=parameters)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"without": [x509.BasicConstraints]}, "NOT_A_CA"),
        ({"ca": False}, "NOT_A_CA"),
        ({"key_usage": ["crl_sign"]}, "CA_KEY_USAGE"),
        ({"expired": True}, "CERT_EXPIRED"),
        ({"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]},
         "UNKNOWN_CRITICAL_EXTENSION"),
        ({"extended": [ExtendedKeyUsageOID.SERVER_AUTH]}, "EXTENDED_KEY_USAGE"),
    ],
)  # fmt: skip
def test_ca_faults(pki: Any, changes: dict[str, Any], code: str) -> None:
    """root -> CA with one fault -> leaf. Refused, and the error names the CA."""
    root = pki.root()
    changes = dict(changes)
    if changes.pop("expired", False):
        changes["not_after"] = pki.T - pki.DAY
    if "key_usage" in changes:
        changes["key_usage"] = pki.usage(*changes["key_usage"])
    ca = pki.issue("Issuing CA", root, **{"ca": True, **changes})
    leaf = pki.leaf(ca)

    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, cas=[ca], revocation_policy=OFF)

    assert caught.value.code == code
    assert caught.value.certificate == ca.certificate
    assert caught.value.attempts


def test_path_length(pki: Any) -> None:
    """root -> CA (path length 0) -> sub CA -> leaf. Refused; a self-issued certificate does not count."""
    root = pki.root()
    ca = pki.ca(root, path_length=0)
    sub = pki.ca(ca, "Sub CA")

    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(sub), root=root, cas=[ca, sub], revocation_policy=OFF)
    assert caught.value.code == "PATH_TOO_LONG"

    rolled_over = pki.ca(ca, "Issuing CA")  # same name, new key
    path = pki.validate(pki.leaf(rolled_over), root=root, cas=[ca, rolled_over], revocation_policy=OFF)
    assert len(path.chain) == 3


def test_unknown_issuer(pki: Any) -> None:
    """another root -> leaf. Refused."""
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(pki.root("Stranger")), root=pki.root(), revocation_policy=OFF)
    assert caught.value.code == "ISSUER_UNKNOWN"
    assert "CN=Stranger" in str(caught.value)


def test_altered_certificate(pki: Any) -> None:
    """root -> leaf whose subject was altered after signing. Refused."""
    root = pki.root()
    der = pki.leaf(root).der.replace(b"Clerk 7", b"Clerk 8")

    with pytest.raises(RefusedError) as caught:
        pki.validate(der, root=root, revocation_policy=OFF)
    assert caught.value.code == "CERT_SIGNATURE_INVALID"


def test_same_name_other_key(pki: Any) -> None:
    """A stranger bears the name of our root. Refused."""
    root, stranger = pki.root(), pki.root()
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(stranger), root=root, revocation_policy=OFF)
    assert caught.value.code in {"ISSUER_UNKNOWN", "CERT_SIGNATURE_INVALID"}


def test_weak_keys(pki: Any) -> None:
    """root -> leaf with RSA-1024; and an anchor with RSA-1024. Refused."""
    weak = rsa.generate_private_key(65537, 1024)
    root = pki.root()
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(root, key=weak), root=root, revocation_policy=OFF)
    assert caught.value.code == "WEAK_KEY"
    assert caught.value.facts["key"] == "RSA-1024"

    weak_root = pki.root(key=weak)
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(weak_root), root=weak_root, revocation_policy=OFF)
    assert caught.value.code == "WEAK_KEY"


def test_anchor_dates(pki: Any) -> None:
    """The trust in the root has ended, although the leaf is still valid. Refused."""
    root = pki.root(not_after=pki.T - pki.DAY)
    leaf = pki.leaf(root)
    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, revocation_policy=OFF)
    assert caught.value.code == "ANCHOR_EXPIRED"

    future = pki.root("Next root", not_before=pki.T + pki.DAY, not_after=pki.T + 9 * pki.DAY)
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(future), root=future, revocation_policy=OFF)
    assert caught.value.code == "ANCHOR_NOT_YET_VALID"


def test_purposes(pki: Any) -> None:
    """One certificate, four purposes."""
    root = pki.root()
    leaf = pki.leaf(root, key_usage=pki.usage("content_commitment"))
    for purpose, good in ((SIGNING, True), (ANY, True), (LOGIN, False), (ENCRYPTION, False)):
        if good:
            pki.validate(leaf, root=root, purpose=purpose, revocation_policy=OFF)
        else:
            with pytest.raises(RefusedError):
                pki.validate(leaf, root=root, purpose=purpose, revocation_policy=OFF)


def test_time_must_be_aware(pki: Any) -> None:
    root = pki.root()
    with pytest.raises(ValueError, match="aware"):
        pki.validate(pki.leaf(root), root=root, at=pki.T.replace(tzinfo=None))


def test_anchor_limits_from_its_certificate(pki: Any) -> None:
    """The root's own path length counts only when the list says so (RFC 5937)."""
    root = pki.root(path_length=0)
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    inputs = {"candidates": [ca.certificate], "at": pki.T, "revocation_policy": OFF}
    validate_path(leaf.certificate, anchors=[root.anchor], **inputs)

    strict = TrustAnchor.from_certificate(root.certificate, use_extensions=True)
    with pytest.raises(VerifyError) as caught:
        validate_path(leaf.certificate, anchors=[strict], **inputs)
    assert caught.value.code == "PATH_TOO_LONG"


def test_anchor_without_certificate(pki: Any) -> None:
    root = pki.root()
    anchor = TrustAnchor.from_key(root.subject, root.key.public_key(), label="the root")
    path = validate_path(pki.leaf(root).certificate, anchors=[anchor], at=pki.T, revocation_policy=OFF)
    assert path.as_dict()["anchor"] == "the root"
    assert path.public_key


def test_nothing_known_about_revocation(pki: Any) -> None:
    """root -> leaf without any CRL. Not known by default; accepted with a warning when the policy prefers."""
    root = pki.root()
    leaf = pki.leaf(root)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root)
    assert caught.value.code == "REVOCATION_UNKNOWN"
    assert caught.value.facts["causes"] == ("NO_EVIDENCE",)

    path = pki.validate(leaf, root=root, revocation_policy=RevocationPolicy(mode=RevocationMode.PREFER))
    assert [warning.code for warning in path.warnings] == ["REVOCATION_NOT_CHECKED"]
    assert path.warnings[0].text("zh")


def test_pem_and_der_and_loaded_are_the_same(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    for target in (leaf.certificate, leaf.der, leaf.certificate.public_bytes(Encoding.PEM)):
        assert pki.validate(target, root=root, revocation_policy=OFF).certificate == leaf.certificate
