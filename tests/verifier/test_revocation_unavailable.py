"""Certificates that say that there is no revocation information about them: RFC 9608."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import (
    CouldNotCheckError,
    MalformedError,
    PathParameters,
    RefusedError,
    RevocationPolicy,
    RevokedError,
    load_certificate,
)
from onecert.verifier.revocation import RevocationMode


def no_rev_avail(value: bytes = b"\x05\x00") -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.56"), value)


def location() -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier("http://a.example/1")]


POINTERS = [
    x509.CRLDistributionPoints([x509.DistributionPoint(location(), None, None, None)]),
    x509.FreshestCRL([x509.DistributionPoint(location(), None, None, None)]),
    x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location()[0])]
    ),
]
ISSUERS = x509.AuthorityInformationAccess(
    [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location()[0])]
)


@pytest.mark.parametrize("critical", [False, True])
def test_nothing_is_looked_for(pki: Any, critical: bool) -> None:
    """root -> leaf with noRevAvail and no list anywhere. Accepted, with a warning that says why."""
    root = pki.root()
    leaf = pki.leaf(root, extra=[(no_rev_avail(), critical), (ISSUERS, False)])
    path = pki.validate(leaf, root=root)
    assert path.evidence == ()
    (warning,) = path.warnings
    assert warning.code == "REVOCATION_NOT_AVAILABLE"
    assert "Clerk 7" in warning.text("zh")


def test_the_ca_above_is_still_asked_about(pki: Any) -> None:
    """root -> CA without status -> leaf with noRevAvail. Not known."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca, extra=[(no_rev_avail(), False)])
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca])
    pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root)])


def test_who_calls_it_revoked_all_the_same_is_heard(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root, extra=[(no_rev_avail(), False)])
    pki.revoke(root, leaf)
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, crls=[pki.crl(root)])
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, ocsp=[pki.ocsp(root, leaf, status="revoked")])


def test_not_for_a_ca(pki: Any) -> None:
    """root -> CA with noRevAvail -> leaf: the CA's status is looked for; the strict profile refuses it."""
    root = pki.root()
    ca = pki.ca(root, extra=[(no_rev_avail(), False)])
    leaf = pki.leaf(ca)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(ca)])
    pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca))
    with pytest.raises(RefusedError) as caught:
        pki.validate(
            leaf, root=root, cas=[ca], crls=pki.crls(root, ca), parameters=PathParameters(strict=True)
        )
    assert (caught.value.code, caught.value.source) == ("ISSUER_PROFILE", "RFC 9608, section 3")


@pytest.mark.parametrize("pointer", POINTERS, ids=["crl", "delta", "ocsp"])
def test_beside_a_pointer_to_revocation_information(pki: Any, pointer: x509.ExtensionType) -> None:
    """The certificate contradicts itself: its status is looked for, and the strict profile refuses it."""
    root = pki.root()
    leaf = pki.leaf(root, extra=[(no_rev_avail(), False), (pointer, False)])
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root)
    pki.validate(leaf, root=root, crls=[pki.crl(root)])
    off = RevocationPolicy(mode=RevocationMode.OFF)
    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, parameters=PathParameters(strict=True, revocation=off))
    assert (caught.value.code, caught.value.source) == ("ISSUER_PROFILE", "RFC 9608, section 3")


def test_strict_profile(pki: Any) -> None:
    """By itself it is in order; critical it is not."""
    root = pki.root()
    strict = PathParameters(strict=True)
    pki.validate(pki.leaf(root, extra=[(no_rev_avail(), False)]), root=root, parameters=strict)
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(root, extra=[(no_rev_avail(), True)]), root=root, parameters=strict)
    assert caught.value.source == "RFC 9608, section 2"


def test_its_value_is_null(pki: Any) -> None:
    leaf = pki.leaf(pki.root(), extra=[(no_rev_avail(b"\x30\x00"), False)])
    with pytest.raises(MalformedError):
        load_certificate(leaf.der)
