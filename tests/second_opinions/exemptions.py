"""What a judge cannot judge, and where we hold another opinion than a judge: each with its reason.

An exemption of the first kind ends by itself: the run fails as soon as the judge accepts one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from artefacts import Artefact
from verdicts import Verdict

__all__ = ["DISAGREEMENTS", "EXEMPTIONS", "NOT_THEIR_KIND", "Disagreement", "Exemption"]


@dataclass(frozen=True)
class Exemption:
    """A judge does not know something that artefacts have, and says so.

    Args:
        known_from: from this version on the judge may know it, and either will do. Before, that it accepts
            one is a fault: the exemption is to go.
    """

    judge: str
    what: str
    has_it: Callable[[Artefact], bool]
    reason: str
    says: str = ""
    known_from: tuple[int, ...] = (1_000_000,)

    def applies_to(self, verdict: Verdict) -> bool:
        return self.has_it(verdict.artefact) and (verdict.is_accepted or self.says in verdict.said)


@dataclass(frozen=True)
class Disagreement:
    """A judge says this of what a test made (part of its name), and we hold that it is right all the same."""

    judge: str
    kind: str
    test: str
    says: str
    reason: str

    def applies_to(self, verdict: Verdict) -> bool:
        each = verdict.artefact
        return (
            each.kind == self.kind and self.says in verdict.said and all(self.test in t for t in each.tests)
        )


def _has(algorithm: str, *kinds: str) -> Callable[[Artefact], bool]:
    """Signed with this algorithm, and of these kinds (none named: of any)."""
    return lambda each: each.algorithm == algorithm and (not kinds or each.kind in kinds)


def _has_ml_dsa(each: Artefact) -> bool:
    return "ML-DSA" in {each.algorithm, each.key_algorithm}


EXEMPTIONS = (
    Exemption("GnuTLS", "SM2", _has("SM2"), "GnuTLS knows neither SM2 nor SM3"),
    Exemption("openssl", "ML-DSA", _has_ml_dsa, "openssl knows ML-DSA from 3.5 on", known_from=(3, 5)),
    Exemption(
        "GnuTLS",
        "ML-DSA",
        _has("ML-DSA"),
        "GnuTLS knows ML-DSA from 3.8.9 on, where built with it",
        known_from=(3, 8, 9),
    ),
    Exemption(
        "Bouncy Castle",
        "ML-DSA",
        _has("ML-DSA"),
        "before 1.79 it knows the drafts' Dilithium alone",
        known_from=(1, 79),
    ),
    Exemption(
        "openssl", "SM2 timestamps", _has("SM2", "timestamp"), "`openssl ts` takes no identifier of SM2"
    ),
    Exemption(
        "openssl",
        "Ed25519 timestamps",
        _has("Ed25519", "timestamp"),
        "`openssl ts` reads tokens as PKCS #7, which has no Ed25519 (RFC 8419 gave it to CMS)",
    ),
    Exemption(
        "GnuTLS",
        "critical policy mappings or constraints",
        lambda each: each.restricts_policies,
        "RFC 5280 makes both critical (4.2.1.5, 4.2.1.11); GnuTLS processes neither",
        says="unknown critical extension",
    ),
)

DISAGREEMENTS = (
    Disagreement(
        "pkilint",
        "certificate",
        "",
        'invalid_domain_name_syntax: Invalid domain name syntax: "localhost"',
        "RFC 5280, 4.2.1.6: the preferred name syntax of RFC 1034, 3.5, to which a single label belongs",
    ),
    Disagreement(
        "pkilint",
        "certificate",
        "",
        'invalid_uri_syntax: Invalid URI syntax: "http://localhost:',
        "RFC 3986, 3.2.2: a registered name may be one label; only tests have such an address",
    ),
    Disagreement(
        "openssl",
        "ocsp",
        "test_another_issuer_is_unknown",
        "root ca not trusted",
        "about another issuer's certificate nobody here is authorised; the answer says just that: unknown",
    ),
)

NOT_THEIR_KIND = {
    ("pkilint", "timestamp"): "it has rules for the timestamp unit's certificate alone, which it judges",
    ("GnuTLS", "timestamp"): "GnuTLS has no RFC 3161",
    **{
        (judge, kind): "it knows no attribute certificates, and no list of one who is not a CA"
        for judge in ("pkilint", "openssl", "GnuTLS")
        for kind in ("attribute_certificate", "acrl")
    },
}
