"""One contract for cryptography's own keys and for keys on a token: same calls, same results, same refusals.

Every test here runs twice for every algorithm, on the soft key and on the token key.
"""

import copy
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from onecert.hsm import (
    KeyAlgorithm,
    KeyNotExportableError,
    Token,
    ensure_softhsm_token,
    open_token,
)

pytestmark = pytest.mark.token

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
DATA = b"the applicant's own words" * 9
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "合同测试")])
HASHES = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
RSA = [algorithm for algorithm in KeyAlgorithm if algorithm.startswith("rsa-")]
HASHED = [*RSA, KeyAlgorithm.P_256, KeyAlgorithm.P_384]
only_rsa = pytest.mark.parametrize("algorithm", RSA, indirect=True)
only_hashed = pytest.mark.parametrize("algorithm", HASHED, indirect=True)
only_token = pytest.mark.parametrize("kind", ["token"], indirect=True)  # refuses what a soft key allows


def soft_key(algorithm: KeyAlgorithm) -> Any:
    if algorithm.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(algorithm[4:]))
    if algorithm == KeyAlgorithm.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    curve = ec.SECP256R1() if algorithm == KeyAlgorithm.P_256 else ec.SECP384R1()
    return ec.generate_private_key(curve)


@pytest.fixture(scope="module")
def key_cache() -> dict[tuple[str, KeyAlgorithm], Any]:
    return {}


@pytest.fixture(params=[*HASHED, KeyAlgorithm.ED25519])
def algorithm(request: pytest.FixtureRequest) -> KeyAlgorithm:
    return request.param


@pytest.fixture(params=["soft", "token"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def token(softhsm_store: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    pin_file = tmp_path_factory.mktemp("contract") / "pin"
    with open_token(ensure_softhsm_token(softhsm_store, label="contract", pin_file=pin_file)) as opened:
        yield opened


@pytest.fixture
def key(algorithm: KeyAlgorithm, kind: str, key_cache: dict[Any, Any], token: Token) -> Any:
    if (kind, algorithm) not in key_cache:
        key_cache[kind, algorithm] = (
            soft_key(algorithm) if kind == "soft" else token.generate_key(str(algorithm), algorithm)
        )
    return key_cache[kind, algorithm]


def hash_for(key: Any) -> hashes.HashAlgorithm | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def ways(key: Any, hashed: Any) -> list[tuple[Any, ...]]:
    """The arguments after the data, for every way in which this kind of key signs with this hash."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [(ec.ECDSA(hashed),)]
    plain = hashed._algorithm if isinstance(hashed, Prehashed) else hashed
    mask = padding.MGF1(plain)
    return [
        (padding.PKCS1v15(), hashed),
        (padding.PSS(mask, padding.PSS.DIGEST_LENGTH), hashed),
        (padding.PSS(mask, padding.PSS.MAX_LENGTH), hashed),
        (padding.PSS(mask, 20), hashed),
        (padding.PSS(mask, 0), hashed),
    ]


def test_it_is_a_private_key_of_its_kind(key: Any, algorithm: KeyAlgorithm) -> None:
    kinds = {"r": rsa.RSAPrivateKey, "p": ec.EllipticCurvePrivateKey, "e": ed25519.Ed25519PrivateKey}
    assert isinstance(key, kinds[algorithm[0]])
    if algorithm[0] == "r":
        assert key.key_size == int(algorithm[4:]) == key.public_key().key_size
    if algorithm[0] == "p":
        assert key.curve.name == f"secp{key.key_size}r1"
    assert copy.copy(key).public_key() == key.public_key() == copy.deepcopy(key).public_key()


def test_its_signatures_verify_and_altered_data_does_not(key: Any) -> None:
    if hash_for(key) is None:
        signature = key.sign(DATA)
        key.public_key().verify(signature, DATA)
        with pytest.raises(InvalidSignature):
            key.public_key().verify(signature, DATA + b".")
        return
    for plain in HASHES:
        for way in ways(key, plain):
            signature = key.sign(DATA, *way)
            key.public_key().verify(signature, DATA, *way)
            with pytest.raises(InvalidSignature):
                key.public_key().verify(signature, DATA + b".", *way)


@only_hashed
def test_prehashed_signs_the_digest(key: Any) -> None:
    for plain in HASHES:
        state = hashes.Hash(plain)
        state.update(DATA)
        digest = state.finalize()
        for pre, way in zip(ways(key, Prehashed(plain)), ways(key, plain), strict=True):
            key.public_key().verify(key.sign(digest, *pre), DATA, *way)
            with pytest.raises(ValueError, match="digest"):
                key.sign(digest[:-1], *pre)


def test_every_kind_of_buffer_is_accepted(key: Any) -> None:
    way = () if hash_for(key) is None else ways(key, hashes.SHA256())[0]
    for data in (DATA, bytearray(DATA), memoryview(DATA), b""):
        key.public_key().verify(key.sign(data, *way), bytes(data), *way)


@only_rsa
def test_rsa_refuses_what_cannot_be_signed(key: Any) -> None:
    mask = padding.MGF1(hashes.SHA256())
    with pytest.raises(ValueError, match=r"(?i)salt|digest"):
        key.sign(DATA, padding.PSS(mask, key.key_size // 8), hashes.SHA256())
    with pytest.raises(ValueError, match=r"(?i)auto"):
        key.sign(DATA, padding.PSS(mask, padding.PSS.AUTO), hashes.SHA256())
    with pytest.raises((UnsupportedAlgorithm, TypeError)):
        key.sign(DATA, padding.OAEP(mask, hashes.SHA256(), None), hashes.SHA256())
    key.public_key().verify(
        key.sign(b"\x30\x00raw", padding.PKCS1v15(), NoDigestInfo()),
        b"\x30\x00raw",
        padding.PKCS1v15(),
        NoDigestInfo(),
    )


@only_token
@only_hashed
def test_unknown_hashes_and_schemes_are_refused(key: Any) -> None:
    for plain in (hashes.SHA1(), hashes.MD5(), hashes.SHA3_256()):
        for hashed in (plain, Prehashed(plain)):
            for way in ways(key, hashed)[:1]:
                with pytest.raises(UnsupportedAlgorithm):
                    key.sign(bytes(plain.digest_size), *way)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        with pytest.raises(UnsupportedAlgorithm):
            key.sign(DATA, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        with pytest.raises(UnsupportedAlgorithm):
            key.sign(DATA, object())
        with pytest.raises(UnsupportedAlgorithm):
            key.exchange(ec.ECDH(), key.public_key())
    else:
        with pytest.raises(UnsupportedAlgorithm):
            key.decrypt(b"", padding.PKCS1v15())
        mixed = padding.PSS(padding.MGF1(hashes.SHA512()), 20)
        with pytest.raises(UnsupportedAlgorithm):
            key.sign(DATA, mixed, hashes.SHA256())


@only_token
def test_the_private_part_cannot_be_had(key: Any) -> None:
    ways_out: list[Callable[[], object]] = [
        lambda: key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        lambda: pickle.dumps(key),
    ]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        ways_out.append(key.private_bytes_raw)
    else:
        ways_out.append(key.private_numbers)
    for way_out in ways_out:
        with pytest.raises(KeyNotExportableError, match="never leaves token contract"):
            way_out()


def test_it_signs_certificates_requests_crls_and_ocsp(key: Any) -> None:
    """root (self-issued with the key) -> leaf; CRL and OCSP of the root."""
    hashed = hash_for(key)
    public = key.public_key()
    root = (
        x509.CertificateBuilder(NAME, NAME, public, 2**130 + 7, T, T + 365 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashed)
    )
    root.verify_directly_issued_by(root)
    request = x509.CertificateSigningRequestBuilder(NAME).sign(key, hashed)
    assert request.is_signature_valid
    leaf = x509.CertificateBuilder(NAME, NAME, request.public_key(), 7, T, T + DAY).sign(key, hashed)
    leaf.verify_directly_issued_by(root)
    revoked = x509.RevokedCertificateBuilder(7, T).build()
    crl = x509.CertificateRevocationListBuilder(NAME, T, T + DAY, revoked_certificates=[revoked]).sign(
        key, hashed
    )
    assert crl.is_signature_valid(public)
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(leaf, root, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, T, T + DAY, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, root)
        .sign(key, hashed)
    )
    way = () if hashed is None else ways(key, hashed)[0]
    public.verify(answer.signature, answer.tbs_response_bytes, *way)


@only_rsa
def test_rsa_certificates_with_pss(key: Any) -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), 5, T, T + DAY)
    certificate = builder.sign(key, hashes.SHA384(), rsa_padding=pss)
    certificate.verify_directly_issued_by(certificate)
