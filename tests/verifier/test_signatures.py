"""Signatures by algorithm identifier: each row, each refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.verifier import MalformedError, RefusedError, SignatureInvalidError, VerifyError
from onecert.verifier.signatures import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    AlgorithmPolicy,
    check_key,
    check_spki,
    find_algorithm,
    key_id,
    load_public_key,
    parse_algorithm,
    spki_der,
    verify_signature,
)

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DATA = b"what was signed"


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def sign(name: str, rsa_key: rsa.RSAPrivateKey) -> tuple[Any, bytes]:
    row = ALGORITHMS[name]
    if row.scheme == "pkcs1":
        assert row.hash
        return rsa_key, rsa_key.sign(DATA, padding.PKCS1v15(), row.hash)
    if row.scheme == "pss":
        assert row.hash
        return rsa_key, rsa_key.sign(
            DATA, padding.PSS(padding.MGF1(row.hash), row.hash.digest_size), row.hash
        )
    if row.scheme == "ecdsa":
        assert row.hash
        key = ec.generate_private_key(ec.SECP256R1())
        return key, key.sign(DATA, ec.ECDSA(row.hash))
    if row.scheme == "dsa":
        assert row.hash
        old = dsa.generate_private_key(2048)
        return old, old.sign(DATA, row.hash)
    kinds: dict[str, Any] = {
        "ed25519": ed25519.Ed25519PrivateKey,
        "ed448": ed448.Ed448PrivateKey,
        "ml-dsa-44": mldsa.MLDSA44PrivateKey,
        "ml-dsa-65": mldsa.MLDSA65PrivateKey,
        "ml-dsa-87": mldsa.MLDSA87PrivateKey,
    }
    pure = kinds[name].generate()
    return pure, pure.sign(DATA)


@pytest.mark.parametrize("name", sorted(ALGORITHMS.keys() - {"sm2-sm3"}))  # test_sm2 has that one
def test_every_row(name: str, rsa_key: rsa.RSAPrivateKey) -> None:
    """Good data is accepted; other data, another signature and another kind of key are not."""
    everything = replace(DEFAULT_ALGORITHMS, algorithms=dict.fromkeys(ALGORITHMS))
    key, signature = sign(name, rsa_key)
    public = key.public_key()
    verify_signature(public, name, signature, DATA, policy=everything)
    for wrong, data in (
        (signature, DATA + b"."),
        (signature[:-1] + bytes((signature[-1] ^ 1,)), DATA),
        (b"", DATA),
    ):
        with pytest.raises(SignatureInvalidError):
            verify_signature(public, name, wrong, data, policy=everything)
    other = ed25519.Ed25519PrivateKey.generate() if name != "ed25519" else rsa_key
    with pytest.raises(RefusedError) as caught:
        verify_signature(other.public_key(), name, signature, DATA, policy=everything)
    assert caught.value.code == "ALGORITHM_MISMATCH"
    assert load_public_key(spki_der(public)) == public


@pytest.mark.parametrize("name", ["rsa-sha1", "ecdsa-sha1", "rsa-sha224"])
def test_retired_algorithms(name: str, rsa_key: rsa.RSAPrivateKey) -> None:
    key, signature = sign(name, rsa_key)
    with pytest.raises(RefusedError) as caught:
        verify_signature(key.public_key(), name, signature, DATA)
    assert caught.value.code == "ALGORITHM_NOT_ALLOWED"


def test_accepted_until_a_date(rsa_key: rsa.RSAPrivateKey) -> None:
    policy = AlgorithmPolicy(algorithms={"rsa-sha256": T})
    signature = sign("rsa-sha256", rsa_key)[1]
    public = rsa_key.public_key()
    verify_signature(public, "rsa-sha256", signature, DATA, policy=policy, at=T.replace(year=2025))
    for at in (T, None):
        with pytest.raises(RefusedError):
            verify_signature(public, "rsa-sha256", signature, DATA, policy=policy, at=at)


@pytest.mark.parametrize(
    ("der", "name"),
    [
        ("300d06092a864886f70d01010b0500", "rsa-sha256"),
        ("300a06082a8648ce3d040302", "ecdsa-sha256"),
        ("300506032b6570", "ed25519"),
        (
            (
                "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
                "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
            ),
            "rsa-pss-sha256",
        ),
    ],
)
def test_algorithm_identifiers(der: str, name: str) -> None:
    assert parse_algorithm(bytes.fromhex(der)).name == name
    assert find_algorithm(bytes.fromhex(der)) is ALGORITHMS[name]
    assert find_algorithm(ALGORITHMS[name]).name == name


@pytest.mark.parametrize(
    "der",
    [
        "300b06092a864886f70d01010b",  # RSA without NULL
        "300c06082a8648ce3d0403020500",  # ECDSA with NULL
        "300d06092a864886f70d0101040500",  # MD5
        "300b06092a864886f70d01010a",  # PSS without parameters: SHA-1
        "300d06092a864886f70d01010b0501",
        "30",
        "",
    ],
)
def test_bad_algorithm_identifiers(der: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_algorithm(bytes.fromhex(der))
    assert caught.value.code in {"NOT_DER", "UNSUPPORTED_ALGORITHM"}


def test_unknown_names() -> None:
    with pytest.raises(RefusedError):
        find_algorithm("rot13")


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), False),
        (lambda: rsa.generate_private_key(65537, 2048), True),
        (lambda: ec.generate_private_key(ec.SECP256R1()), True),
        (lambda: ec.generate_private_key(ec.SECP521R1()), True),
        (lambda: ec.generate_private_key(ec.SECP256K1()), False),
        (lambda: ec.generate_private_key(ec.SECP224R1()), False),
        (ed25519.Ed25519PrivateKey.generate, True),
    ],
)
def test_keys(key: Any, good: bool) -> None:
    """The check on the loaded key and the one on its encoding agree."""
    public = key().public_key()
    encoded = spki_der(public)
    for check in (lambda: check_key(public), lambda: check_spki(encoded, DEFAULT_ALGORITHMS)):
        if good:
            check()
        else:
            with pytest.raises(RefusedError) as caught:
                check()
            assert caught.value.code == "WEAK_KEY"


def test_point_off_the_curve() -> None:
    encoded = bytearray(spki_der(ec.generate_private_key(ec.SECP256R1()).public_key()))
    encoded[-1] ^= 1
    with pytest.raises(RefusedError) as caught:
        load_public_key(bytes(encoded))
    assert caught.value.code == "KEY_INVALID"


def test_kinds_of_keys_that_cannot_sign_here() -> None:
    key = x25519.X25519PrivateKey.generate().public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(RefusedError) as caught:
        load_public_key(encoded)
    assert caught.value.code == "UNSUPPORTED_ALGORITHM"
    for broken in (b"", b"\x30\x00", b"x" * 40):
        with pytest.raises(RefusedError):
            load_public_key(broken)


def test_key_id_is_base64url_of_the_spki() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    assert len(key_id(key)) == 43
    assert "=" not in key_id(key)


def test_not_der_is_malformed() -> None:
    with pytest.raises(MalformedError):
        parse_algorithm(b"\x30\x80\x00\x00")
    with pytest.raises(VerifyError):
        check_spki(bytes.fromhex("3012300d06092a864886f70d010101050003010030"), DEFAULT_ALGORITHMS)
