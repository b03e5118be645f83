"""A hierarchy whose certificates name addresses on the loopback server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import CouldNotCheckError, FetchCache, FetchingValidator, HttpFetch, RefusedError


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


def refusal(validator: FetchingValidator, target: Any, *, at: Any, **inputs: Any) -> Any:
    with pytest.raises((RefusedError, CouldNotCheckError)) as caught:
        validator.validate(target.der, at=at, **inputs)
    return caught.value
