"""`verifier.*`: from a leaf's bytes to a path, an identity, a login; look-ups in a long CRL."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

from cryptography import x509
from harness import Contender, Row, Supply, benchmark
from OpenSSL import crypto
from pki import ECDSA_SHA256, NOW, Pki, big_crl, pki, revoked_serial

from onecert.verifier import (
    Crl,
    Login,
    PathParameters,
    PathValidator,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    Verifier,
    load_crl,
    load_trust_list,
    validate_path,
)

KINDS = ("rsa2048", "p256")
LISTS = {"nocrl": None, "crl10": 10, "crl1000000": 1_000_000}
NO_REVOCATION = RevocationPolicy(mode=RevocationMode.OFF)
OPENSSL = "pyOpenSSL X509StoreContext"


@benchmark(*(f"verifier.warm.{kind}.{crl}" for kind in KINDS for crl in LISTS))
def warm(name: str) -> Iterator[Row]:
    """The path above the leaf is known; the leaf comes as DER, another one each time."""
    _, _, kind, variant = name.split(".")
    made = pki(kind)
    entries = LISTS[variant]
    crl = None if entries is None else big_crl(kind) if entries == 1_000_000 else made.crl(entries)
    evidence = RevocationEvidence(crls=[] if crl is None else [crl, made.root_crl])
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(made.root_der)],
        candidates=[made.issuing_der],
        evidence=evidence,
        parameters=PathParameters(revocation=NO_REVOCATION if crl is None else RevocationPolicy()),
    )
    leaves = itertools.cycle(made.leaves_der)
    yield Row(
        unit="validations/s",
        ours=Contender(work=lambda: validator.validate(next(leaves), at=NOW)),
        floor=one_check(made),
        peer=Contender(work=_openssl_warm(made, crl), name=OPENSSL),
    )


def one_check(made: Pki) -> Contender:
    """The floor: one bare signature check, everything loaded."""
    numbers = itertools.cycle(range(len(made.leaves)))
    return Contender(work=lambda: made.check_leaf_signature(next(numbers)), name="one signature check")


def _openssl_warm(made: Pki, crl: bytes | None) -> Callable[[], None]:
    """The issuing CA is trusted as it is (partial chain), so that OpenSSL checks one signature too."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(made.issuing))
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN
    if crl is not None:
        store.add_crl(x509.load_der_x509_crl(crl))
        flags |= crypto.X509StoreFlags.CRL_CHECK
    store.set_flags(flags)
    store.set_time(NOW)
    leaves = itertools.cycle(made.leaves_der)

    def verify() -> None:
        leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, next(leaves))
        crypto.X509StoreContext(store, leaf).verify_certificate()

    return verify


@benchmark(*(f"verifier.cold.{kind}" for kind in KINDS))
def cold(name: str) -> Iterator[Row]:
    """Root, issuing CA and leaf come as DER each time, and nothing is remembered."""
    made = pki(name.rpartition(".")[2])
    ours, theirs, numbers = (
        itertools.cycle(source) for source in (made.leaves_der, made.leaves_der, range(256))
    )

    def validate() -> None:
        anchors = [TrustAnchor.from_certificate(made.root_der)]
        validate_path(
            next(ours),
            candidates=[made.issuing_der],
            anchors=anchors,
            at=NOW,
            revocation_policy=NO_REVOCATION,
        )

    def two_checks() -> None:
        made.check_leaf_signature(next(numbers))
        made.check_issuing_signature()

    def openssl() -> None:
        root, issuing, leaf = (
            crypto.load_certificate(crypto.FILETYPE_ASN1, data)
            for data in (made.root_der, made.issuing_der, next(theirs))
        )
        store = crypto.X509Store()
        store.add_cert(root)
        store.set_time(NOW)
        crypto.X509StoreContext(store, leaf, [issuing]).verify_certificate()

    yield Row(
        unit="validations/s",
        ours=Contender(work=validate),
        floor=Contender(work=two_checks, name="two signature checks"),
        peer=Contender(work=openssl, name=OPENSSL),
    )


@benchmark("verifier.crl_index.lookup")
def crl_lookup(name: str) -> Iterator[Row]:
    """A million entries; one look-up in ten finds its serial, as no real traffic ever does."""
    data = big_crl("p256")
    ours: Crl = load_crl(data)
    theirs = x509.load_der_x509_crl(data)
    listed = {revoked_serial(number) for number in range(1_000_000)}
    serials = [
        revoked_serial(number * 997 % 1_000_000) if number % 10 == 0 else x509.random_serial_number()
        for number in range(1000)
    ]

    def look_up() -> None:
        for serial in serials:
            ours.find(serial)

    def look_up_set() -> None:
        for serial in serials:
            serial in listed  # noqa: B015  what is timed

    some = itertools.cycle(serials)
    yield Row(
        unit="look-ups/s",
        ours=Contender(work=look_up, batch=len(serials)),
        floor=Contender(work=look_up_set, batch=len(serials), name="a Python set of all serials"),
        peer=Contender(
            work=lambda: theirs.get_revoked_certificate_by_serial_number(next(some)),
            name="cryptography get_revoked_certificate_by_serial_number",
        ),
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
        peer=Contender(work=_openssl_warm(made, made.crl(10)), name=f"{OPENSSL}, nobody named"),
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
