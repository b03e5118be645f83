"""What stands around the few octets that differ between two timestamps, cut once for each set of lengths.

The long way of writing is in `timestamp.py`; here its output with marks in the places that change is cut
there. So nothing can be written here that is not written there.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from onecert.ca import der
from onecert.ca.timestamps.messages import (
    IMPRINT_OCTETS,
    NONCE_MAX_OCTETS,
    TimestampRequest,
    TokenSigner,
    granted,
    signed_attributes,
    token,
)

__all__ = ["attributes_about", "granted_token", "usual_request"]

_BEFORE_IMPRINT = 5
_VERSION = bytes((der.INTEGER, 1, 1))


def _headers() -> tuple[tuple[bytes, int], ...]:
    """How a MessageImprint begins, by its hash: with NULL as parameters, as most write it, or none."""
    found = []
    for oid_der, octets in IMPRINT_OCTETS.items():
        for parameters in (der.NULL_DER, b""):
            algorithm = der.sequence(oid_der, parameters)
            found.append((der.sequence(algorithm, der.octet_string(bytes(octets)))[:-octets], octets))
    return tuple(found)


_IMPRINTS = _headers()


def usual_request(request_der: bytes) -> TimestampRequest | None:
    """Recognise the request of most clients: a hash, perhaps a nonce, perhaps the wish for a certificate.

    None: read it with `load_request`. What is recognised has exactly these octets, the only way in DER.
    """
    size = len(request_der)
    if size >= 0x82 or not request_der.startswith(b"\x30" + bytes((max(size - 2, 0),)) + _VERSION):
        return None
    for header, octets in _IMPRINTS:
        if request_der.startswith(header, _BEFORE_IMPRINT):
            end = _BEFORE_IMPRINT + len(header) + octets
            break
    else:
        return None
    if size < end:
        return None
    imprint_der, rest, nonce_der = request_der[_BEFORE_IMPRINT:end], request_der[end:], b""
    if rest[:1] == b"\x02":
        if len(rest) < 3 or not 1 <= rest[1] <= NONCE_MAX_OCTETS or len(rest) < 2 + rest[1]:
            return None
        nonce_der, rest = rest[: 2 + rest[1]], rest[2 + rest[1] :]
        if nonce_der[2] & 0x80 or (nonce_der[2] == 0 and len(nonce_der) > 3 and nonce_der[3] < 0x80):
            return None
    if rest not in {b"", der.TRUE}:
        return None
    return TimestampRequest(
        imprint_der=imprint_der, policy_der=b"", nonce_der=nonce_der, wants_certificate=bool(rest)
    )


def attributes_about(info_der: bytes, signer: TokenSigner) -> bytes:
    """The signed attributes of a token about this `TSTInfo`, as SET OF."""
    before, after, digest = _around_digest(signer)
    return b"".join((before, digest(info_der).digest(), after))


@lru_cache(maxsize=64)
def _around_digest(signer: TokenSigner) -> tuple[bytes, bytes, type]:
    sample = b"where the digest is"
    digest = getattr(hashlib, signer.digest, None) or _digest_named(signer.digest)
    before, after = signed_attributes(sample, signer).split(digest(sample).digest())
    return before, after, digest


def _digest_named(name: str) -> type:
    return lambda data: hashlib.new(name, data)  # type: ignore[return-value]


def granted_token(
    info_der: bytes, attributes_der: bytes, signature: bytes, signer: TokenSigner, *, with_certificate: bool
) -> bytes:
    """The answer that carries a token."""
    sizes = (len(info_der), len(attributes_der), len(signature))
    before, between, after_attributes = _around_token(signer, with_certificate, sizes)
    # The attributes' own tag and length are in the frame: in a token their tag is another one.
    content = attributes_der[-sizes[1] + _header_octets(sizes[1]) :]
    return b"".join((before, info_der, between, content, after_attributes, signature))


@lru_cache(maxsize=1024)
def _header_octets(whole: int) -> int:
    """How many octets of an element of this length are tag and length."""
    header = 2
    while len(der.tlv(der.SET, bytes(whole - header))) != whole:
        header += 1
    return header


def _mark(name: str, octets: int) -> bytes:
    """Octets that are found again, whatever stands around them."""
    return hashlib.shake_128(name.encode()).digest(octets)


@lru_cache(maxsize=1024)
def _around_token(
    signer: TokenSigner, with_certificate: bool, sizes: tuple[int, int, int]
) -> tuple[bytes, bytes, bytes]:
    """Write an answer with marks in the three places, and cut it there; the signature comes last."""
    info, content = _mark("info", sizes[0]), _mark("attributes", sizes[1] - _header_octets(sizes[1]))
    signature = _mark("signature", sizes[2])
    whole = granted(
        token(info, der.tlv(der.SET, content), signature, signer, with_certificate=with_certificate)
    )
    before, _, rest = whole.partition(info)
    between, _, after = rest.partition(content)
    return before, between, after[: -sizes[2]]
