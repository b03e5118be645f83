"""Validation with nothing at hand but leaf and root: the rest comes from addresses in the certificates."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from onecert.verifier import (
    CouldNotCheckError,
    FetchCache,
    FetchingValidator,
    FollowRules,
    HttpFetch,
    PathParameters,
    RefusedError,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
    RevokedError,
    explain,
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


def refusal(validator: FetchingValidator, target: Any, *, at: Any, **inputs: Any) -> Any:
    with pytest.raises((RefusedError, CouldNotCheckError)) as caught:
        validator.validate(target.der, at=at, **inputs)
    return caught.value


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


# OCSP.


@pytest.fixture
def answered(pki: Any, web: Any) -> Any:
    """root -> leaf with an OCSP address; ``answered.say`` makes the page."""

    class Answered:
        root = pki.root()
        leaf = pki.leaf(root, extra=[access(ocsp=web.url("/ocsp"))])

        def say(self, **answer: Any) -> None:
            web.pages["/ocsp"] = web.response(pki.ocsp(self.root, self.leaf, **answer))

    made = Answered()
    made.say()
    return made


def make(answered: Any, fetch: HttpFetch, **settings: Any) -> FetchingValidator:
    return FetchingValidator(anchors=[answered.root.anchor], cache=FetchCache(fetch), **settings)


def test_ocsp(pki: Any, web: Any, answered: Any, fetch: HttpFetch) -> None:
    """Asked by POST, kept, asked again when due, and the newer answer counts."""
    validator = make(answered, fetch)
    path = validator.validate(answered.leaf.der, at=pki.T)
    assert [item.kind for item in path.evidence] == ["ocsp"]
    asked = web.asked[0]
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/ocsp-request")
    validator.validate(answered.leaf.der, at=pki.T + timedelta(minutes=30))
    assert len(web.asked) == 1
    at = pki.T + timedelta(hours=1)
    answered.say(status="revoked", this_update=at, produced_at=at)
    assert refusal(validator, answered.leaf, at=at).code == "CERT_REVOKED"


def test_ocsp_by_get(pki: Any, web: Any, answered: Any, fetch: HttpFetch) -> None:
    """RFC 5019: the request in the path, for the caches in between."""
    sent = []

    def page(asked: Any) -> bytes:
        sent.append(asked)
        return web.response(pki.ocsp(answered.root, answered.leaf))

    web.pages = type("Any", (dict,), {"get": lambda self, path, default: page})()
    make(answered, fetch, rules=FollowRules(ocsp_by_get=True)).validate(answered.leaf.der, at=pki.T)
    assert sent[0].method == "GET"
    encoded = unquote(sent[0].path.removeprefix("/ocsp/"))
    assert x509_ocsp.load_der_ocsp_request(base64.b64decode(encoded)).serial_number == (
        answered.leaf.certificate.serial_number
    )


def test_a_responder_has_a_status_as_well(pki: Any, web: Any, answered: Any, fetch: HttpFetch) -> None:
    """Its certificate lacks id-pkix-ocsp-nocheck: the list that speaks about it is fetched too."""
    web.serve("/root.crl", pki.crl(answered.root))
    responder = pki.responder(answered.root, no_check=False, extra=[points(web.url("/root.crl"))])
    answered.say(responder=responder)
    path = make(answered, fetch).validate(answered.leaf.der, at=pki.T)
    assert "ocsp" in [item.kind for item in path.evidence]
    assert [asked.path for asked in web.asked] == ["/ocsp", "/root.crl"]


def test_ocsp_nonce(pki: Any, web: Any, answered: Any, fetch: HttpFetch) -> None:
    """The answer must repeat it; each validation asks with a new one."""
    nonces = []

    def repeat(asked: Any) -> bytes:
        request = x509_ocsp.load_der_ocsp_request(asked.body)
        nonces.append(request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce)
        return web.response(pki.ocsp(answered.root, answered.leaf, nonce=nonces[-1]))

    web.pages["/ocsp"] = repeat
    validator = make(answered, fetch, rules=FollowRules(nonce=True))
    validator.validate(answered.leaf.der, at=pki.T)
    validator.validate(answered.leaf.der, at=pki.T + timedelta(minutes=5))
    assert len(set(nonces)) == 2
    for nonce in (None, b"n" * 32):
        answered.say(nonce=nonce)
        error = refusal(make(answered, fetch, rules=FollowRules(nonce=True)), answered.leaf, at=pki.T)
        assert error.code == "REVOCATION_UNKNOWN"
        assert error.facts["not_fetched"][0] == "FETCH_UNREADABLE"
        assert "OCSP_NONCE" in error.text("en")


def test_an_answer_about_another_certificate_is_not_kept(
    pki: Any, web: Any, answered: Any, fetch: HttpFetch
) -> None:
    other = pki.leaf(answered.root, "Clerk 8")
    web.pages["/ocsp"] = web.response(pki.ocsp(answered.root, other))
    error = refusal(make(answered, fetch), answered.leaf, at=pki.T)
    assert error.facts["not_fetched"][0] == "FETCH_UNREADABLE"


def test_a_forged_answer_does_not_stay(pki: Any, answered: Any, fetch: HttpFetch) -> None:
    """Somebody on the line answers once, with a wrong key and for ten years; a minute after he is gone the
    certificate is accepted again."""
    forger = pki.root("Forger")
    validator = make(answered, fetch)
    answered.say(responder=forger, include=[], next_update=pki.T + 3650 * pki.DAY)
    assert refusal(validator, answered.leaf, at=pki.T).code == "REVOCATION_UNKNOWN"
    answered.say()
    validator.validate(answered.leaf.der, at=pki.T + timedelta(minutes=1))


def test_lists_when_ocsp_does_not_answer(pki: Any, web: Any, fetch: HttpFetch) -> None:
    """OCSP first for end certificates, and the list when that fails."""
    root = pki.root()
    web.serve("/root.crl", pki.crl(root))
    leaf = pki.leaf(root, extra=[access(ocsp=web.url("/ocsp")), points(web.url("/root.crl"))])
    path = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch)).validate(leaf.der, at=pki.T)
    assert [item.kind for item in path.evidence] == ["crl"]
    assert [asked.path for asked in web.asked] == ["/ocsp", "/root.crl"]


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


# Lists of other kinds.


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
