"""Reads a key pair on a token: is the private part well kept, which algorithm is it, what is its public
key."""

from typing import Any

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from onecert.hsm.algorithms import ALGORITHMS, EC_PARAMS, HASHES, ML_DSA_SETS, RSA_BITS, KeyAlgorithm
from onecert.hsm.errors import KeyUnusableError
from onecert.hsm.keys import PublicKey
from onecert.hsm.messages import Reason

TRIAL = b"OneCert: trial of a key pair".ljust(32, b".")  # signed as if it were a SHA-256 digest
DIGEST_INFO = HASHES[hashes.SHA256].digest_info


def check_protected(private: Any, token: str, label: str) -> None:
    """The private part must be sensitive and not extractable, whoever made it.

    Raises:
        KeyUnusableError: it could be read or wrapped out of the token.
    """
    if private[Attribute.EXTRACTABLE] or not private[Attribute.SENSITIVE]:
        raise KeyUnusableError(label=token, key=label, reason=Reason("EXTRACTABLE"))


def read_public_key(
    session: pkcs11.Session, private: Any, token: str, label: str
) -> tuple[KeyAlgorithm, PublicKey]:
    """The algorithm and public key of a private key on this session.

    RSA numbers are taken from the private object; the point of the other kinds from the public object with
    the same ID, because PKCS#11 does not keep it with the private one.

    Raises:
        KeyUnusableError: an algorithm that is not in our table, or no public object.
    """
    key_type = private[Attribute.KEY_TYPE]
    if key_type == KeyType.RSA:
        modulus = int.from_bytes(private[Attribute.MODULUS], "big")
        algorithm = RSA_BITS.get(modulus.bit_length())
        if algorithm is None:
            raise KeyUnusableError(
                label=token, key=label, reason=Reason("RSA_BITS", bits=modulus.bit_length())
            )
        exponent = int.from_bytes(private[Attribute.PUBLIC_EXPONENT], "big")
        return algorithm, rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if key_type == KeyType.ML_DSA:
        return _read_ml_dsa(session, private, token, label)
    if key_type not in (KeyType.EC, KeyType.EC_EDWARDS):
        raise KeyUnusableError(label=token, key=label, reason=Reason("KEY_TYPE", kind=key_type))
    algorithm = EC_PARAMS.get(private[Attribute.EC_PARAMS])
    if algorithm is None or ALGORITHMS[algorithm].key_type != key_type:
        raise KeyUnusableError(label=token, key=label, reason=Reason("CURVE"))
    point = _public_part(session, private, token, label)[Attribute.EC_POINT]
    try:
        return algorithm, public_key_of_point(algorithm, point)
    except ValueError as exc:
        raise KeyUnusableError(label=token, key=label, reason=Reason("BAD_POINT")) from exc


def _read_ml_dsa(
    session: pkcs11.Session, private: Any, token: str, label: str
) -> tuple[KeyAlgorithm, PublicKey]:
    """PKCS#11 v3.2, section 6.67: the raw public key is the CKA_VALUE of the public object."""
    found = ML_DSA_SETS.get(private[Attribute.PARAMETER_SET])
    if found is None:
        raise KeyUnusableError(label=token, key=label, reason=Reason("KEY_TYPE", kind=KeyType.ML_DSA))
    algorithm, kind = found
    raw = bytes(_public_part(session, private, token, label)[Attribute.VALUE])
    try:
        return algorithm, kind.from_public_bytes(raw)
    except ValueError as exc:
        raise KeyUnusableError(label=token, key=label, reason=Reason("BAD_POINT")) from exc


def _public_part(session: pkcs11.Session, private: Any, token: str, label: str) -> Any:
    template = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.LABEL: label,
        Attribute.ID: private[Attribute.ID],
    }
    found = list(session.get_objects(template))
    if not found:
        raise KeyUnusableError(label=token, key=label, reason=Reason("NO_PUBLIC"))
    return found[0]


def algorithm_of(public: PublicKey) -> KeyAlgorithm | None:
    """The row of a public key; None for what is not in the table."""
    if isinstance(public, rsa.RSAPublicKey):
        return RSA_BITS.get(public.key_size)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return KeyAlgorithm.ED25519
    if not isinstance(public, ec.EllipticCurvePublicKey):
        kinds = (algorithm for algorithm, kind in ML_DSA_SETS.values() if isinstance(public, kind))
        return next(kinds, None)
    for row in ALGORITHMS.values():
        if row.curve is not None and row.curve.name == public.curve.name:
            return row.algorithm
    return None


def public_key_of_point(algorithm: KeyAlgorithm, point: bytes) -> PublicKey:
    """The public key of a CKA_EC_POINT: a DER OCTET STRING by the standard, the bare point with some
    modules."""
    curve = ALGORITHMS[algorithm].curve
    bare = 32 if curve is None else 1 + 2 * (curve.key_size // 8)
    if len(point) != bare:
        if len(point) != bare + 2 or point[:2] != bytes((0x04, bare)):
            raise ValueError("neither a point nor an OCTET STRING of one")
        point = point[2:]
    if curve is None:
        return ed25519.Ed25519PublicKey.from_public_bytes(point)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)


def check_pair(private: Any, public: PublicKey) -> None:
    """Try that a private key on the token belongs to this public key: sign there, verify here.

    Raises:
        InvalidSignature: it does not. A PKCS#11 error when the token cannot even sign with it.
    """
    if isinstance(public, rsa.RSAPublicKey):
        signature = private.sign(DIGEST_INFO + TRIAL, mechanism=Mechanism.RSA_PKCS)
        public.verify(signature, TRIAL, PKCS1v15(), Prehashed(hashes.SHA256()))
    elif isinstance(public, ec.EllipticCurvePublicKey):
        raw = private.sign(TRIAL, mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        der = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        public.verify(der, TRIAL, ec.ECDSA(Prehashed(hashes.SHA256())))
    elif isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(private.sign(TRIAL, mechanism=Mechanism.EDDSA), TRIAL)
    else:
        public.verify(private.sign(TRIAL, mechanism=Mechanism.ML_DSA), TRIAL)
