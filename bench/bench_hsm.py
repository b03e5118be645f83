"""`hsm.sign.*`: what our key class costs over the bare token, and the token over memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import place
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from harness import Contender, Row, benchmark

from onecert.hsm import libcrypto
from onecert.hsm.sm2 import DEFAULT_ID

DATA = bytes(570)  # as long as what is signed of a certificate
KINDS: dict[str, tuple[str, Callable[[], Any], tuple[Any, ...]]] = {
    "rsa2048": (
        "rsa-2048",
        lambda: rsa.generate_private_key(65537, 2048),
        (padding.PKCS1v15(), hashes.SHA256()),
    ),
    "p256": ("p-256", lambda: ec.generate_private_key(ec.SECP256R1()), (ec.ECDSA(hashes.SHA256()),)),
    "p384": ("p-384", lambda: ec.generate_private_key(ec.SECP384R1()), (ec.ECDSA(hashes.SHA384()),)),
    "ed25519": ("ed25519", ed25519.Ed25519PrivateKey.generate, ()),
}


@benchmark("hsm.sign.sm2")
def sign_sm2(_name: str) -> Iterator[Row]:
    """570 bytes with SM3: a sealed key over bare `EVP_DigestSign`, and over P-256 on the token."""
    bare = libcrypto.generate()
    yield Row(
        unit="signatures/s",
        ours=Contender(work=lambda: place.sealed_key().sign(DATA)),
        floor=Contender(work=lambda: bare.sign(DATA, DEFAULT_ID), name="EVP_DigestSign"),
        peers=[Contender(work=place.raw_signer("p-256"), name="P-256 on the token")],
    )


@benchmark(*(f"hsm.sign.{kind}" for kind in KINDS))
def sign(name: str) -> Iterator[Row]:
    """570 bytes, hashed and signed."""
    kind, in_memory, how = KINDS[name.rpartition(".")[2]]

    def signing(key: Any) -> Callable[[], Any]:
        return lambda: key.sign(DATA, *how)

    yield Row(
        unit="signatures/s",
        ours=Contender(work=signing(place.key(kind))),
        floor=place.token_rate(kind),
        peers=[Contender(work=signing(in_memory()), name="cryptography, key in memory")],
    )
