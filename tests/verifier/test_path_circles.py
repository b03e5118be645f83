"""Lists whose signers depend on each other: what one question takes for granted, no other one may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import CouldNotCheckError, RevocationEvidence, RevokedError
from onecert.verifier.certificate import as_parsed
from onecert.verifier.purposes import SIGNING
from onecert.verifier.signed_form.past_path import PathTrust, judge_path

LISTS_ONLY = ("crl_sign",)


def listed_by(signer: str, pki: Any) -> list[tuple[x509.ExtensionType, bool]]:
    """A distribution point that leaves the status to the lists of ``signer``."""
    names = [x509.DirectoryName(pki.name(signer))]
    return [(x509.CRLDistributionPoints([x509.DistributionPoint(None, None, None, names)]), False)]


def indirect() -> list[tuple[x509.ExtensionType, bool]]:
    point = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=True,
        only_contains_attribute_certs=False,
    )
    return [(point, True)]


def test_trust_in_a_signer_ends_with_the_question(pki: Any) -> None:
    """X signs the list about Y, Y the one about D, and Z, certified by D, the one about X: X is revoked.

    root -> CA -> leaf, where X's list speaks of the CA, and root -> D -> CA (same key) -> leaf. While X is
    asked about, its list counts, so that D seems good and Z may speak: X is revoked, and so the first path
    falls. On the second path D must be asked about anew: what was believed of it rests on X.
    """
    root = pki.root()
    lists = pki.usage(*LISTS_ONLY)
    key = pki.key()
    ca = pki.ca(root, key=key, extra=listed_by("X", pki))
    x = pki.issue("X", root, key_usage=lists, extra=listed_by("Z", pki))
    y = pki.issue("Y", root, key_usage=lists, extra=listed_by("X", pki))
    d = pki.ca(root, "D", extra=listed_by("Y", pki))
    z = pki.issue("Z", d, key_usage=lists)
    below_d = pki.ca(d, key=key)
    leaf = pki.leaf(ca)
    pki.revoke(z, x, extra=[(x509.CertificateIssuer([x509.DirectoryName(root.subject)]), True)])
    crls = [*(pki.crl(signer, extra=indirect()) for signer in (x, y, z)), pki.crl(d), pki.crl(ca)]
    signers = [x, y, z, d]
    for cas in ([ca], [below_d], [ca, below_d]):
        with pytest.raises(CouldNotCheckError):
            pki.validate(leaf, root=root, cas=[*signers, *cas], crls=crls)


@pytest.mark.parametrize(("count", "good"), [(4, True), (100, False)])
def test_chain_of_signers(pki: Any, count: int, good: bool) -> None:
    """Each signer's status stands on the list of the next one, the last one's on an answer of the root.

    A few of them are followed; a hundred end in an answer too, which is no.
    """
    root = pki.root()
    lists = pki.usage(*LISTS_ONLY)
    leaf = pki.leaf(root, extra=listed_by("S0", pki))
    signers = [
        pki.issue(f"S{i}", root, key_usage=lists, extra=listed_by(f"S{i + 1}", pki)) for i in range(count)
    ]
    crls = [pki.crl(signer, extra=indirect()) for signer in signers]
    inputs = {"root": root, "cas": signers, "crls": crls, "ocsp": [pki.ocsp(root, signers[-1])]}
    if good:
        assert pki.validate(leaf, **inputs).evidence[0].issuer == "CN=S0,C=CN"
    else:
        with pytest.raises(CouldNotCheckError):
            pki.validate(leaf, **inputs)


@pytest.mark.parametrize("is_good", [True, False])
def test_a_signer_that_only_its_own_list_names_may_sign(pki: Any, is_good: bool) -> None:
    """NIST PKITS 4.14.30: the key for lists stands on its own list; the same for a signature of before."""
    root = pki.root()
    signer = pki.issue("X", root, key_usage=pki.usage(*LISTS_ONLY), extra=listed_by("X", pki))
    leaf = pki.leaf(root, extra=listed_by("X", pki))
    if not is_good:
        pki.revoke(signer, leaf, extra=[(x509.CertificateIssuer([x509.DirectoryName(root.subject)]), True)])
    crl = pki.crl(signer, extra=indirect())

    def now() -> None:
        pki.validate(leaf, root=root, cas=[signer], crls=[crl])

    def before() -> None:
        trust = PathTrust(
            anchors=(root.anchor,),
            candidates=(as_parsed(signer.der),),
            evidence=RevocationEvidence(crls=[crl]),
        )
        moment = pki.T - timedelta(minutes=5)
        judge_path(as_parsed(leaf.der), trust, purpose=SIGNING, at=moment, known_at=pki.T)

    for judge in (now, before):
        if is_good:
            judge()
        else:
            with pytest.raises(RevokedError):
                judge()
