"""What the comparison with other verifiers has found in ours, each in the smallest hierarchy."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from diff_peers import REFUSE, Question, ours
from diff_world import CRL_SIGN, LEAF_USAGE, Cert, CrlSpec, Dn, Entry, Inputs, Point, Scope, World

from onecert.verifier import (
    CouldNotCheckError,
    PolicyInputs,
    RefusedError,
    RevocationMode,
    RevocationPolicy,
    RevokedError,
)
from onecert.verifier.purposes import ANY

LISTS_ONLY = {"without": [x509.BasicConstraints]}


def signer_of(pki: Any, issuer: Any, subject: str) -> Any:
    """A certificate for signing lists in the name of ``subject``."""
    return pki.issue(subject, issuer, key_usage=pki.usage("crl_sign"), **LISTS_ONLY)


def test_revoked_ca_cannot_call_off_its_revocation(pki: Any) -> None:
    """root -> CA -> leaf, the CA revoked; it certifies a signer named as the root, who signs a newer list.

    Must be refused: RFC 5280, section 6.3.3 (f), wants a valid path for the signer of a list, and this one
    leads through the certificate whose status is the question.
    """
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    pki.revoke(root, ca)
    false_root = signer_of(pki, ca, "Root")
    newer = pki.crl(false_root, this_update=pki.T - pki.DAY / 48)
    crls = [pki.crl(ca), newer]

    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, cas=[ca, false_root], crls=[*crls, pki.crl(root)], purpose=ANY)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca, false_root], crls=crls, purpose=ANY)


def test_ca_cannot_sign_lists_of_another(pki: Any) -> None:
    """root -> CA -> leaf, the leaf revoked; another CA of the root certifies a signer named as the CA.

    Must be refused: a list of the issuer is signed by the issuer, or by whom it or an authority above it has
    certified for that; not by whom any authority of the same anchor has given its name.
    """
    root = pki.root()
    ca, other = pki.ca(root), pki.ca(root, "Other CA")
    leaf = pki.leaf(ca)
    pki.revoke(ca, leaf)
    false_ca = signer_of(pki, other, "Issuing CA")
    newer = pki.crl(false_ca, this_update=pki.T - pki.DAY / 48)
    crls = [pki.crl(root), pki.crl(other), newer]

    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, cas=[ca, other, false_ca], crls=[*crls, pki.crl(ca)], purpose=ANY)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca, other, false_ca], crls=crls, purpose=ANY)


@pytest.mark.parametrize("with_true_list", [True, False])
def test_revoked_ca_cannot_sign_the_indirect_list_about_itself(with_true_list: bool) -> None:
    """root -> CA -> leaf; the CA's distribution point names the issuer "CRL", and the CA certifies one.

    Must be refused, whether or not the list of the true one, on which the CA is revoked, is at hand.
    """
    root = Cert(Dn("Root 1"), Dn("Root 1"), 0, 0)
    ca = Cert(Dn("CA 0"), Dn("Root 1"), 1, 0, points=(Point(crl_issuer=Dn("CRL")),))
    leaf = Cert(Dn("Leaf"), Dn("CA 0"), 2, 1, ca=None, usage=LEAF_USAGE)
    lists_only = {"ca": None, "usage": frozenset({CRL_SIGN})}
    true_issuer = Cert(Dn("CRL"), Dn("Root 1"), 60, 0, **lists_only)
    false_issuer = Cert(Dn("CRL"), Dn("CA 0"), 61, 1, **lists_only)
    indirect = Scope(indirect=True)
    true_list = CrlSpec(Dn("CRL"), 60, (Entry(1, 1, Dn("Root 1")),), scope=indirect)
    crls = (
        *([true_list] if with_true_list else []),
        CrlSpec(Dn("CRL"), 61, number=9, scope=indirect, this_update=-60),
        CrlSpec(Dn("Root 1"), 0, scope=Scope(only_user=True)),
        CrlSpec(Dn("CA 0"), 1),
    )

    verdict = ours(
        Question(World((root, ca, true_issuer, false_issuer, leaf), (0,), crls, Inputs(crls=True)))
    )

    assert (verdict.kind, verdict.reason) == (
        REFUSE,
        "CERT_REVOKED" if with_true_list else "REVOCATION_UNKNOWN?:CRL_SIGNER",
    )


@pytest.mark.parametrize("certified_by", ["the CA", "the root"])
def test_own_key_for_lists(pki: Any, certified_by: str) -> None:
    """root -> CA -> leaf; the CA's lists are signed by a key of their own, certified by the CA or the root.

    Must be accepted.
    """
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    signer = signer_of(pki, ca if certified_by == "the CA" else root, "Issuing CA")

    path = pki.validate(leaf, root=root, cas=[ca, signer], crls=[pki.crl(root), pki.crl(signer)], purpose=ANY)

    assert path.chain[0].der == leaf.der


@pytest.mark.parametrize("newer", [True, False])
def test_revoked_key_cannot_call_off_its_revocation(pki: Any, newer: bool) -> None:
    """root -> CA (first key) -> CA (second key) -> leaf; the first key's list revokes the second, and the
    second key has signed a list of the same issuer on which nobody is.

    Must be refused, whichever list is newer: whoever has a stolen key writes such a list.
    """
    root = pki.root()
    ca = pki.ca(root)
    second = pki.ca(ca, "Issuing CA")
    leaf = pki.leaf(second)
    own = pki.crl(second, this_update=pki.T - (pki.DAY / 48 if newer else pki.DAY / 2))
    pki.revoke(ca, second)

    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, cas=[ca, second], crls=[pki.crl(root), pki.crl(ca), own], purpose=ANY)


def test_revoked_signer_of_lists_cannot_call_off_its_revocation(pki: Any) -> None:
    """root -> CA -> leaf and a signer of its lists, both revoked by the CA; the signer's list is newer, and
    empty. Must be refused.
    """
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    signer = signer_of(pki, ca, "Issuing CA")
    newer = pki.crl(signer, this_update=pki.T - pki.DAY / 48)
    pki.revoke(ca, leaf)
    pki.revoke(ca, signer)

    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, cas=[ca, signer], crls=[pki.crl(root), pki.crl(ca), newer], purpose=ANY)


def test_only_its_own_word_is_none(pki: Any) -> None:
    """root -> CA (first key) -> CA (second key) -> leaf; the second key alone signs lists.

    Not known: on a path the list signed with the key in question says nothing. With a list of the first key
    that covers the second, as NIST PKITS 4.5.3 and 4.5.6 have it, accepted.
    """
    root = pki.root()
    ca = pki.ca(root)
    second = pki.ca(ca, "Issuing CA")
    leaf = pki.leaf(second)
    crls = [pki.crl(root), pki.crl(second)]

    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca, second], crls=crls, purpose=ANY)
    pki.validate(leaf, root=root, cas=[ca, second], crls=[*crls, pki.crl(ca)], purpose=ANY)


def test_no_path_comes_back_to_its_anchor(pki: Any) -> None:
    """root -> CA -> root -> leaf; the CA maps its policy 1 to the leaf's policy 2, and policy 1 is asked for.

    Must be refused: RFC 4158, section 5.2, drops a path in which one name and key come twice. The root has
    said that the leaf is under policy 2, and a CA below it cannot tell otherwise.
    """

    def policies(*numbers: int) -> tuple[x509.ExtensionType, bool]:
        oids = [x509.ObjectIdentifier(f"1.2.3.{number}") for number in numbers]
        return x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids]), False

    root = pki.root()
    ca = pki.ca(root, extra=[policies(1)])
    mapping = pki.tlv(0x30, pki.tlv(0x30, b"\x06\x03\x2a\x03\x01", b"\x06\x03\x2a\x03\x02"))
    mapped = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), mapping), True)
    back = pki.ca(ca, "Root", key=root.key, extra=[policies(1), mapped])
    leaf = pki.leaf(root, extra=[policies(2)])

    with pytest.raises(RefusedError) as caught:
        pki.validate(
            leaf,
            root=root,
            cas=[ca, back],
            purpose=ANY,
            policies=PolicyInputs(initial=frozenset({"1.2.3.1"}), require_explicit=True),
            revocation_policy=RevocationPolicy(mode=RevocationMode.OFF),
        )

    assert caught.value.code == "POLICY"
