"""`verifier.*`: from a leaf's bytes to a path, an identity, a login."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator

import peers
from harness import Contender, Row, Supply, benchmark
from pki import ECDSA_SHA256, NOW, Pki, big_crl, pki

from onecert.verifier import (
    Login,
    PathParameters,
    PathValidator,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    Verifier,
    VerifyError,
    load_trust_list,
    validate_path,
)

KINDS = ("rsa2048", "p256")
LISTS = {"nocrl": None, "crl10": 10, "crl1000000": 1_000_000}
NO_REVOCATION = RevocationPolicy(mode=RevocationMode.OFF)
AT_ONCE = 1024


@benchmark(*(f"verifier.warm.{kind}.{crl}" for kind in KINDS for crl in LISTS))
def warm(name: str) -> Iterator[Row]:
    """The path above the leaf is known; the leaf comes as DER, another one each time."""
    _, _, kind, variant = name.split(".")
    made = pki(kind)
    entries = LISTS[variant]
    crl = None if entries is None else big_crl(kind) if entries == 1_000_000 else made.crl(entries)
    validator = known_path(made, crl)
    leaves = itertools.cycle(made.leaves_der)
    # It makes an object of every entry: many seconds for its first look-up, and a gigabyte.
    rounds = 1 if variant == "crl1000000" else None
    yield Row(
        unit="validations/s",
        ours=Contender(work=lambda: validator.validate(next(leaves), at=NOW)),
        floor=one_check(made),
        peers=[
            Contender(work=peers.openssl_warm(made, crl), name=peers.OPENSSL),
            Contender(work=peers.cryptography_warm(made, crl), name=peers.CRYPTOGRAPHY),
            Contender(
                work=peers.certvalidator_warm(made, crl), name=peers.CERTVALIDATOR, rounds=rounds, calls_min=1
            ),
        ],
    )


def known_path(made: Pki, crl: bytes | None) -> PathValidator:
    """A validator for leaves of the issuing CA, with its list or without revocation."""
    return PathValidator(
        anchors=[TrustAnchor.from_certificate(made.root_der)],
        candidates=[made.issuing_der],
        evidence=RevocationEvidence(crls=[] if crl is None else [crl, made.root_crl]),
        parameters=PathParameters(revocation=NO_REVOCATION if crl is None else RevocationPolicy()),
    )


def one_check(made: Pki) -> Contender:
    """The floor: one bare signature check, everything loaded."""
    numbers = itertools.cycle(range(len(made.leaves)))
    return Contender(work=lambda: made.check_leaf_signature(next(numbers)), name="one signature check")


@benchmark(*(f"verifier.cold.{kind}" for kind in KINDS))
def cold(name: str) -> Iterator[Row]:
    """Root, issuing CA and leaf come as DER each time, and nothing is remembered."""
    made = pki(name.rpartition(".")[2])
    leaves, numbers = itertools.cycle(made.leaves_der), itertools.cycle(range(256))

    def validate() -> None:
        validate_path(
            next(leaves),
            candidates=[made.issuing_der],
            anchors=[TrustAnchor.from_certificate(made.root_der)],
            at=NOW,
            revocation_policy=NO_REVOCATION,
        )

    def two_checks() -> None:
        made.check_leaf_signature(next(numbers))
        made.check_issuing_signature()

    yield Row(
        unit="validations/s",
        ours=Contender(work=validate),
        floor=Contender(work=two_checks, name="two signature checks"),
        peers=[
            Contender(work=peers.openssl_cold(made), name=peers.OPENSSL),
            Contender(work=peers.cryptography_cold(made), name=peers.CRYPTOGRAPHY),
            Contender(work=peers.certvalidator_cold(made), name=peers.CERTVALIDATOR),
        ],
    )


@benchmark(*(f"verifier.batch.{kind}" for kind in KINDS))
def batch(name: str) -> Iterator[Row]:
    """Many leaves over two threads; the first peer is the same with one, so that its ratio is the gain."""
    made = pki(name.rpartition(".")[2])
    validator = known_path(made, made.crl(10))
    leaves = list(itertools.islice(itertools.cycle(made.leaves_der), AT_ONCE))

    def validate(threads: int) -> None:
        for answer in validator.validate_many(leaves, at=NOW, threads=threads):
            if isinstance(answer, VerifyError):
                raise answer

    def checks() -> None:
        for number in range(len(made.leaves)):
            made.check_leaf_signature(number)

    yield Row(
        unit="validations/s",
        ours=Contender(work=lambda: validate(2), batch=AT_ONCE, calls_min=1),
        floor=Contender(
            work=checks, batch=len(made.leaves), threads=2, name="signature checks in two threads"
        ),
        peers=[
            Contender(work=lambda: validate(1), batch=AT_ONCE, calls_min=1, name="ours, one thread"),
            Contender(
                work=peers.openssl_warm(made, made.crl(10)), threads=2, name=f"{peers.OPENSSL}, two threads"
            ),
        ],
    )


def facade(made: Pki) -> Verifier:
    """What a department has: the signed trust list, a CRL, and a verifier on them."""
    document, keys = made.trust_list()
    trust_list = load_trust_list(document, keys=keys, at=NOW)
    return Verifier(
        trust_list=trust_list, evidence=RevocationEvidence(crls=[made.crl(10)]), application="bench"
    )


@benchmark("verifier.identity")
def identity(name: str) -> Iterator[Row]:
    """One call of a department: a leaf's DER in, one canonical identity out (P-256, list of ten, warm)."""
    made = pki("p256")
    verifier = facade(made)
    leaves = itertools.cycle(made.leaves_der)
    yield Row(
        unit="identities/s",
        ours=Contender(work=lambda: verifier.verify(next(leaves), at=NOW).identity.id),
        floor=one_check(made),
        peers=[
            Contender(work=peers.openssl_warm(made, made.crl(10)), name=f"{peers.OPENSSL}, nobody named"),
            Contender(
                work=peers.certvalidator_warm(made, made.crl(10)), name=f"{peers.CERTVALIDATOR}, nobody named"
            ),
        ],
    )


@benchmark("verifier.login")
def login(name: str) -> Iterator[Row]:
    """A challenge made, and its answer checked. What the holder's own computer signs is made beforehand."""
    made = pki("p256")
    verifier = facade(made)
    drawn: deque[bytes] = deque()
    counter = itertools.count()
    desk = Login(verifier, random=lambda size: drawn.popleft())

    def answer() -> tuple[list[bytes], bytes, bytes]:
        """Random numbers as a desk would draw them, the leaf, and its holder's signature."""
        number = next(counter)
        numbers = [number.to_bytes(16, "big"), number.to_bytes(32, "big")]
        pending = list(numbers)
        challenge = Login(verifier, random=lambda size: pending.pop(0)).challenge(session="s", at=NOW)
        leaf = number % len(made.leaves)
        return numbers, made.leaves_der[leaf], made.leaf_keys[leaf % 8].sign(challenge.data, ECDSA_SHA256)

    answers = Supply(answer, per_second=8000)

    def log_in() -> None:
        numbers, leaf, signature = answers.take()
        drawn.extend(numbers)
        challenge = desk.challenge(session="s", at=NOW)
        desk.verify(challenge.id, leaf, signature, session="s", at=NOW)

    check = one_check(made)

    def two_checks() -> None:
        check.work()
        check.work()

    yield Row(
        unit="logins/s",
        ours=Contender(work=log_in, prepare=answers.refill),
        floor=Contender(work=two_checks, name="two signature checks"),
    )
