"""Validation with nothing at hand but leaf and root: the rest comes from addresses in the certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import (
    FetchCache,
    FetchingValidator,
    HttpFetch,
)


def points(*urls: str) -> tuple[x509.ExtensionType, bool]:
    """A distribution point for each URL."""
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]
    ), False


def access(*, issuers: str = "", ocsp: str = "") -> tuple[x509.ExtensionType, bool]:
    named = ((AuthorityInformationAccessOID.CA_ISSUERS, issuers), (AuthorityInformationAccessOID.OCSP, ocsp))
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for oid, url in named if url]
    ), False


@dataclass
class Hierarchy:
    """root -> policy CA -> issuing CA -> leaf, each published on ``web``."""

    web: Any
    pki: Any
    root: Any
    policy_ca: Any
    issuing_ca: Any
    leaf: Any

    def publish_lists(self) -> None:
        for path, issuer in (
            ("/root.crl", self.root),
            ("/policy.crl", self.policy_ca),
            ("/issuing.crl", self.issuing_ca),
        ):
            self.web.serve(path, self.pki.crl(issuer))

    def validator(self, fetch: HttpFetch, **settings: Any) -> FetchingValidator:
        return FetchingValidator(anchors=[self.root.anchor], cache=FetchCache(fetch), **settings)


@pytest.fixture
def hierarchy(web: Any, pki: Any) -> Hierarchy:
    url = web.url
    root = pki.root()
    policy_ca = pki.ca(root, "Policy CA", extra=[points(url("/root.crl")), access(issuers=url("/root.cer"))])
    issuing_ca = pki.ca(
        policy_ca, "Issuing CA", extra=[points(url("/policy.crl")), access(issuers=url("/policy.cer"))]
    )
    leaf = pki.leaf(
        issuing_ca,
        extra=[points(url("/issuing.crl")), access(issuers=url("/issuing.p7c"))],
    )
    made = Hierarchy(web, pki, root, policy_ca, issuing_ca, leaf)
    made.publish_lists()
    web.serve("/policy.cer", policy_ca.der)
    web.serve("/issuing.p7c", pkcs7.serialize_certificates([issuing_ca.certificate], Encoding.DER))
    return made


def test_everything_is_fetched_once(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """root -> policy CA -> issuing CA -> leaf, with leaf and root at hand: accepted, and nothing is asked
    twice, by the leaf's sibling neither."""
    validator = hierarchy.validator(fetch)
    at = hierarchy.pki.T
    path = validator.validate(hierarchy.leaf.der, at=at)

    assert [certificate.subject_text for certificate in path.chain] == [
        "CN=Clerk 7,C=CN",
        "CN=Issuing CA,C=CN",
        "CN=Policy CA,C=CN",
    ]
    assert [item.kind for item in path.evidence] == ["crl"] * 3
    asked = ["/issuing.p7c", "/policy.cer", "/root.crl", "/policy.crl", "/issuing.crl"]
    assert sorted(item.path for item in hierarchy.web.asked) == sorted(asked)

    sibling = hierarchy.pki.leaf(
        hierarchy.issuing_ca, "Clerk 8", extra=[points(hierarchy.web.url("/issuing.crl"))]
    )
    validator.validate(hierarchy.leaf.der, at=at + timedelta(minutes=1))
    validator.validate(sibling.der, at=at + timedelta(minutes=1))
    assert len(hierarchy.web.asked) == len(asked)
