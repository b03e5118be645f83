"""Delta lists: which of them fit a complete list, and what they say when they are over.

RFC 5280, sections 5.2.4 and 6.3.3 (c), (h) to (k). root -> leaf throughout.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    CouldNotCheckError,
    MalformedError,
    PathValidator,
    RevocationEvidence,
    RevokedError,
    load_crl,
)
from onecert.verifier.revocation import RevocationPolicy

MINUTE = timedelta(minutes=1)


def delta(pki: Any, issuer: Any, number: int, base: int, **changes: Any) -> bytes:
    """A delta list with all that ``issuer`` has revoked."""
    extra = [(x509.DeltaCRLIndicator(base), True), *changes.pop("extra", [])]
    der: bytes = pki.crl(issuer, number=number, extra=extra, **changes)
    return der


def uri(text: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text)]


@pytest.mark.parametrize(
    ("complete", "base", "number", "applies"),
    [
        (10, 10, 11, True),
        (10, 5, 11, True),
        (10, 10, 500, True),
        (10, 11, 12, False),  # made for a newer complete list
        (10, 5, 10, False),  # the complete list already has what the delta has
        (10, 5, 9, False),  # older than the complete list
    ],
)
def test_numbers(pki: Any, complete: int, base: int, number: int, applies: bool) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    full = pki.crl(root, number=complete)
    pki.revoke(root, leaf)
    crls = [full, delta(pki, root, number, base)]
    if applies:
        with pytest.raises(RevokedError):
            pki.validate(leaf, root=root, crls=crls)
    else:
        pki.validate(leaf, root=root, crls=crls)


def test_the_newest_delta_counts(pki: Any) -> None:
    """Held in delta 11, released in delta 12, held again in delta 13: each state in its turn."""
    root = pki.root()
    leaf = pki.leaf(root)
    crls = [pki.crl(root, number=10)]
    for number, reason in ((11, "certificate_hold"), (12, "remove_from_crl"), (13, "certificate_hold")):
        root.revoked.clear()
        pki.revoke(root, leaf, reason=x509.ReasonFlags[reason])
        crls.append(delta(pki, root, number, 10, this_update=pki.T - (20 - number) * MINUTE))
        for order in (crls, crls[::-1]):
            if reason == "remove_from_crl":
                path = pki.validate(leaf, root=root, crls=order)
                assert [(e.number, e.age) for e in path.evidence] == [(12, 8 * MINUTE)]
            else:
                with pytest.raises(RevokedError):
                    pki.validate(leaf, root=root, crls=order)


def test_release_holds_only_for_a_hold_in_the_complete_list(pki: Any) -> None:
    """Deltas are not applied when the policy says so: then the hold of the complete list stands."""
    root = pki.root()
    leaf = pki.leaf(root)
    pki.revoke(root, leaf, reason=x509.ReasonFlags.certificate_hold)
    full = pki.crl(root, number=10)
    root.revoked.clear()
    pki.revoke(root, leaf, reason=x509.ReasonFlags.remove_from_crl)
    crls = [full, delta(pki, root, 11, 10)]
    pki.validate(leaf, root=root, crls=crls)
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, crls=crls, revocation_policy=RevocationPolicy(use_deltas=False))


def test_scopes_and_signers_must_be_the_same(pki: Any) -> None:
    """A delta of another partition, of another key, or signed by a stranger changes nothing."""
    root = pki.root()
    leaf = pki.leaf(root)
    full = pki.crl(root, number=10)
    pki.revoke(root, leaf)
    user = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    others = [
        delta(pki, root, 11, 10, extra=[(user, True)]),
        delta(pki, root, 11, 10, authority_key_id=False),
        delta(pki, root, 11, 10, key=pki.key()),
    ]
    for other in others:
        pki.validate(leaf, root=root, crls=[full, other])


def test_delta_that_is_over(pki: Any) -> None:
    """It is still newer than the complete list: what it revokes stays revoked, what it releases does not."""
    root = pki.root()
    leaf, held = pki.leaf(root), pki.leaf(root, "Held")
    pki.revoke(root, held, reason=x509.ReasonFlags.certificate_hold)
    full = pki.crl(root, number=10)
    root.revoked.clear()
    pki.revoke(root, held, reason=x509.ReasonFlags.remove_from_crl)
    pki.revoke(root, leaf)
    over = delta(pki, root, 11, 10, next_update=pki.T - MINUTE)
    for certificate in (leaf, held):
        with pytest.raises(RevokedError):
            pki.validate(certificate, root=root, crls=[full, over])
    forged = delta(pki, root, 11, 10, next_update=pki.T - MINUTE, key=pki.key())
    pki.validate(leaf, root=root, crls=[full, forged])


def test_what_refuses_one_refuses_it_after_a_sibling_too(pki: Any) -> None:
    """A remembered answer for siblings does not skip lists that can only refuse: a delta that is over, or a
    newer list that is over and names the leaf."""
    root = pki.root()
    good, bad = pki.leaf(root, "Good"), pki.leaf(root, "Bad")
    full = pki.crl(root, number=10, this_update=pki.T - 2 * pki.DAY)
    pki.revoke(root, bad)
    over = {"this_update": pki.T - pki.DAY, "next_update": pki.T - MINUTE}
    for other in (delta(pki, root, 11, 10, **over), pki.crl(root, number=11, **over)):
        validator = PathValidator(anchors=[root.anchor], evidence=RevocationEvidence(crls=[full, other]))
        for _ in range(2):
            validator.validate(good.der, at=pki.T)
            with pytest.raises(RevokedError):
                validator.validate(bad.der, at=pki.T)


def test_delta_bounds_the_answer(pki: Any) -> None:
    """The answer holds until the first of both lists ends."""
    root = pki.root()
    leaf = pki.leaf(root)
    crls = [pki.crl(root, number=10), delta(pki, root, 11, 10, next_update=pki.T + 10 * MINUTE)]
    assert pki.validate(leaf, root=root, crls=crls).valid_until == pki.T + 10 * MINUTE


def test_offline_with_deltas(pki: Any) -> None:
    """Complete list and delta are over; the policy allows it: what the delta says counts, with a warning."""
    root = pki.root()
    good, bad = pki.leaf(root, "Good"), pki.leaf(root, "Bad")
    full = pki.crl(root, number=10, next_update=pki.T - 30 * MINUTE)
    pki.revoke(root, bad)
    crls = [full, delta(pki, root, 11, 10, next_update=pki.T - 40 * MINUTE)]
    policy = RevocationPolicy(allow_offline=pki.DAY)
    path = pki.validate(good, root=root, crls=crls, revocation_policy=policy)
    assert [warning.code for warning in path.warnings] == ["REVOCATION_STALE"]
    with pytest.raises(RevokedError):
        pki.validate(bad, root=root, crls=crls, revocation_policy=policy)
    with pytest.raises(CouldNotCheckError):
        pki.validate(good, root=root, crls=crls)


@pytest.mark.parametrize("critical", [False, True])
def test_pointer_to_deltas(pki: Any, critical: bool) -> None:
    """freshestCRL in a list or a certificate says where deltas are; it does not get in the way."""
    root = pki.root()
    points = [x509.DistributionPoint(uri("http://a.example/delta.crl"), None, None, None)]
    leaf = pki.leaf(root, extra=[(x509.FreshestCRL(points), False)])
    der = pki.crl(root, extra=[(x509.FreshestCRL(points), critical)])
    pki.validate(leaf, root=root, crls=[der])
    (point,) = load_crl(der).freshest_points
    assert [name.value for name in point.full_names] == [b"http://a.example/delta.crl"]
    broken = x509.UnrecognizedExtension(x509.FreshestCRL.oid, b"\x30\x00")
    with pytest.raises(MalformedError):
        load_crl(pki.crl(root, extra=[(broken, critical)]))
