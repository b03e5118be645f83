"""`verifier.sm2.*`: SM2 with SM3, which the verifier checks by itself (decision 0005)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import peers
from bench_verifier import NO_REVOCATION, one_check
from harness import Contender, Row, benchmark
from OpenSSL import crypto
from pki import NOW, pki
from sm2 import libcrypto, libcrypto_check, sm2_pki

from onecert.verifier import PathParameters, PathValidator, TrustAnchor


@benchmark("verifier.sm2.chain")
def chain(name: str) -> Iterator[Row]:
    """As `verifier.warm`, everything SM2, no revocation. The floor is the library's own bare check."""
    made = sm2_pki(pki("p256"))
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(made.root)],
        candidates=[made.issuing],
        parameters=PathParameters(revocation=NO_REVOCATION),
    )
    leaves = itertools.cycle(made.leaves)
    yield Row(
        unit="validations/s",
        ours=Contender(work=lambda: validator.validate(next(leaves), at=NOW)),
        floor=Contender(work=made.one_check(), name="one SM2 signature check by the library"),
        peers=[_openssl(made.issuing, made.leaves)],
    )


@benchmark("verifier.sm2.verify")
def verify(name: str) -> Iterator[Row]:
    """One bare check, with the table of the key. The floor is P-256 in C, the same kind of arithmetic."""
    made = sm2_pki(pki("p256"))
    library = libcrypto()
    by_library = (
        []
        if library is None
        else [Contender(work=libcrypto_check(library, made), name="libcrypto by ctypes")]
    )
    yield Row(
        unit="signatures/s",
        ours=Contender(work=made.one_check()),
        floor=one_check(pki("p256")),
        peers=[*by_library, _openssl(made.issuing, made.leaves)],
        notes=[] if by_library else ["no libcrypto of OpenSSL 3 on this system"],
    )


def _openssl(issuing: bytes, leaves_der: list[bytes]) -> Contender:
    """OpenSSL's chain check of one leaf, the issuing CA trusted as it is."""
    store = crypto.X509Store()
    store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, issuing))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(NOW)
    leaves = itertools.cycle(leaves_der)

    def work() -> None:
        leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, next(leaves))
        crypto.X509StoreContext(store, leaf).verify_certificate()

    return Contender(work=work, name=peers.OPENSSL)
