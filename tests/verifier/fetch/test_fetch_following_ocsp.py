"""Answers of OCSP from the addresses in certificates."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp
from fetch_hierarchy import access, points, refusal

from onecert.verifier import (
    FetchCache,
    FetchingValidator,
    FollowRules,
    HttpFetch,
)


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
