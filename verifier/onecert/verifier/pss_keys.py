"""RSA keys that may be used with RSASSA-PSS alone (RFC 4055, sections 1.2 and 3.3).

A SubjectPublicKeyInfo may name id-RSASSA-PSS instead of rsaEncryption: its owner has said that the key signs
with PSS only, and, where it has parameters, with which hash and how much salt at least. ``cryptography``
loads such a key as any other and forgets what was said.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from onecert.verifier.algorithms import SignatureAlgorithm, parse_algorithm
from onecert.verifier.der import slice_tlv
from onecert.verifier.errors import MalformedError, RefusedError

__all__ = ["RsaPssPublicKey", "load_pss_key"]

_PSS = padding.PSS
_WITHOUT_PARAMETERS = 11  # the length of id-RSASSA-PSS


class RsaPssPublicKey(rsa.RSAPublicKey):
    """An RSA key of ``cryptography`` that refuses every other use than checking PSS signatures.

    Args:
        key: the key itself.
        der: its SubjectPublicKeyInfo as it came; ``public_bytes`` gives this one back.
        least: the algorithm with the least salt that the key allows; ``None`` for any.
    """

    def __init__(self, key: rsa.RSAPublicKey, der: bytes, least: SignatureAlgorithm | None) -> None:
        self._key = key
        self._der = der
        self._least = least

    def allows(self, row: SignatureAlgorithm) -> bool:
        """Whether the owner of the key meant it for signatures with this algorithm."""
        if row.pss is None:
            return False
        least = self._least
        return least is None or (row.name == least.name and _salt(row) >= _salt(least))

    @property
    def usual_algorithm(self) -> str:
        """The name of the algorithm to take when none is named."""
        return "rsa-pss-sha256" if self._least is None else self._least.name

    @property
    def key_size(self) -> int:
        """The length of the modulus in bits."""
        return self._key.key_size

    def public_numbers(self) -> rsa.RSAPublicNumbers:
        """Modulus and exponent."""
        return self._key.public_numbers()

    def public_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PublicFormat,  # noqa: A002  inherited
    ) -> bytes:
        """The key as it came, or, in another format, without its restriction."""
        if (encoding, format) == (
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        ):
            return self._der
        return self._key.public_bytes(encoding, format)

    def verify(self, signature: bytes, data: bytes, padding: Any, algorithm: Any) -> None:
        """Check a PSS signature.

        Raises:
            UnsupportedAlgorithm: it is to be checked as one of PKCS #1 v1.5.
        """
        if not isinstance(padding, _PSS):
            raise UnsupportedAlgorithm("the key is for RSASSA-PSS")
        self._key.verify(signature, data, padding, algorithm)

    def encrypt(self, plaintext: bytes, padding: Any) -> bytes:
        """Never."""
        raise UnsupportedAlgorithm("the key is for RSASSA-PSS")

    def recover_data_from_signature(self, signature: bytes, padding: Any, algorithm: Any) -> bytes:
        """Never."""
        raise UnsupportedAlgorithm("the key is for RSASSA-PSS")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RsaPssPublicKey) and self._der == other._der

    def __hash__(self) -> int:
        return hash(self._der)

    def __copy__(self) -> RsaPssPublicKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RsaPssPublicKey:
        return self


def load_pss_key(key: rsa.RSAPublicKey, public_key_der: bytes) -> RsaPssPublicKey:
    """The key of a SubjectPublicKeyInfo whose algorithm is id-RSASSA-PSS.

    Raises:
        RefusedError: ``UNSUPPORTED_ALGORITHM`` for parameters that no accepted signature can have (SHA-1);
            ``KEY_INVALID`` for wrong ones.
    """
    start = slice_tlv(public_key_der, 0)[0]
    inside, end = slice_tlv(public_key_der, start)
    if end - inside == _WITHOUT_PARAMETERS:
        return RsaPssPublicKey(key, public_key_der, None)
    try:
        least = parse_algorithm(public_key_der[start:end])
    except MalformedError as exc:
        raise RefusedError("KEY_INVALID", source="RFC 4055, section 3.1", detail="its parameters") from exc
    return RsaPssPublicKey(key, public_key_der, least)


def _salt(row: SignatureAlgorithm) -> int:
    length: int = row.pss._salt_length  # type: ignore[union-attr, assignment]  # set by algorithms alone
    return length
