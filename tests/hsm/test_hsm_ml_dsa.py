"""ML-DSA on a token of PKCS#11 v3.2. SoftHSM 2.6 has none, so that a stand-in plays the token here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.mechanisms import MLDSAParameterSet

from onecert.hsm import (
    AlgorithmNotSupportedError,
    KeyAlgorithm,
    KeyNotExportableError,
    KeyUnusableError,
    Token,
)
from onecert.hsm.algorithms import ALGORITHMS
from onecert.hsm.handles import KeyReference
from onecert.hsm.keys import token_key
from onecert.hsm.making import PRIVATE_TEMPLATE, generate_pair
from onecert.hsm.public import algorithm_of, check_pair, read_public_key

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
KINDS = {
    KeyAlgorithm.ML_DSA_44: (MLDSAParameterSet.ML_DSA_44, mldsa.MLDSA44PrivateKey),
    KeyAlgorithm.ML_DSA_65: (MLDSAParameterSet.ML_DSA_65, mldsa.MLDSA65PrivateKey),
    KeyAlgorithm.ML_DSA_87: (MLDSAParameterSet.ML_DSA_87, mldsa.MLDSA87PrivateKey),
}


class StandIn:
    """Session, private object and pool of a token with one ML-DSA key, by the attributes of PKCS#11 v3.2."""

    label = "stand-in"

    def __init__(self, algorithm: KeyAlgorithm) -> None:
        self.set, kind = KINDS[algorithm]
        self.key: Any = kind.generate()
        self.asked: list[Mechanism] = []
        self.made: dict[str, Any] = {}
        self.public: list[dict[Attribute, Any]] = [
            {Attribute.VALUE: self.key.public_key().public_bytes_raw(), Attribute.PARAMETER_SET: self.set}
        ]

    def __getitem__(self, attribute: Attribute) -> Any:
        values = {
            Attribute.KEY_TYPE: KeyType.ML_DSA,
            Attribute.PARAMETER_SET: self.set,
            Attribute.ID: b"id",
        }
        return values[attribute]

    def get_objects(self, _template: Any) -> list[dict[Attribute, Any]]:
        return self.public

    def generate_keypair(self, *arguments: Any, **named: Any) -> tuple[str, str]:
        self.made = {"arguments": arguments, **named}
        return ("public", "private")

    def sign(self, *arguments: Any, mechanism: Mechanism | None = None) -> bytes:
        """As a private object, and as a pool: the data is the argument before the mechanism."""
        if mechanism is None:
            _reference, data, mechanism = arguments
        else:
            (data,) = arguments
        self.asked.append(mechanism)
        signature: bytes = self.key.sign(data)
        return signature


@pytest.fixture(params=list(KINDS))
def algorithm(request: pytest.FixtureRequest) -> KeyAlgorithm:
    kind: KeyAlgorithm = request.param
    return kind


@pytest.fixture
def token(algorithm: KeyAlgorithm) -> StandIn:
    return StandIn(algorithm)


def key_of(token: StandIn, algorithm: KeyAlgorithm) -> Any:
    public = token.key.public_key()
    reference = KeyReference(ObjectClass.PRIVATE_KEY, "signing", b"id")
    return token_key(token, reference, algorithm, public)  # type: ignore[arg-type]  # a stand-in


def test_the_public_half_is_read_and_tried(token: Any, algorithm: KeyAlgorithm) -> None:
    found, public = read_public_key(token, token, "stand-in", "signing")
    assert found == algorithm == algorithm_of(public)
    assert public == token.key.public_key()
    check_pair(token, public)
    assert token.asked == [Mechanism.ML_DSA]
    with pytest.raises(InvalidSignature):
        check_pair(StandIn(algorithm), public)


def test_a_public_half_that_is_missing_or_malformed_is_said(token: Any) -> None:
    token.public = [{Attribute.VALUE: b"short"}]
    with pytest.raises(KeyUnusableError):
        read_public_key(token, token, "stand-in", "signing")
    token.public = []
    with pytest.raises(KeyUnusableError):
        read_public_key(token, token, "stand-in", "signing")
    token.set = 99
    with pytest.raises(KeyUnusableError):
        read_public_key(token, token, "stand-in", "signing")


def test_a_pair_is_asked_for_by_its_parameter_set(token: Any, algorithm: KeyAlgorithm) -> None:
    made = generate_pair(token, "new", ALGORITHMS[algorithm], stored=True, private=PRIVATE_TEMPLATE)
    assert made == ("public", "private")
    assert token.made["arguments"] == (KeyType.ML_DSA, None)
    assert token.made["public_template"][Attribute.PARAMETER_SET] == token.set
    assert token.made["private_template"][Attribute.EXTRACTABLE] is False


def test_it_signs_for_every_builder(token: StandIn, algorithm: KeyAlgorithm) -> None:
    key = key_of(token, algorithm)
    assert isinstance(key, KINDS[algorithm][1])
    key.public_key().verify(key.sign(b"data"), b"data")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ML-DSA")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 7, T, T + timedelta(days=1), [x509.Extension(*_CA)]
    )
    certificate = builder.sign(key, None)
    certificate.verify_directly_issued_by(certificate)
    assert set(token.asked) == {Mechanism.ML_DSA}


_CA = (x509.BasicConstraints.oid, True, x509.BasicConstraints(ca=True, path_length=0))


def test_what_it_does_not_do_is_said(token: StandIn, algorithm: KeyAlgorithm) -> None:
    key = key_of(token, algorithm)
    for ask in (lambda: key.sign(b"data", b"context"), lambda: key.sign_mu(bytes(64))):
        with pytest.raises(AlgorithmNotSupportedError):
            ask()
    with pytest.raises(KeyNotExportableError):
        key.private_bytes_raw()
    with pytest.raises(KeyNotExportableError):
        key.private_bytes(None, None, None)


@pytest.mark.token
def test_a_token_without_the_mechanism_says_so(
    make_token: Callable[..., Token], algorithm: KeyAlgorithm
) -> None:
    token = make_token()
    with pytest.raises(AlgorithmNotSupportedError) as caught:
        token.generate_key("signing", algorithm)
    assert caught.value.code == "MECHANISM_MISSING"
    assert "ML_DSA_KEY_PAIR_GEN" in caught.value.text("zh")
    assert caught.value.hint("en")
    assert token.key_labels() == []
