"""What a validator remembers never changes an answer: it is compared with a new validator at every step.

The world is one root with a sub-CA that rolled its key over (two certificates of one name), a second root
that has certified the new key too, and leaves of both keys. Lists are added, the CA is revoked, time jumps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import (
    PathParameters,
    PathValidator,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    ValidatedPath,
    VerifyError,
    load_ocsp,
)
from onecert.verifier.path import signature_memory
from onecert.verifier.path.search import Search
from onecert.verifier.signatures import DEFAULT_ALGORITHMS


@dataclass
class World:
    """A validator that remembers, and what it takes to make a new one each time."""

    anchors: list[TrustAnchor]
    cas: list[Any]
    evidence: RevocationEvidence = field(default_factory=RevocationEvidence)
    parameters: PathParameters = field(default_factory=PathParameters)

    def __post_init__(self) -> None:
        self.old = self.new()

    def new(self) -> PathValidator:
        return PathValidator(
            anchors=self.anchors,
            candidates=[ca.der for ca in self.cas],
            evidence=self.evidence,
            parameters=self.parameters,
        )

    def ask(self, leaf: Any, at: datetime, **given: Any) -> str:
        """The answer of both, which must be one."""
        answer, expected = (word(check, leaf, at, given) for check in (self.old, self.new()))
        assert answer == expected
        return answer


def word(check: PathValidator, leaf: Any, at: datetime, given: dict[str, Any]) -> str:
    try:
        path: ValidatedPath = check.validate(leaf.der, at=at, **given)
    except VerifyError as error:
        return error.code
    assert path.at == at <= path.valid_until
    return "accepted"


@pytest.fixture
def searches(monkeypatch: Any) -> list[PathValidator]:
    """The validators that had to search, a new entry each time."""
    found: list[PathValidator] = []
    run = Search.run

    def counted(search: Search, target: Any, **kept: Any) -> ValidatedPath:
        found.append(search.validator)
        return run(search, target, **kept)

    monkeypatch.setattr(Search, "run", counted)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_random_lives(pki: Any, seed: int, searches: list[PathValidator]) -> None:
    """Sixty steps of asking, adding lists, revoking and jumping in time, each answer compared."""
    draw = random.Random(seed)
    day, start = pki.DAY, pki.T
    root, other = pki.root(), pki.root("Second root", not_after=start + draw.randint(3, 9) * day)
    first = pki.ca(root, "CA", not_before=start - 9 * day, not_after=start + 4 * day)
    second = pki.ca(root, "CA", not_before=start - 3 * day, not_after=start + 9 * day)
    crossed = pki.issue("CA", other, key=second.key, ca=True, not_before=start - 5 * day)
    leaves = [pki.leaf(ca, not_before=start - 9 * day) for ca in (first, first, second, second)]
    world = World([root.anchor, other.anchor], [first, second, crossed])
    issued = [(root, [first, second]), (other, [crossed]), (first, leaves[:2]), (second, leaves[2:])]
    answers = []

    def add_list() -> None:
        issuer, below = draw.choice(issued)
        since = start + draw.randint(-9, 6) * day
        until = since + draw.randint(1, 8) * day
        if draw.random() < 0.3:
            pki.revoke(issuer, draw.choice(below), at=since)
        world.evidence.add_crl(pki.crl(issuer, this_update=since, next_update=until))

    for issuer in (root, other, first, second):
        world.evidence.add_crl(
            pki.crl(issuer, this_update=start - 9 * day, next_update=start + draw.randint(-2, 9) * day)
        )
    for _ in range(60):
        if draw.random() < 0.15:
            add_list()
        at = start + draw.randint(-10, 10) * day + draw.choice([-1, 0, 1]) * day / 86400
        answers.append(world.ask(draw.choice(leaves), at))
    assert "accepted" in answers
    assert searches.count(world.old) < len(answers)  # or nothing was remembered


def test_a_newer_list_counts_though_an_older_one_was_used(pki: Any) -> None:
    """The CA is revoked by the second of two lists. Asked at a time before it, then at one after it."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    world = World([root.anchor], [ca])
    long = {"next_update": pki.T + 9 * pki.DAY}
    world.evidence.add_crl(pki.crl(root, this_update=pki.T - 2 * pki.DAY, **long))
    world.evidence.add_crl(pki.crl(ca, this_update=pki.T - 2 * pki.DAY, **long))
    pki.revoke(root, ca)
    world.evidence.add_crl(pki.crl(root, this_update=pki.T - pki.DAY, **long))

    assert world.ask(leaf, pki.T - 1.5 * pki.DAY) == "accepted"
    assert world.ask(leaf, pki.T) == "CERT_REVOKED"
    assert world.ask(leaf, pki.T - 1.5 * pki.DAY) == "accepted"


def test_a_newer_list_of_the_leaves(pki: Any) -> None:
    """The same for the leaf: the list that answered for a sibling at an earlier time is not asked again."""
    root = pki.root()
    leaf, sibling = pki.leaf(root), pki.leaf(root, "Sibling")
    world = World([root.anchor], [])
    long = {"next_update": pki.T + 9 * pki.DAY}
    world.evidence.add_crl(pki.crl(root, this_update=pki.T - 2 * pki.DAY, **long))
    pki.revoke(root, leaf)
    world.evidence.add_crl(pki.crl(root, this_update=pki.T - pki.DAY, **long))

    for at, expected in ((-1.5, "accepted"), (0, "CERT_REVOKED"), (-1.5, "accepted"), (0, "CERT_REVOKED")):
        assert world.ask(sibling, pki.T + at * pki.DAY) == "accepted"
        assert world.ask(leaf, pki.T + at * pki.DAY) == expected


def test_an_algorithm_that_ends(pki: Any) -> None:
    """The list about the CA is signed with SHA-384, which is accepted until tomorrow; its dates go on."""
    root = pki.root()
    ca = pki.ca(root)
    end = pki.T + pki.DAY
    algorithms = replace(
        DEFAULT_ALGORITHMS, algorithms={**DEFAULT_ALGORITHMS.algorithms, "ecdsa-sha384": end}
    )
    world = World([root.anchor], [ca], parameters=PathParameters(algorithms=algorithms))
    long = {"next_update": pki.T + 9 * pki.DAY}
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(pki.T - pki.DAY)
        .next_update(pki.T + 9 * pki.DAY)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    signed = builder.sign(root.key, hashes.SHA384())
    world.evidence.add_crl(signed.public_bytes(Encoding.DER))
    world.evidence.add_crl(pki.crl(ca, **long))
    leaf = pki.leaf(ca)

    assert world.ask(leaf, pki.T) == "accepted"
    assert world.ask(leaf, end) != "accepted"
    assert world.ask(leaf, pki.T) == "accepted"


def test_what_came_with_one_call_serves_no_other(pki: Any) -> None:
    """The CA certificate comes with the first call only: without it nobody knows the issuer."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    world = World([root.anchor], [])
    for issuer in (root, ca):
        world.evidence.add_crl(pki.crl(issuer))

    assert world.ask(leaf, pki.T) == "ISSUER_UNKNOWN"
    assert world.ask(leaf, pki.T, candidates=[ca.der]) == "accepted"
    assert world.ask(leaf, pki.T) == "ISSUER_UNKNOWN"


def test_the_same_candidates_are_searched_once(pki: Any, searches: list[PathValidator]) -> None:
    """Clients who send their CA along: the second one of a CA costs no search."""
    root = pki.root()
    ca = pki.ca(root)
    world = World([root.anchor], [])
    for issuer in (root, ca):
        world.evidence.add_crl(pki.crl(issuer))
    for number in range(3):
        world.old.validate(pki.leaf(ca, f"Clerk {number}").der, at=pki.T, candidates=[ca.der])
    assert len(searches) == 1


def test_an_answer_that_came_along_counts(pki: Any) -> None:
    """The list knows nothing of it, but an OCSP answer with the call says that the CA is revoked."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    world = World([root.anchor], [ca])
    for issuer in (root, ca):
        world.evidence.add_crl(pki.crl(issuer))
    revoked = pki.ocsp(root, ca, status="revoked")

    assert world.ask(leaf, pki.T) == "accepted"
    assert world.ask(leaf, pki.T, ocsp=[revoked]) == "CERT_REVOKED"
    assert world.ask(leaf, pki.T) == "accepted"


def test_an_answer_about_the_leaf_does_not_cost_a_search(pki: Any, searches: list[PathValidator]) -> None:
    """A stapled answer is about the leaf; what is known of its CA stays good."""
    root = pki.root()
    ca = pki.ca(root)
    world = World([root.anchor], [ca])
    for issuer in (root, ca):
        world.evidence.add_crl(pki.crl(issuer))
    for number in range(3):
        leaf = pki.leaf(ca, f"Clerk {number}")
        world.old.validate(leaf.der, at=pki.T, ocsp=[pki.ocsp(ca, leaf)])
    assert len(searches) == 1


def test_answers_that_are_exchanged_count(pki: Any) -> None:
    """Answers of the evidence are replaced by newer ones, in which the CA is revoked."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    world = World([root.anchor], [ca])
    world.evidence.add_crl(pki.crl(ca))
    world.evidence.ocsp = (load_ocsp(pki.ocsp(root, ca)),)
    assert world.ask(leaf, pki.T) == "accepted"
    world.evidence.ocsp = (load_ocsp(pki.ocsp(root, ca, status="revoked")),)
    assert world.ask(leaf, pki.T) == "CERT_REVOKED"


def test_an_answer_from_the_future(pki: Any) -> None:
    """The answer about the CA was produced after the time that is asked about second."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    policy = RevocationPolicy(clock_skew=pki.DAY / 288)
    world = World([root.anchor], [ca], parameters=PathParameters(revocation=policy))
    world.evidence.add_crl(pki.crl(ca, this_update=pki.T - 3 * pki.DAY))
    answer = pki.ocsp(root, ca, this_update=pki.T - 2 * pki.DAY, produced_at=pki.T - pki.DAY)
    world.evidence.ocsp = (load_ocsp(answer),)
    assert world.ask(leaf, pki.T) == "accepted"
    assert world.ask(leaf, pki.T - 1.5 * pki.DAY) == "REVOCATION_UNKNOWN"
    assert world.ask(leaf, pki.T) == "accepted"


def test_memory_is_bounded(pki: Any) -> None:
    """More issuers, and more candidates along with the calls, than are kept: the oldest go."""
    root = pki.root()
    leaf = pki.leaf(root)
    check = World(
        [root.anchor], [], parameters=PathParameters(revocation=RevocationPolicy(mode=RevocationMode.OFF))
    ).old
    for number in range(20):
        check.validate(leaf.der, at=pki.T, candidates=[pki.root(f"Other {number}").der])
    kept = check._memory.now()._kept
    assert [len(states) for states in kept.values()] == [8]


def test_memory_of_signatures_is_bounded(pki: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More octets of CA certificates than are kept: the memory begins anew, and the answers stay right."""
    monkeypatch.setattr(signature_memory, "_OCTETS_MAX", 4096)
    root, stranger = pki.root(), pki.root()
    off = PathParameters(revocation=RevocationPolicy(mode=RevocationMode.OFF))
    check = PathValidator(anchors=[root.anchor], parameters=off)
    for number in range(20):
        ca = pki.ca(root, f"CA {number}", issuer_name=root.subject)
        forged = pki.ca(stranger, f"CA {number}", issuer_name=root.subject)
        check.validate(pki.leaf(ca).der, at=pki.T, candidates=[ca.der, forged.der])
        with pytest.raises(VerifyError):
            check.validate(pki.leaf(forged).der, at=pki.T, candidates=[ca.der, forged.der])
        kept = sum(len(der) + len(spki) for der, spki in check.signatures._faults)
        assert 0 < kept <= 4096
