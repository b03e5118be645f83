"""The paths of authorities: root -> CA -> attribute authority; remembered for a second, never longer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from onecert.verifier import PathParameters, PathValidator, RefusedError, RevocationEvidence, TrustAnchor
from onecert.verifier.attribute_certificate import AuthorityPaths
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.purposes import ATTRIBUTE_AUTHORITY

T = datetime.fromisoformat("2026-11-21T09:00:00+00:00")
SECOND = timedelta(seconds=1)


class Counting(PathValidator):
    """Counts how often it is asked."""

    asked = 0

    def validate(self, *args: Any, **settings: Any) -> Any:
        self.asked += 1
        return super().validate(*args, **settings)


@pytest.fixture
def validator(pki: Any) -> tuple[Counting, Any, Any]:
    root = pki.root()
    ca = pki.ca(root)
    authority = pki.leaf(ca)
    evidence = RevocationEvidence(crls=[pki.crl(root), pki.crl(ca)])
    made = Counting(
        anchors=[TrustAnchor.from_certificate(root.certificate)],
        candidates=[ca.certificate],
        evidence=evidence,
        parameters=PathParameters(purpose=ATTRIBUTE_AUTHORITY),
    )
    return made, ca, authority


def test_one_validation_a_second(validator: tuple[Counting, Any, Any]) -> None:
    made, _, authority = validator
    paths, certificate = AuthorityPaths(made), parse_certificate(authority.der)
    first = paths(certificate, T)
    assert paths(certificate, T + SECOND / 2) is first
    assert made.asked == 1
    assert paths(certificate, T + SECOND).at == T + SECOND
    assert made.asked == 2


def test_what_comes_in_counts_at_once(validator: tuple[Counting, Any, Any], pki: Any) -> None:
    """The authority is revoked within the second: the same question has another answer."""
    made, ca, authority = validator
    paths, certificate = AuthorityPaths(made), parse_certificate(authority.der)
    assert paths(certificate, T).chain
    pki.revoke(ca, authority)
    made.evidence.add_crl(pki.crl(ca, number=9))
    with pytest.raises(RefusedError, match="CERT_REVOKED"):
        paths(certificate, T)
    with pytest.raises(RefusedError, match="CERT_REVOKED"):
        paths(certificate, T)
    assert made.asked == 3, "refusals are not remembered"
