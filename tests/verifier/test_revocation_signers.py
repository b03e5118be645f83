"""Who may sign a list when a CA has changed its key or has several: RFC 5280, section 6.3.3 (f)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    BudgetError,
    CouldNotCheckError,
    Limits,
    PathParameters,
    PathValidator,
    RevocationEvidence,
    RevokedError,
    TrustAnchor,
)
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

MINUTE = timedelta(minutes=1)


def test_list_signed_with_the_next_key(pki: Any) -> None:
    """root -> CA (old key) -> leaf, and root -> CA (new key), which signs the lists of both. Accepted.

    Refused when the list names the leaf; not known once the new certificate is itself revoked.
    """
    root = pki.root()
    old, new = pki.ca(root), pki.ca(root)
    leaf = pki.leaf(old)
    inputs = {"root": root, "cas": [old, new]}
    pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(new)])

    pki.revoke(new, leaf)
    with pytest.raises(RevokedError):
        pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(new)])

    pki.revoke(root, new)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(new)])


def test_root_that_changed_its_key(pki: Any) -> None:
    """Old root -> leaf; the new root's list reaches the old anchor through "new with old". Accepted."""
    old = pki.root()
    new = pki.root()
    linked = pki.issue("Root", old, ca=True, key=new.key)
    leaf = pki.leaf(old)
    pki.validate(leaf, root=old, cas=[linked], crls=[pki.crl(new)])
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=old, crls=[pki.crl(new)])


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"label": "another service"}, False),
        ({"label": ""}, False),
        ({"subject": "Another CA"}, False),
        ({"not_after": -MINUTE}, False),
        ({"key_usage": "key_cert_sign"}, False),
    ],
)
def test_service_with_two_keys(pki: Any, changes: dict[str, Any], good: bool) -> None:
    """A service of the trust list with two certificates: either key signs its lists, as one anchor's would.

    Not the key of another service, name, or time, nor one that may not sign lists.
    """
    changes = dict(changes)
    label = changes.pop("label", "pearl")
    if "not_after" in changes:
        changes["not_after"] = pki.T + changes["not_after"]
    if "key_usage" in changes:
        changes["key_usage"] = pki.usage(changes["key_usage"])
    old, new = pki.root("CA"), pki.root(changes.pop("subject", "CA"), **changes)
    leaf = pki.leaf(old)
    anchors = [
        TrustAnchor.from_certificate(old.certificate, label="pearl" if label else ""),
        TrustAnchor.from_certificate(new.certificate, label=label, use_extensions=True),
    ]
    crl = pki.crl(new, issuer_name=old.subject)
    validator = PathValidator(anchors=anchors, evidence=RevocationEvidence(crls=[crl]))
    if good:
        validator.validate(leaf.der, at=pki.T)
    else:
        with pytest.raises(CouldNotCheckError):
            validator.validate(leaf.der, at=pki.T)


def test_a_spent_budget_is_never_soft(pki: Any) -> None:
    """Thirty candidate signers for one list: the search stops, also where missing evidence is accepted."""
    root = pki.root()
    ca = pki.ca(root, key_usage=pki.usage("key_cert_sign"))
    leaf = pki.leaf(ca)
    signers = [pki.issue("Issuing CA", root, key_usage=pki.usage("crl_sign")) for _ in range(30)]
    crl = pki.crl(ca, key=pki.key(), authority_key_id=False)
    parameters = PathParameters(
        revocation=RevocationPolicy(mode=RevocationMode.PREFER), limits=Limits(signature_checks=8)
    )
    with pytest.raises(BudgetError):
        pki.validate(leaf, root=root, cas=[ca, *signers], crls=[pki.crl(root), crl], parameters=parameters)


def test_circle_of_signers(pki: Any) -> None:
    """The signer's own status stands on the list that it signed: it is not asked about itself. A list that
    names its own signer counts for nobody."""
    root = pki.root()
    ca = pki.ca(root, key_usage=pki.usage("key_cert_sign"))
    signer = pki.issue("Issuing CA", ca, key_usage=pki.usage("crl_sign"))
    leaf = pki.leaf(ca)
    inputs = {"root": root, "cas": [ca, signer]}
    pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(ca, key=signer.key)])
    entries = [
        x509.RevokedCertificateBuilder(leaf.certificate.serial_number, pki.T - pki.DAY).build(),
    ]
    with pytest.raises(RevokedError):
        pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(ca, key=signer.key, entries=entries)])
    pki.revoke(ca, signer)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, **inputs, crls=[pki.crl(root), pki.crl(ca, key=signer.key)])
