"""Signed documents: JWS general JSON serialization (RFC 7515, section 7.2.1), read strictly.

One document is ``{"payload": ..., "signatures": [{"protected": ..., "signature": ...}, ...]}`` and nothing
else. The protected header holds exactly ``alg``, ``kid`` and ``typ``. ``alg`` never chooses: it must be the
algorithm that belongs to the key we already trust. Algorithms: RFC 7518, RFC 8037 and RFC 9864 (EdDSA under
either name), RFC 9964 (ML-DSA). No name is registered for SM2, so that documents are not signed with it. Not
supported: unprotected headers, ``crit``, detached payloads.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from onecert.verifier.arguments import as_octets, check_kind
from onecert.verifier.errors import MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.signatures import PublicKey, check_key, key_id, verify_signature

__all__ = [
    "algorithms_for",
    "decode_base64url",
    "decode_json",
    "der_signature",
    "key_id",
    "load_json",
    "load_payload",
    "strict_decoder",
    "verify_document",
    "verify_payload",
]

_MAX_DEPTH = 32
_MAX_SIGNATURES = 32
_MAX_DIGITS = 20
_HEAD = b'{"payload":"'
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")
_NO_BRACKETS = re.compile(r"[^][{}]+")

# JWS name -> row of onecert.verifier.signatures
_RSA = {"RS256": "rsa-sha256", "PS256": "rsa-pss-sha256"}
_EC = {"secp256r1": ("ES256", "ecdsa-sha256", 32), "secp384r1": ("ES384", "ecdsa-sha384", 48)}
_PURE: tuple[tuple[type, Mapping[str, str]], ...] = (
    (ed25519.Ed25519PublicKey, {"EdDSA": "ed25519", "Ed25519": "ed25519"}),
    (ed448.Ed448PublicKey, {"EdDSA": "ed448", "Ed448": "ed448"}),
    (mldsa.MLDSA44PublicKey, {"ML-DSA-44": "ml-dsa-44"}),
    (mldsa.MLDSA65PublicKey, {"ML-DSA-65": "ml-dsa-65"}),
    (mldsa.MLDSA87PublicKey, {"ML-DSA-87": "ml-dsa-87"}),
)


def verify_document(
    data: bytes,
    *,
    typ: str,
    keys: Mapping[str, PublicKey],
    threshold: int = 1,
    max_bytes: int = DEFAULT_LIMITS.document_max_bytes,
) -> dict[str, Any]:
    """Check a signed document and return its payload.

    Args:
        data: the document, UTF-8 JSON.
        typ: the type it must have; a signature for one kind of document is none for another.
        keys: ``key_id(key)`` -> key, for every key whose signature counts.
        threshold: so many *different* keys must have signed.
        max_bytes: larger documents are refused before they are read.

    Raises:
        MalformedError: not a document of this form (``TOO_LARGE``, ``DOCUMENT_MALFORMED``).
        RefusedError: ``DOCUMENT_TYPE`` or ``DOCUMENT_THRESHOLD``. Signatures of unknown keys do not count.
        SignatureInvalidError: a known key's signature is wrong. That is an altered document, whatever the
        rest.
    """
    octets = verify_payload(data, typ=typ, keys=keys, threshold=threshold, max_bytes=max_bytes)
    # Only now is the payload read: whatever its JSON does to the parser, trusted keys have signed it.
    result = load_json(octets, max_bytes=max_bytes)
    if not isinstance(result, dict):
        _malformed("the payload is not an object")
    return result


def verify_payload(
    data: bytes,
    *,
    typ: str,
    keys: Mapping[str, PublicKey],
    threshold: int = 1,
    max_bytes: int = DEFAULT_LIMITS.document_max_bytes,
) -> bytes:
    """Check a signed document like ``verify_document``, and return the octets of its payload, not yet read.

    Raises:
        MalformedError, RefusedError, SignatureInvalidError: as ``verify_document``, except for what is wrong
        inside the payload.
    """
    if threshold < 1:
        raise ValueError("threshold must be at least 1")
    check_kind(keys, Mapping, "keys")
    payload, entries = _open(data, max_bytes)
    decoded = _decode(payload)
    signers: set[str] = set()
    for entry in entries:
        signer = _check_entry(entry, payload, typ, keys)
        if signer is not None:
            if signer in signers:
                _malformed("one key has signed twice")
            signers.add(signer)
    if len(signers) < threshold:
        raise RefusedError("DOCUMENT_THRESHOLD", found=len(signers), needed=threshold)
    return decoded


def load_payload(data: bytes, *, max_bytes: int) -> bytes:
    """The octets of the payload of a signed document, whoever signed it: *no* signature is checked.

    Raises:
        MalformedError: ``TOO_LARGE`` or ``DOCUMENT_MALFORMED``.
    """
    return _decode(_open(data, max_bytes)[0])


def _open(data: bytes, max_bytes: int) -> tuple[bytes, list[Any]]:
    """The payload as base64url, and the signatures."""
    data = as_octets(data, "a document")
    payload = b""
    if len(data) <= max_bytes and data.startswith(_HEAD):
        # A long payload is taken out before the rest is read as JSON, which would look at each letter.
        # What is no base64url in it is refused when it is decoded; escapes, which JSON allows, stay in.
        end = data.find(b'"', len(_HEAD))
        if end > 0 and data.find(b"\\", 0, end) < 0:
            payload, data = data[len(_HEAD) : end], _HEAD + data[end:]
    document = load_json(data, max_bytes=max_bytes)
    if not isinstance(document, dict) or document.keys() != {"payload", "signatures"}:
        _malformed("it needs exactly payload and signatures")
    entries = document["signatures"]
    if (
        not isinstance(document["payload"], str)
        or not isinstance(entries, list)
        or not 0 < len(entries) <= _MAX_SIGNATURES
    ):
        _malformed("payload or signatures")
    return payload or document["payload"].encode(), entries


def _check_entry(entry: object, payload: bytes, typ: str, keys: Mapping[str, PublicKey]) -> str | None:
    """The id of the known key that made this signature; ``None`` when the key is not known."""
    if not isinstance(entry, dict) or entry.keys() != {"protected", "signature"}:
        _malformed("a signature needs exactly protected and signature")
    protected, signature = entry["protected"], entry["signature"]
    if not isinstance(protected, str) or not isinstance(signature, str):
        _malformed("protected or signature")
    header = load_json(decode_base64url(protected), max_bytes=4096)
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"}:
        _malformed("the protected header needs exactly alg, kid and typ")
    alg, kid = header["alg"], header["kid"]
    if not isinstance(alg, str) or not isinstance(kid, str) or not isinstance(header["typ"], str):
        _malformed("the protected header")
    signature_bytes = decode_base64url(signature)
    if header["typ"] != typ:
        raise RefusedError("DOCUMENT_TYPE", found=header["typ"], expected=typ)
    key = keys.get(kid)
    if key is None:
        return None
    check_key(key)
    known = algorithms_for(key)
    if alg not in known:
        raise RefusedError("ALGORITHM_MISMATCH", algorithm=alg)
    try:
        verify_signature(
            key, known[alg], der_signature(key, signature_bytes), b"%b.%b" % (protected.encode(), payload)
        )
    except SignatureInvalidError as exc:
        raise SignatureInvalidError("DOCUMENT_SIGNATURE", kid=kid) from exc
    # Not the kid: the same key listed under two names is still one signer.
    return key_id(key)


def algorithms_for(key: PublicKey) -> Mapping[str, str]:
    """The JWS algorithms that fit a key (JWS name -> name in the signature table)."""
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _EC:
        name, row, _ = _EC[key.curve.name]
        return {name: row}
    return next((names for kind, names in _PURE if isinstance(key, kind)), {})


def der_signature(key: PublicKey, signature: bytes) -> bytes:
    """The signature as ``verify_signature`` wants it, from what stands in a JWS (RFC 7518, section 3.4).

    Raises:
        SignatureInvalidError: it has another length.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return signature
    # RFC 7518, section 3.4: r and s, each as long as the field, one after the other.
    size = _EC[key.curve.name][2]
    if len(signature) != 2 * size:
        raise SignatureInvalidError("SIGNATURE_INVALID")
    return encode_dss_signature(
        int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    )


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding; only the one canonical spelling is accepted.

    Raises:
        MalformedError: another alphabet, padding, or leftover bits that are not zero.
        TypeError: it is no text.
    """
    check_kind(text, str, "base64url")
    return _decode(text.encode("utf-8", "replace"))


def _decode(text: bytes) -> bytes:
    if b"+" in text or b"/" in text or b"=" in text or len(text) % 4 == 1:
        _malformed("base64url")
    standard = text.translate(_TO_BASE64)
    try:
        decoded = binascii.a2b_base64(standard + b"=" * (-len(text) % 4) if len(text) % 4 else standard)
    except binascii.Error as exc:
        raise MalformedError("DOCUMENT_MALFORMED", detail="base64url") from exc
    # What belongs to no alphabet is passed over, and shows by what is missing.
    if len(decoded) != len(text) * 3 // 4:
        _malformed("base64url")
    # Only the last letters can hold bits that belong to no octet.
    rest = decoded[len(decoded) - len(decoded) % 3 :]
    if not text.endswith(base64.urlsafe_b64encode(rest).rstrip(b"=")):
        _malformed("base64url is not canonical")
    return decoded


def load_json(data: bytes, *, max_bytes: int) -> Any:
    """Read JSON so that two readers cannot see two things: no duplicate keys, no NaN, no lone surrogates.

    Raises:
        MalformedError: ``TOO_LARGE`` or ``DOCUMENT_MALFORMED``.
    """
    data = as_octets(data, "a document")
    if len(data) > max_bytes:
        raise MalformedError("TOO_LARGE", kind="document", max=max_bytes)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError("DOCUMENT_MALFORMED", detail="it is not UTF-8") from exc
    _check_depth(text)
    return decode_json(text)


def decode_json(text: str, decoder: json.JSONDecoder | None = None) -> Any:
    """What ``load_json`` does after it has bounded the size and the depth.

    Args:
        text: as deep as it likes; what the parser cannot follow is refused.
        decoder: made by ``strict_decoder``, when constants mean something.

    Raises:
        MalformedError: ``DOCUMENT_MALFORMED``.
    """
    try:
        value = (decoder or _DECODER).decode(text)
    except (ValueError, RecursionError) as exc:
        raise MalformedError("DOCUMENT_MALFORMED", detail="it is not JSON") from exc
    if "\\u" in text:
        _check_text(value)
    return value


def _check_depth(text: str) -> None:
    """Bound the nesting before the parser recurses. Brackets inside strings do not count."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return
    # Without escapes, every other piece between quotes lies outside of strings. A backslash out there
    # misleads this from its place on, which is where the parser stops.
    pieces = text.replace("\\\\", "").replace('\\"', "").split('"')
    depth = 0
    for bracket in _NO_BRACKETS.sub("", "".join(pieces[::2])):
        if bracket in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                _malformed("it is nested too deeply")
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _malformed("an object has a key twice")
    return result


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        _malformed("a number is too long")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    _malformed(f"{name} is not JSON")


def _refuse_float(_: str) -> NoReturn:
    # Two languages print one float differently; our documents count in whole numbers.
    _malformed("numbers must be whole")


def strict_decoder(constant: Callable[[str], Any] = _refuse_constant) -> json.JSONDecoder:
    """A decoder without repeated keys, long numbers and fractions; ``constant`` reads NaN and the like."""
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_constant=constant,
        parse_int=_integer,
        parse_float=_refuse_float,
    )


# Made once: a decoder costs as much as reading a small document.
_DECODER = strict_decoder()


def _check_text(value: object) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise MalformedError("DOCUMENT_MALFORMED", detail="a lone surrogate") from exc
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("DOCUMENT_MALFORMED", detail=detail)
