"""Rules for any certificate request (RFC 2986): form, key, and that its maker holds the key."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from onecert.ca import der
from onecert.ca.linting.certificate import Signed
from onecert.ca.linting.fields import key_faults, name_faults, short_oid, weak_digest
from onecert.ca.linting.rules import Finding
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, verify_signature

__all__ = ["request_faults", "request_key"]

_CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105 - an object identifier


def request_key(content: bytes) -> bytes:
    """Cut the SubjectPublicKeyInfo out of a request.

    Raises:
        DerError
    """
    return _fields(Signed.of(content))[2]


def _fields(signed: Signed) -> list[bytes]:
    parts = [whole for _tag, _content, whole in der.elements(der.content_of(signed.content))]
    if len(parts) not in {3, 4}:
        raise der.DerError("not the fields of a request")
    return parts


def request_faults(content: bytes) -> Iterator[Finding]:
    """Name every rule that a request breaks.

    Raises:
        ValueError: it cannot be read at all.
    """
    signed = Signed.of(content)
    version, subject, spki, *attributes = _fields(signed)
    csr = x509.load_der_x509_csr(content)
    if der.content_of(version, der.INTEGER) != b"\x00":
        yield Finding("request-version")
    yield from name_faults(subject)
    yield from weak_digest(short_oid(der.elements(der.content_of(signed.algorithm))[0][2]))
    _key, faults = key_faults(csr, spki)
    yield from faults
    try:
        verify_signature(
            load_public_key(spki), signed.algorithm, der.content_of(signed.signature, der.BIT_STRING)[1:],
            signed.content, policy=None,
        )  # fmt: skip
    except VerifyError as exc:
        yield Finding("request-signature", exc.code)
    for _tag, attribute, _whole in der.elements(der.content_of(attributes[0], 0xA0)) if attributes else ():
        if short_oid(der.elements(attribute)[0][2]) == _CHALLENGE_PASSWORD:
            yield Finding("request-password")
