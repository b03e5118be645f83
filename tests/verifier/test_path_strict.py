"""The strict profile: rules for issuers, which path validation leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import RefusedError, TrustAnchor, VerifyError
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
LAX, STRICT = PathParameters(revocation=OFF), PathParameters(revocation=OFF, strict=True)
CONSTRAINTS = x509.NameConstraints(None, [x509.DNSName("example.org")])


def names(*texts: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(text) for text in texts])


def aia() -> x509.AuthorityInformationAccess:
    where = x509.UniformResourceIdentifier("http://example.cn/ca.cer")
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)]
    )


def critical(pki: Any, kind: type[x509.ExtensionType]) -> tuple[x509.ExtensionType, bool]:
    key = pki.key().public_key()
    made: dict[Any, Callable[[], x509.ExtensionType]] = {
        x509.SubjectKeyIdentifier: lambda: x509.SubjectKeyIdentifier.from_public_key(key),
        x509.BasicConstraints: lambda: x509.BasicConstraints(ca=True, path_length=None),
    }
    return made[kind](), kind is not x509.BasicConstraints


CA_FAULTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "4.2.1.1": lambda pki: {"without": [x509.AuthorityKeyIdentifier]},
    "4.2.1.2": lambda pki: {"without": [x509.SubjectKeyIdentifier]},
    "4.2.1.2 critical": lambda pki: {"extra": [critical(pki, x509.SubjectKeyIdentifier)]},
    "4.2.1.3": lambda pki: {"without": [x509.KeyUsage]},
    "4.2.1.9": lambda pki: {"extra": [critical(pki, x509.BasicConstraints)]},
    "4.2.1.10": lambda pki: {"extra": [(CONSTRAINTS, False)]},
    "4.2.1.11": lambda pki: {"extra": [(x509.PolicyConstraints(None, 5), False)]},
    "4.2.1.14": lambda pki: {"extra": [(x509.InhibitAnyPolicy(5), False)]},
    "4.2.2.1": lambda pki: {"extra": [(aia(), True)]},
}
LEAF_FAULTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "4.2.1.1": lambda pki: {"without": [x509.AuthorityKeyIdentifier]},
    "4.2.1.6": lambda pki: {"subject": x509.Name([]), "extra": [(names("a.example.cn"), False)]},
    "4.2.1.6 address": lambda pki: {"extra": [(names("8.8.8.8"), False)]},
    "4.2.1.6 underscore": lambda pki: {"extra": [(names("a_b.example.cn"), False)]},
    "4.2.1.9": lambda pki: {"key_usage": pki.usage("digital_signature", "key_cert_sign")},
    "4.2.1.10": lambda pki: {"extra": [(CONSTRAINTS, True)]},
}


def test_good_issuers_pass(pki: Any) -> None:
    root = pki.root()
    ca = pki.ca(root, path_length=0)
    leaf = pki.leaf(ca, extra=[(names("a.example.cn", "*.example.cn"), False)])
    pki.validate(leaf, root=root, cas=[ca], parameters=STRICT)


@pytest.mark.parametrize("fault", sorted(CA_FAULTS))
def test_faults_of_a_ca_certificate(pki: Any, fault: str) -> None:
    """root -> CA with one fault -> leaf: accepted, and refused by the strict profile."""
    root = pki.root()
    ca = pki.ca(root, **CA_FAULTS[fault](pki))
    leaf = pki.leaf(ca)
    pki.validate(leaf, root=root, cas=[ca], parameters=LAX)
    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, cas=[ca], parameters=STRICT)
    assert caught.value.code == "ISSUER_PROFILE"
    assert caught.value.source == f"RFC 5280, section {fault.partition(' ')[0]}"
    assert caught.value.certificate == ca.certificate


@pytest.mark.parametrize("fault", sorted(LEAF_FAULTS))
def test_faults_of_an_end_certificate(pki: Any, fault: str) -> None:
    """root -> leaf with one fault: accepted, and refused by the strict profile."""
    root = pki.root()
    leaf = pki.leaf(root, **LEAF_FAULTS[fault](pki))
    pki.validate(leaf, root=root, parameters=LAX)
    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, parameters=STRICT)
    assert caught.value.source == f"RFC 5280, section {fault.partition(' ')[0]}"


def test_faults_of_the_anchor_and_of_a_list(pki: Any) -> None:
    """The anchor's own certificate counts; a list that breaks a rule answers nothing."""
    faulty = pki.root(without=[x509.SubjectKeyIdentifier])
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(faulty), root=faulty, parameters=STRICT)
    assert caught.value.source == "RFC 5280, section 4.2.1.2"

    root = pki.root()
    leaf = pki.leaf(root)
    strict = PathParameters(strict=True)
    pki.validate(leaf, root=root, crls=[pki.crl(root)], parameters=strict)
    without = pki.crl(root, authority_key_id=False)
    pki.validate(leaf, root=root, crls=[without])
    with pytest.raises(VerifyError) as unknown:
        pki.validate(leaf, root=root, crls=[without], parameters=strict)
    assert unknown.value.facts["causes"] == ("CRL_PROFILE",)


def test_an_anchor_whose_extensions_speak_against_it(pki: Any) -> None:
    """Extensions count when the list says so: no CA, or a critical one that nobody knows."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for party, code in (
        (pki.leaf(pki.root()), "NOT_A_CA"),
        (pki.root(extra=[(odd, True)]), "UNKNOWN_CRITICAL_EXTENSION"),
    ):
        TrustAnchor.from_certificate(party.certificate)
        with pytest.raises(RefusedError) as caught:
            TrustAnchor.from_certificate(party.certificate, use_extensions=True)
        assert caught.value.code == code
