"""Which lists and answers a policy asks for, and lists of every kind at the addresses in certificates."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from fetch_hierarchy import Hierarchy, access, points, refusal

from onecert.verifier import (
    FetchCache,
    FetchingValidator,
    FollowRules,
    HttpFetch,
    PathParameters,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
)


@pytest.mark.parametrize("rules", [FollowRules(crls=False, ocsp=False), FollowRules(fetches=0)])
def test_nothing_may_be_asked(hierarchy: Hierarchy, fetch: HttpFetch, rules: FollowRules) -> None:
    validator = hierarchy.validator(
        fetch, candidates=[hierarchy.policy_ca.der, hierarchy.issuing_ca.der], rules=rules
    )
    assert refusal(validator, hierarchy.leaf, at=hierarchy.pki.T).code == "REVOCATION_UNKNOWN"
    assert not [asked for asked in hierarchy.web.asked if asked.path.endswith(".crl")]


def test_prefer_still_asks(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """With ``prefer`` a missing answer does not refuse, but what can be had is fetched; a revoked leaf is
    refused."""
    parameters = PathParameters(revocation=RevocationPolicy(mode=RevocationMode.PREFER))
    path = hierarchy.validator(fetch, parameters=parameters).validate(hierarchy.leaf.der, at=hierarchy.pki.T)
    assert (len(path.evidence), path.warnings) == (3, ())
    hierarchy.pki.revoke(hierarchy.issuing_ca, hierarchy.leaf)
    hierarchy.publish_lists()
    error = refusal(hierarchy.validator(fetch, parameters=parameters), hierarchy.leaf, at=hierarchy.pki.T)
    assert error.code == "CERT_REVOKED"
    hierarchy.web.pages.pop("/issuing.crl")
    path = hierarchy.validator(fetch, parameters=parameters).validate(hierarchy.leaf.der, at=hierarchy.pki.T)
    assert [warning.code for warning in path.warnings] == ["REVOCATION_NOT_CHECKED"]


@pytest.mark.parametrize(
    ("sources", "asked"),
    [
        (RevocationSources.EITHER, ["/ocsp"]),
        (RevocationSources.PREFER_OCSP, ["/ocsp"]),
        (RevocationSources.OCSP, ["/ocsp"]),
        (RevocationSources.PREFER_CRL, ["/root.crl"]),
        (RevocationSources.CRL, ["/root.crl"]),
        (RevocationSources.BOTH, ["/ocsp", "/root.crl"]),
    ],
)
def test_sources(pki: Any, web: Any, fetch: HttpFetch, sources: RevocationSources, asked: list[str]) -> None:
    """What the policy does not want is not asked for."""
    root = pki.root()
    leaf = pki.leaf(root, extra=[access(ocsp=web.url("/ocsp")), points(web.url("/root.crl"))])
    web.serve("/root.crl", pki.crl(root))
    web.serve("/ocsp", pki.ocsp(root, leaf))
    parameters = PathParameters(revocation=RevocationPolicy(sources=sources))
    validator = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch), parameters=parameters)
    validator.validate(leaf.der, at=pki.T)
    assert [item.path for item in web.asked] == asked


def test_what_is_only_allowed_offline_is_fetched(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """The list at hand is over and still allowed; a fresh one can be had, and then there is no warning."""
    root = pki.root()
    leaf = pki.leaf(root, extra=[points(web.url("/root.crl"))])
    old = pki.crl(root, this_update=pki.T - 2 * pki.DAY, next_update=pki.T - pki.DAY)
    parameters = PathParameters(revocation=RevocationPolicy(allow_offline=7 * pki.DAY))

    def make_one() -> FetchingValidator:
        cache = FetchCache(fetch)
        return FetchingValidator(anchors=[root.anchor], crls=[old], cache=cache, parameters=parameters)

    path = make_one().validate(leaf.der, at=pki.T)
    assert [warning.code for warning in path.warnings] == ["REVOCATION_STALE"]
    web.serve("/root.crl", pki.crl(root))
    assert make_one().validate(leaf.der, at=pki.T).warnings == ()


def test_partitioned_lists(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """Two leaves on two partitions: each list is fetched for its own leaf."""
    root = pki.root()
    leaves = []
    for number in (1, 2):
        url = web.url(f"/{number}.crl")
        scope = x509.IssuingDistributionPoint(
            [x509.UniformResourceIdentifier(url)], None, False, False, None, False, False
        )
        web.serve(f"/{number}.crl", pki.crl(root, extra=[(scope, True)]))
        leaves.append(pki.leaf(root, f"Clerk {number}", extra=[points(url)]))
    validator = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch))
    for number, leaf in enumerate(leaves, start=1):
        validator.validate(leaf.der, at=pki.T)
        assert len(web.asked) == number


def test_delta_lists(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """The freshest list revokes the leaf, the complete one does not know it yet."""
    root = pki.root()
    freshest = x509.FreshestCRL(points(web.url("/delta.crl"))[0])  # type: ignore[arg-type]  # iterable
    leaf = pki.leaf(root, extra=[points(web.url("/root.crl")), (freshest, False)])
    web.serve("/root.crl", pki.crl(root, number=10))
    pki.revoke(root, leaf)
    web.serve("/delta.crl", pki.crl(root, number=11, extra=[(x509.DeltaCRLIndicator(10), True)]))
    validator = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch))
    assert refusal(validator, leaf, at=pki.T).code == "CERT_REVOKED"


def test_indirect_lists(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """Somebody else signs the list: root -> signer; its certificate is at the address in the list, its own
    status on the list of the root."""
    root = pki.root()
    web.serve("/root.crl", pki.crl(root))
    signer = pki.leaf(root, "Signer", key_usage=pki.usage("crl_sign"), extra=[points(web.url("/root.crl"))])
    web.serve("/signer.cer", signer.der)
    url = x509.UniformResourceIdentifier(web.url("/indirect.crl"))
    scope = x509.IssuingDistributionPoint([url], None, False, False, None, True, False)
    web.serve(
        "/indirect.crl",
        pki.crl(signer, extra=[(scope, True), access(issuers=web.url("/signer.cer"))], entries=[]),
    )
    point = x509.DistributionPoint([url], None, None, [x509.DirectoryName(signer.subject)])
    leaf = pki.leaf(root, extra=[(x509.CRLDistributionPoints([point]), False)])
    path = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch)).validate(leaf.der, at=pki.T)
    assert [item.issuer for item in path.evidence] == ["CN=Signer,C=CN"]
