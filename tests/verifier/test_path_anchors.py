"""The limits of trust in an anchor: RFC 5937, from the entry itself or from the anchor's certificate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import PolicyInputs, RefusedError, TrustAnchor, ValidatedPath, validate_path
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
ONE, TWO, ANY = "1.2.3.1", "1.2.3.2", "2.5.29.32.0"


def policies(*oids: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    ), False


def validate(pki: Any, leaf: Any, anchor: TrustAnchor, *cas: Any, **inputs: Any) -> ValidatedPath:
    return validate_path(
        leaf.certificate,
        candidates=[ca.certificate for ca in cas],
        anchors=[anchor],
        at=pki.T,
        revocation_policy=OFF,
        policies=PolicyInputs(**inputs),
    )


def refuse(*arguments: Any, **inputs: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        validate(*arguments, **inputs)
    assert caught.value.code == "POLICY"


def test_policies_that_an_anchor_may_stand_for(pki: Any) -> None:
    """The anchor stands for ONE only. A leaf of ONE has it; a leaf of TWO has no policy that counts."""
    root = pki.root()
    one, two = pki.leaf(root, extra=[policies(ONE)]), pki.leaf(root, extra=[policies(TWO)])
    anchor = replace(root.anchor, policies=frozenset({ONE}))
    assert validate(pki, one, anchor, require_explicit=True).policies == {ONE}
    assert validate(pki, two, anchor).policies == frozenset()
    refuse(pki, two, anchor, require_explicit=True)
    refuse(pki, one, anchor, require_explicit=True, initial=frozenset({TWO}))
    # So also when the entry itself asks for a policy, and not the caller.
    explicit = replace(anchor, require_explicit_policy=0)
    assert validate(pki, one, explicit).policies == {ONE}
    refuse(pki, two, explicit)


@pytest.mark.parametrize(("count", "good"), [(None, True), (0, False), (1, False), (2, False), (3, True)])
def test_explicit_policy_after_some_certificates(pki: Any, count: int | None, good: bool) -> None:
    """anchor -> CA -> leaf without policies: the count is 0 after the leaf, or it is not yet."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    anchor = replace(root.anchor, require_explicit_policy=count)
    if good:
        assert validate(pki, leaf, anchor, ca).policies == frozenset()
    else:
        refuse(pki, leaf, anchor, ca)


def test_any_policy_inhibited_by_the_anchor(pki: Any) -> None:
    """The CA says anyPolicy, the leaf ONE. With 0 that of the CA stands for nothing; with 1 it still does."""
    root = pki.root()
    ca = pki.ca(root, extra=[policies(ANY)])
    leaf = pki.leaf(ca, extra=[policies(ONE)])
    asked = {"require_explicit": True, "initial": frozenset({ONE})}
    assert validate(pki, leaf, replace(root.anchor, inhibit_any_policy=1), ca, **asked).policies == {ONE}
    refuse(pki, leaf, replace(root.anchor, inhibit_any_policy=0), ca, **asked)


def test_mapping_inhibited_by_the_anchor(pki: Any) -> None:
    """The CA maps ONE to TWO. Where the anchor inhibits mapping the leaf's TWO stands for nothing."""
    root = pki.root()
    pair = pki.tlv(0x30, pki.tlv(0x06, b"\x2a\x03\x01"), pki.tlv(0x06, b"\x2a\x03\x02"))
    mapping = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), pki.tlv(0x30, pair))
    ca = pki.ca(root, extra=[policies(ONE), (mapping, True)])
    leaf = pki.leaf(ca, extra=[policies(TWO)])
    assert validate(pki, leaf, root.anchor, ca, require_explicit=True).policies == {ONE}
    refuse(pki, leaf, replace(root.anchor, inhibit_policy_mapping=0), ca, require_explicit=True)


def test_limits_from_the_certificate_of_an_anchor(pki: Any) -> None:
    """They count when the list says so, with the counts that the certificate has."""
    root = pki.root(
        extra=[
            policies(ONE),
            (x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=1), True),
            (x509.InhibitAnyPolicy(2), True),
        ]
    )
    leaf = pki.leaf(root)
    validate(pki, leaf, root.anchor)
    anchor = TrustAnchor.from_certificate(root.certificate, use_extensions=True)
    assert anchor.policies == frozenset({ONE})
    counts = (anchor.require_explicit_policy, anchor.inhibit_policy_mapping, anchor.inhibit_any_policy)
    assert counts == (0, 1, 2)
    refuse(pki, leaf, anchor)
    validate(pki, pki.leaf(root, extra=[policies(ONE)]), anchor)
    anything = pki.root(extra=[policies(ANY, ONE)])
    assert TrustAnchor.from_certificate(anything.certificate, use_extensions=True).policies is None


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ({"policies": ONE}, TypeError),
        ({"require_explicit_policy": True}, TypeError),
        ({"inhibit_any_policy": -1}, ValueError),
        ({"inhibit_policy_mapping": "0"}, TypeError),
        ({"max_path_length": -1}, ValueError),
    ],
)
def test_limits_that_are_none(pki: Any, limit: dict[str, Any], error: type[Exception]) -> None:
    """A flag where a count belongs, text, or less than nothing: said at once, with the name."""
    with pytest.raises(error, match=next(iter(limit))):
        replace(pki.root().anchor, **limit)
