"""Validation with nothing at hand but leaf and root: the rest comes from addresses in the certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from fetch_hierarchy import Hierarchy, access, points, refusal

from onecert.verifier import (
    FetchCache,
    FetchingValidator,
    FollowRules,
    HttpFetch,
    RevokedError,
    explain,
)


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


def test_nothing_is_asked_when_all_is_at_hand(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """With candidates and lists given, no server hears of the validation."""
    pki = hierarchy.pki
    validator = hierarchy.validator(
        fetch,
        candidates=[hierarchy.policy_ca.certificate],
        crls=pki.crls(hierarchy.root, hierarchy.policy_ca, hierarchy.issuing_ca),
    )
    validator.validate(hierarchy.leaf.der, at=pki.T, candidates=[hierarchy.issuing_ca.der, b"no certificate"])
    assert hierarchy.web.asked == []


def test_only_what_is_missing_is_asked(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """One list is missing: one request."""
    validator = hierarchy.validator(
        fetch,
        candidates=[hierarchy.policy_ca.certificate, hierarchy.issuing_ca.certificate],
        crls=hierarchy.pki.crls(hierarchy.root, hierarchy.issuing_ca),
    )
    validator.validate(hierarchy.leaf.der, at=hierarchy.pki.T)
    assert [asked.path for asked in hierarchy.web.asked] == ["/policy.crl"]


def test_revoked(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """The fetched list names the leaf, or the CA above it."""
    hierarchy.pki.revoke(hierarchy.issuing_ca, hierarchy.leaf)
    hierarchy.publish_lists()
    at = hierarchy.pki.T
    assert refusal(hierarchy.validator(fetch), hierarchy.leaf, at=at).code == "CERT_REVOKED"
    hierarchy.pki.revoke(hierarchy.policy_ca, hierarchy.issuing_ca)
    hierarchy.publish_lists()
    error = refusal(hierarchy.validator(fetch), hierarchy.leaf, at=at)
    assert isinstance(error, RevokedError)
    assert error.certificate == hierarchy.issuing_ca.certificate


def test_revocation_arrives_with_the_next_list(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """Accepted; revoked an hour later; the list is due after an hour: refused then."""
    validator = hierarchy.validator(fetch)
    at = hierarchy.pki.T
    validator.validate(hierarchy.leaf.der, at=at)
    hierarchy.pki.revoke(hierarchy.issuing_ca, hierarchy.leaf)
    at += timedelta(hours=1)
    hierarchy.web.serve("/issuing.crl", hierarchy.pki.crl(hierarchy.issuing_ca, this_update=at))
    assert refusal(validator, hierarchy.leaf, at=at).code == "CERT_REVOKED"


def test_the_answer_says_what_could_not_be_fetched(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """No list at its address: REVOCATION_UNKNOWN, and the text, the attempts and ``explain`` name the URL."""
    url = hierarchy.web.url("/issuing.crl")
    del hierarchy.web.pages["/issuing.crl"]
    error = refusal(hierarchy.validator(fetch), hierarchy.leaf, at=hierarchy.pki.T)
    assert error.code == "REVOCATION_UNKNOWN"
    assert error.facts["not_fetched"] == ("FETCH_STATUS", "FETCH_LATER")
    assert f"{url} answered with HTTP status 404" in error.text("en")
    assert any(url in line and "HTTP 状态 404" in line for line in explain(error, "zh"))


def test_unknown_issuer_names_the_failure(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    hierarchy.web.serve("/policy.cer", b"<html>")
    error = refusal(hierarchy.validator(fetch), hierarchy.leaf, at=hierarchy.pki.T)
    assert error.code == "ISSUER_UNKNOWN"
    assert error.facts["not_fetched"] == ("FETCH_UNREADABLE",)


def test_private_addresses_are_not_followed(hierarchy: Hierarchy) -> None:
    """The default: a certificate cannot make us ask inside the network."""
    error = refusal(hierarchy.validator(HttpFetch()), hierarchy.leaf, at=hierarchy.pki.T)
    assert error.facts["not_fetched"] == ("FETCH_ADDRESS",)
    assert hierarchy.web.asked == []


def test_ldap_is_said_to_be_not_supported(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """Beside an http address it is passed over; alone it is named."""
    root = pki.root()
    web.serve("/root.crl", pki.crl(root))
    ldap = "ldap://directory.example/cn=root?certificateRevocationList"
    names = [x509.UniformResourceIdentifier(ldap), x509.UniformResourceIdentifier(web.url("/root.crl"))]
    both = x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])
    validator = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch))
    error = refusal(validator, pki.leaf(root, extra=[points(ldap)]), at=pki.T)
    assert set(error.facts["not_fetched"]) == {"FETCH_SCHEME", "FETCH_LATER"}
    validator.validate(pki.leaf(root, extra=[(both, False)]).der, at=pki.T)


def test_strangers_have_only_their_issuers_asked(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """Anybody can write addresses into a certificate: those of lists count only below an anchor; those of
    issuers can be switched off."""
    stranger = pki.root("Stranger")
    leaf = pki.leaf(
        stranger,
        extra=[points(web.url("/a.crl")), access(issuers=web.url("/ca.cer"), ocsp=web.url("/ocsp"))],
    )
    anchors = [pki.root().anchor]
    assert (
        refusal(FetchingValidator(anchors=anchors, cache=FetchCache(fetch)), leaf, at=pki.T).code
        == "ISSUER_UNKNOWN"
    )
    assert [asked.path for asked in web.asked] == ["/ca.cer"]
    careful = FetchingValidator(anchors=anchors, cache=FetchCache(fetch), rules=FollowRules(issuers=False))
    assert refusal(careful, leaf, at=pki.T).code == "ISSUER_UNKNOWN"
    assert len(web.asked) == 1


def test_a_maze_of_issuers_ends(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """Every issuer names another one for ever: the number of fetches ends it."""
    made: dict[int, bytes] = {}

    def page(number: int) -> Any:
        def answer(_: Any) -> bytes:
            web.pages[f"/{number + 1}"] = page(number + 1)
            if number not in made:
                above = pki.party(ca.certificate, ca.key)
                above = pki.ca(
                    ca,
                    f"CA {number}",
                    issuer_name=pki.name(f"CA {number + 1}"),
                    extra=[access(issuers=web.url(f"/{number + 1}"))],
                )
                made[number] = above.der
            return web.response(made[number])

        return answer

    ca = pki.root("Maze")
    web.pages["/1"] = page(1)
    leaf = pki.leaf(ca, issuer_name=pki.name("CA 1"), extra=[access(issuers=web.url("/1"))])
    validator = FetchingValidator(
        anchors=[pki.root().anchor], cache=FetchCache(fetch), rules=FollowRules(fetches=5)
    )
    error = refusal(validator, leaf, at=pki.T)
    assert error.code == "ISSUER_UNKNOWN"
    assert error.facts["not_fetched"] == ("FETCH_LIMIT",)
    assert len(web.asked) == 5


def test_issuers_in_pem(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """Against the rule, and met in the field: PEM instead of DER, one or several."""
    certificates = [hierarchy.policy_ca.certificate, hierarchy.issuing_ca.certificate]
    hierarchy.web.serve("/issuing.p7c", pkcs7.serialize_certificates(certificates, Encoding.PEM))
    hierarchy.validator(fetch).validate(hierarchy.leaf.der, at=hierarchy.pki.T)
    assert hierarchy.web.count("/policy.cer") == 0
    hierarchy.web.serve("/issuing.p7c", hierarchy.issuing_ca.certificate.public_bytes(Encoding.PEM))
    hierarchy.validator(fetch).validate(hierarchy.leaf.der, at=hierarchy.pki.T)


def test_a_renewed_issuer_is_found(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """The candidate at hand has expired; its successor with the same key is at the address in the leaf."""
    pki = hierarchy.pki
    old = pki.ca(
        hierarchy.policy_ca,
        "Issuing CA",
        key=hierarchy.issuing_ca.key,
        not_after=pki.T - pki.DAY,
        not_before=pki.T - 20 * pki.DAY,
    )
    validator = hierarchy.validator(fetch, candidates=[old.certificate, hierarchy.policy_ca.certificate])
    path = validator.validate(hierarchy.leaf.der, at=pki.T)
    assert path.chain[1].certificate == hierarchy.issuing_ca.certificate


def test_validation_of_the_past_does_not_make_things_old(hierarchy: Hierarchy, fetch: HttpFetch) -> None:
    """``now`` is the time of day; ``at`` may lie before it."""
    validator = hierarchy.validator(fetch)
    at = hierarchy.pki.T
    for minutes in (0, 1, 0, 1):
        validator.validate(hierarchy.leaf.der, at=at - timedelta(minutes=30 * minutes), now=at)
    assert hierarchy.web.count("/issuing.crl") == 1
