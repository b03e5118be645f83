"""SM2 certificates to verify, and the system's libcrypto as another verifier of SM2."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import secrets
import warnings
from functools import cache, cached_property
from typing import Any

from OpenSSL import crypto
from pki import DER, Pki

from onecert.verifier import load_certificate
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.signatures import load_public_key
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve

LEAVES = 64
_OID = bytes.fromhex("06082a811ccf5501822d")


def private_key() -> crypto.PKey:
    """A new SM2 key, as OpenSSL holds it: an RFC 5915 ECPrivateKey on the curve's identifier."""
    number = secrets.randbelow(curve.N - 2) + 1
    total = curve.multiply([(number, curve.GENERATOR)])
    if total is None:
        raise ArithmeticError("the order is larger")
    point = b"\x04" + b"".join(coordinate.to_bytes(32, "big") for coordinate in curve.affine(total))
    body = b"\x02\x01\x01\x04\x20" + number.to_bytes(32, "big")
    body += bytes((0xA0, len(_OID))) + _OID + bytes((0xA1, len(point) + 3, 3, len(point) + 1, 0)) + point
    return crypto.load_privatekey(crypto.FILETYPE_ASN1, bytes((0x30, len(body))) + body)


class Sm2Pki:
    """The certificates of a P-256 PKI with SM2 keys and signatures instead, by OpenSSL."""

    def __init__(self, made: Pki) -> None:
        self.keys = root_key, issuing_key = private_key(), private_key()
        leaf_key = private_key()
        self.root = self._resigned(made.root, root_key, root_key)
        self.issuing = self._resigned(made.issuing, issuing_key, root_key)
        self.leaves = [self._resigned(leaf, leaf_key, issuing_key) for leaf in made.leaves[:LEAVES]]

    @staticmethod
    def _resigned(certificate: Any, key: crypto.PKey, issuer: crypto.PKey) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyOpenSSL advises cryptography, which has no SM2
            changed = crypto.X509.from_cryptography(load_certificate(certificate.public_bytes(DER)))
            changed.set_pubkey(key)
            changed.sign(issuer, "sm3")
            return crypto.dump_certificate(crypto.FILETYPE_ASN1, changed)

    @cached_property
    def public_key(self) -> Sm2PublicKey:
        """Of the issuing CA."""
        key = load_public_key(parse_certificate(self.issuing).spki_der)
        if not isinstance(key, Sm2PublicKey):
            raise TypeError("an SM2 key is expected")
        return key

    @cached_property
    def signed(self) -> list[tuple[bytes, bytes]]:
        """Signature and signed bytes of each leaf."""
        parsed = [parse_certificate(leaf) for leaf in self.leaves]
        return [(leaf.signature, leaf.tbs) for leaf in parsed]

    def one_check(self) -> Any:
        """Work: the library's bare check, with a table for the key."""
        key, signed = self.public_key, itertools.cycle(self.signed)
        for _ in range(40):
            key.verify(*next(signed))
        return lambda: key.verify(*next(signed))


@cache
def sm2_pki(made: Pki) -> Sm2Pki:
    """One in this process."""
    return Sm2Pki(made)


def libcrypto() -> ctypes.CDLL | None:
    """The system's, when it has one that knows SM2 identifiers (OpenSSL 3)."""
    name = ctypes.util.find_library("crypto")
    try:
        library = ctypes.CDLL(name) if name else None
        if library is not None:
            library.EVP_PKEY_CTX_set1_id  # noqa: B018  raises when it is older
    except (OSError, AttributeError):
        return None
    return library


def libcrypto_check(library: ctypes.CDLL, made: Sm2Pki) -> Any:
    """Work: one check by ``EVP_DigestVerify``."""
    pointer = ctypes.c_void_p
    for name in ("d2i_PUBKEY", "EVP_MD_CTX_new", "EVP_PKEY_CTX_new", "EVP_sm3"):
        getattr(library, name).restype = pointer
    octets = crypto.dump_publickey(crypto.FILETYPE_ASN1, made.keys[1])
    start = ctypes.c_char_p(octets)
    key = pointer(library.d2i_PUBKEY(None, ctypes.byref(start), ctypes.c_long(len(octets))))
    digest, size = pointer(library.EVP_sm3()), ctypes.c_size_t
    signed = itertools.cycle(made.signed)

    def check() -> None:
        signature, data = next(signed)
        context = pointer(library.EVP_MD_CTX_new())
        parameters = pointer(library.EVP_PKEY_CTX_new(key, None))
        library.EVP_PKEY_CTX_set1_id(parameters, DEFAULT_ID, len(DEFAULT_ID))
        library.EVP_MD_CTX_set_pkey_ctx(context, parameters)
        library.EVP_DigestVerifyInit(context, None, digest, None, key)
        answer = library.EVP_DigestVerify(context, signature, size(len(signature)), data, size(len(data)))
        library.EVP_MD_CTX_free(context)
        library.EVP_PKEY_CTX_free(parameters)
        if answer != 1:
            raise AssertionError("the signature is good")

    return check
