"""The table of key algorithms and hashes: a new algorithm is a new row.

Mechanisms and attributes: PKCS#11 v2.40, v3.0 (EdDSA) and v3.2 (ML-DSA). SHA-1 and MD5 are left out on
purpose: nothing of ours is signed with them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from pkcs11 import MGF, Attribute, KeyType, Mechanism
from pkcs11.mechanisms import MLDSAParameterSet


class KeyAlgorithm(StrEnum):
    """Kinds of key pairs. A token makes those with a row in ``ALGORITHMS``; SM2 is for ``SealedKeys``."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    P_256 = "p-256"
    P_384 = "p-384"
    ED25519 = "ed25519"
    SM2 = "sm2"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


@dataclass(frozen=True, kw_only=True)
class AlgorithmRow:
    """How a token makes and names one kind of key pair."""

    algorithm: KeyAlgorithm
    key_type: KeyType
    generate: Mechanism
    public_template: dict[Attribute, Any]
    curve: ec.EllipticCurve | None = None

    @property
    def takes_curve(self) -> bool:
        """Whether the module wants domain parameters, and not a template alone."""
        return Attribute.EC_PARAMS in self.public_template


# DER object identifiers: 1.2.840.10045.3.1.7, 1.3.132.0.34, 1.3.101.112. PKCS#11 v3.0 also allows the curve's
# name as PrintableString for Edwards curves, so both are accepted when a key is loaded.
_P256_DER = bytes.fromhex("06082a8648ce3d030107")
_P384_DER = bytes.fromhex("06052b81040022")
_ED25519_DER = bytes.fromhex("06032b6570")
_ED25519_NAME_DER = b"\x13\x0cedwards25519"


def _rsa(algorithm: KeyAlgorithm, bits: int) -> AlgorithmRow:
    return AlgorithmRow(
        algorithm=algorithm,
        key_type=KeyType.RSA,
        generate=Mechanism.RSA_PKCS_KEY_PAIR_GEN,
        public_template={Attribute.MODULUS_BITS: bits, Attribute.PUBLIC_EXPONENT: b"\x01\x00\x01"},
    )


def _ec(algorithm: KeyAlgorithm, params_der: bytes, curve: ec.EllipticCurve) -> AlgorithmRow:
    return AlgorithmRow(
        algorithm=algorithm,
        key_type=KeyType.EC,
        generate=Mechanism.EC_KEY_PAIR_GEN,
        public_template={Attribute.EC_PARAMS: params_der},
        curve=curve,
    )


def _ml_dsa(algorithm: KeyAlgorithm, parameters: MLDSAParameterSet) -> AlgorithmRow:
    return AlgorithmRow(
        algorithm=algorithm,
        key_type=KeyType.ML_DSA,
        generate=Mechanism.ML_DSA_KEY_PAIR_GEN,
        public_template={Attribute.PARAMETER_SET: parameters},
    )


ALGORITHMS: dict[KeyAlgorithm, AlgorithmRow] = {
    row.algorithm: row
    for row in (
        _rsa(KeyAlgorithm.RSA_2048, 2048),
        _rsa(KeyAlgorithm.RSA_3072, 3072),
        _rsa(KeyAlgorithm.RSA_4096, 4096),
        _ec(KeyAlgorithm.P_256, _P256_DER, ec.SECP256R1()),
        _ec(KeyAlgorithm.P_384, _P384_DER, ec.SECP384R1()),
        AlgorithmRow(
            algorithm=KeyAlgorithm.ED25519,
            key_type=KeyType.EC_EDWARDS,
            generate=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            public_template={Attribute.EC_PARAMS: _ED25519_DER},
        ),
        _ml_dsa(KeyAlgorithm.ML_DSA_44, MLDSAParameterSet.ML_DSA_44),
        _ml_dsa(KeyAlgorithm.ML_DSA_65, MLDSAParameterSet.ML_DSA_65),
        _ml_dsa(KeyAlgorithm.ML_DSA_87, MLDSAParameterSet.ML_DSA_87),
    )
}

RSA_BITS = {2048: KeyAlgorithm.RSA_2048, 3072: KeyAlgorithm.RSA_3072, 4096: KeyAlgorithm.RSA_4096}
EC_PARAMS = {
    _P256_DER: KeyAlgorithm.P_256,
    _P384_DER: KeyAlgorithm.P_384,
    _ED25519_DER: KeyAlgorithm.ED25519,
    _ED25519_NAME_DER: KeyAlgorithm.ED25519,
}

# CKA_PARAMETER_SET: the algorithm, and the class that reads the public key in CKA_VALUE (FIPS 204).
MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
ML_DSA_SETS: dict[int, tuple[KeyAlgorithm, type[MlDsaPublicKey]]] = {
    MLDSAParameterSet.ML_DSA_44: (KeyAlgorithm.ML_DSA_44, mldsa.MLDSA44PublicKey),
    MLDSAParameterSet.ML_DSA_65: (KeyAlgorithm.ML_DSA_65, mldsa.MLDSA65PublicKey),
    MLDSAParameterSet.ML_DSA_87: (KeyAlgorithm.ML_DSA_87, mldsa.MLDSA87PublicKey),
}


@dataclass(frozen=True, kw_only=True)
class HashRow:
    """One hash: how we compute it, and how the token names it."""

    compute: Callable[..., Any]  # hashlib's constructor, used with one argument: the data
    octets: int
    digest_info: bytes  # RFC 8017, section 9.2, note 1: DER of DigestInfo up to the digest
    mechanism: Mechanism
    mgf: MGF


HASHES: dict[type, HashRow] = {
    hashes.SHA256: HashRow(
        compute=hashlib.sha256,
        octets=32,
        digest_info=bytes.fromhex("3031300d060960864801650304020105000420"),
        mechanism=Mechanism.SHA256,
        mgf=MGF.SHA256,
    ),
    hashes.SHA384: HashRow(
        compute=hashlib.sha384,
        octets=48,
        digest_info=bytes.fromhex("3041300d060960864801650304020205000430"),
        mechanism=Mechanism.SHA384,
        mgf=MGF.SHA384,
    ),
    hashes.SHA512: HashRow(
        compute=hashlib.sha512,
        octets=64,
        digest_info=bytes.fromhex("3051300d060960864801650304020305000440"),
        mechanism=Mechanism.SHA512,
        mgf=MGF.SHA512,
    ),
}


def find_hash(algorithm: object) -> HashRow | None:
    """The row of one of cryptography's hash objects; None for anything that is not in the table."""
    return HASHES.get(type(algorithm))
