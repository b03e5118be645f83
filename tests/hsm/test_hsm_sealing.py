"""AES-GCM sealing and wrapped key pairs: what is sealed opens again, what is altered does not."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.hsm import (
    AlgorithmNotSupportedError,
    KeyAlgorithm,
    KeyExistsError,
    SealingKey,
    Token,
    TokenOperationError,
    UnsealError,
)
from onecert.hsm import pool as pool_module

pytestmark = pytest.mark.token

MakeToken = Callable[..., Token]
ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def token(make_token: MakeToken) -> Token:
    return make_token()


@pytest.fixture
def sealing(token: Token) -> SealingKey:
    return token.sealing_key("kek")


def test_what_is_sealed_opens_again(sealing: SealingKey, token: Token) -> None:
    for plaintext in (b"", b"x", b"SM2 key" * 100, bytes(1 << 20)):
        sealed = sealing.seal(plaintext, b"holder 7")
        assert plaintext not in sealed or len(plaintext) < 2
        assert token.sealing_key("kek").unseal(sealed, b"holder 7") == plaintext
    assert sealing.seal(b"same") != sealing.seal(b"same")


def test_more_than_the_limit_is_refused(sealing: SealingKey) -> None:
    with pytest.raises(TokenOperationError, match="1048576"):
        sealing.seal(bytes((1 << 20) + 1))
    with pytest.raises(UnsealError):
        sealing.unseal(b"\x01" + bytes((1 << 20) + 100))


def test_altered_bytes_wrong_context_and_wrong_key_are_refused(sealing: SealingKey, token: Token) -> None:
    sealed = sealing.seal(b"secret", b"context")
    generation = token._pool._generation
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(UnsealError):
            sealing.unseal(bytes(altered), b"context")
    for other in (b"", b"contexT", b"context."):
        with pytest.raises(UnsealError):
            sealing.unseal(sealed, other)
    for length in range(len(sealed)):
        with pytest.raises(UnsealError):
            sealing.unseal(sealed[:length], b"context")
    with pytest.raises(UnsealError):
        token.sealing_key("another").unseal(sealed, b"context")
    # An attacker's rubbish must not make the service log in anew each time.
    assert token._pool._generation == generation
    assert sealing.unseal(sealed, b"context") == b"secret"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rubbish=st.binary(max_size=200))
def test_rubbish_is_refused_with_our_own_error(sealing: SealingKey, rubbish: bytes) -> None:
    for candidate in (rubbish, b"\x01" + rubbish):
        with pytest.raises(UnsealError):
            sealing.unseal(candidate)


def test_a_lost_login_is_not_taken_for_altered_bytes(sealing: SealingKey, token: Token) -> None:
    sealed = sealing.seal(b"secret")
    token._module.raw.logout(token._pool._login.handle)
    assert sealing.unseal(sealed) == b"secret"


def test_a_sealing_key_is_made_once_and_shares_no_name_with_a_key_pair(token: Token) -> None:
    with ThreadPoolExecutor(4) as threads:
        keys = list(threads.map(lambda _number: token.sealing_key("one"), range(8)))
    sealed = keys[0].seal(b"x")
    assert {key.unseal(sealed) for key in keys} == {b"x"}
    with pytest.raises(KeyExistsError):
        token.generate_key("one", KeyAlgorithm.P_256)


@pytest.mark.parametrize("algorithm", ["rsa-2048", "p-256", "p-384"])
def test_a_wrapped_key_signs_after_it_is_unwrapped(sealing: SealingKey, algorithm: str, token: Token) -> None:
    wrapped = sealing.wrap_new_key(KeyAlgorithm(algorithm))
    key = sealing.unwrap_key(wrapped)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert der == wrapped.public_der
    if isinstance(key, rsa.RSAPrivateKey):
        pkcs1 = padding.PKCS1v15()
        key.public_key().verify(key.sign(b"x", pkcs1, hashes.SHA256()), b"x", pkcs1, hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        for _turn in range(8):  # on every session of the pool
            key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)
        token._module.raw.logout(token._pool._login.handle)  # and after everything was lost
        key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)
    assert token.key_labels() == []  # nothing stays on the token


def test_ed25519_cannot_be_wrapped_by_softhsm(sealing: SealingKey) -> None:
    with pytest.raises(AlgorithmNotSupportedError, match="wrapping ed25519"):
        sealing.wrap_new_key(KeyAlgorithm.ED25519)


def test_altered_wrapped_keys_are_refused(sealing: SealingKey, token: Token) -> None:
    wrapped = sealing.wrap_new_key(KeyAlgorithm.P_256)
    other = sealing.wrap_new_key(KeyAlgorithm.P_256)
    raw_ed25519 = ed25519.Ed25519PrivateKey.generate().public_key()
    ed25519_der = raw_ed25519.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    changed = bytearray(wrapped.wrapped)
    changed[-1] ^= 1
    for altered in (
        dataclasses.replace(wrapped, wrapped=bytes(changed)),
        dataclasses.replace(wrapped, wrapped=wrapped.wrapped[:-8]),
        dataclasses.replace(wrapped, wrapped=b""),
        dataclasses.replace(wrapped, public_der=other.public_der),  # would sign in another name
        dataclasses.replace(wrapped, public_der=b"rubbish"),
        dataclasses.replace(wrapped, public_der=ed25519_der),
        dataclasses.replace(wrapped, algorithm=KeyAlgorithm.P_384),
    ):
        with pytest.raises(UnsealError):
            sealing.unwrap_key(altered)
    with pytest.raises(UnsealError):
        token.sealing_key("another").unwrap_key(wrapped)


def test_many_wrapped_keys_do_not_fill_the_token(
    sealing: SealingKey, monkeypatch: pytest.MonkeyPatch, token: Token
) -> None:
    monkeypatch.setattr(pool_module, "HANDLES_MAX", 4)
    keys = [sealing.unwrap_key(sealing.wrap_new_key(KeyAlgorithm.P_256)) for _number in range(10)]
    for _turn in range(2):
        for key in keys:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)
    objects = token._pool.run("count", lambda worker: len(worker.list_objects({})))
    assert objects <= 1 + 4 * 4
