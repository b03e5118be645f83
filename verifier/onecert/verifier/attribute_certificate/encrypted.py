"""Encrypted attributes (RFC 5755, section 7.1): for the eyes of named relying parties only.

The attribute ``encAttrs`` holds EnvelopedData of ``ACClearAttrs``: attributes, with the issuer and the serial
number of the attribute certificate, so that nobody can move them into another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat import asn1

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import check_der
from onecert.verifier.attribute_certificate.enveloped import DecryptionKey, envelop, open_envelope
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.parse import Attribute, AttributeCertificate, read_attributes
from onecert.verifier.attribute_certificate.proved import VerifiedAttributeCertificate, assignable
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import MalformedError, RefusedError

__all__ = ["DecryptionKey", "decrypt_attributes", "encrypt_attributes", "open_encrypted"]

# id-ct-attrCertEncAttrs, 1.2.840.113549.1.9.16.1.14
_CONTENT_TYPE = bytes.fromhex("060b2a864886f70d010910010e")
_SOURCE = "RFC 5755, section 7.1"
MAX_CLEAR_OCTETS = 16 * 1024


def encrypt_attributes(
    attributes: Sequence[Attribute],
    *,
    issuer: GeneralName,
    serial: int,
    recipients: Sequence[x509.Certificate | ParsedCertificate | bytes],
) -> bytes:
    """Return one value of ``encAttrs`` (the DER of ``ContentInfo``).

    Args:
        attributes: what only the recipients may read; at least one, each type once, none encrypted itself.
        issuer, serial: of the attribute certificate that it will stand in.
        recipients: see ``envelop``.

    Raises:
        MalformedError: ``ENCRYPTION_RECIPIENT``, ``TOO_LARGE``.
        RefusedError: ``NO_ATTRIBUTES``, ``DUPLICATE_ATTRIBUTE``.
    """
    _check_types(attributes)
    content = asn1.encode_der(
        syntax.ClearAttributes(
            issuer=syntax.raw(issuer.to_der()),
            serial=serial,
            attributes=[
                syntax.AttributeSyntax(type=each.oid, values=asn1.SetOf(list(map(syntax.raw, each.values))))
                for each in attributes
            ],
        )
    )
    if len(content) > MAX_CLEAR_OCTETS:
        raise MalformedError("TOO_LARGE", kind="encrypted attributes", max=MAX_CLEAR_OCTETS)
    return envelop(content, _CONTENT_TYPE, [as_parsed(each) for each in recipients])


def open_encrypted(
    verified: VerifiedAttributeCertificate,
    *,
    recipient: x509.Certificate | ParsedCertificate | bytes,
    key: DecryptionKey,
) -> VerifiedAttributeCertificate:
    """Return a verified certificate with what is encrypted to us beside what everybody reads.

    What was encrypted is judged like the rest: by the delegations it was given under, and by what the
    authority may assign. A certificate without encrypted attributes comes back as it is.

    Args:
        verified: the certificate; where the authority may not assign ``encAttrs``, nothing is opened.
        recipient: our certificate.
        key: its private key.

    Raises:
        MalformedError: ``NOT_DER``.
        RefusedError: ``ENCRYPTED_FOR_OTHERS``, when no value is for us; ``ENCRYPTED_UNREADABLE``, the same
            for every wrong key and every damage; ``ENCRYPTED_ELSEWHERE``, when they were made for another
            certificate; ``DUPLICATE_ATTRIBUTE``; ``EXCEEDS_DELEGATION``.
    """
    route = verified.route
    opened = _decrypt(verified.attributes, verified.certificate, as_parsed(recipient), key)
    if not opened or route is None:
        return verified
    others = [each for each in verified.certificate.attributes if each.oid != Oid.ENCRYPTED_ATTRIBUTES]
    _check_types([*others, *opened])
    if route.limits is not None:
        for finding in route.limits.findings(
            opened, verified.holder, verified.not_before, verified.not_after, None
        ):
            raise finding.error()
    roles, kept, dropped = assignable(opened, route)
    clear = tuple(each for each in verified.attributes if each.oid != Oid.ENCRYPTED_ATTRIBUTES)
    return replace(
        verified,
        roles=(*verified.roles, *roles),
        attributes=(*clear, *kept),
        dropped=(*verified.dropped, *dropped),
    )


def decrypt_attributes(
    certificate: AttributeCertificate,
    *,
    recipient: x509.Certificate | ParsedCertificate | bytes,
    key: DecryptionKey,
) -> tuple[Attribute, ...]:
    """Return what is encrypted to one recipient; nothing is verified, and nothing is judged.

    For an authority that looks at what it has made. A relying party asks ``open_encrypted``.

    Raises:
        MalformedError, RefusedError: as ``open_encrypted``.
    """
    found = _decrypt(certificate.attributes, certificate, as_parsed(recipient), key)
    if found:
        _check_types(found)
    return tuple(found)


def _decrypt(
    attributes: Sequence[Attribute],
    certificate: AttributeCertificate,
    recipient: ParsedCertificate,
    key: DecryptionKey,
) -> list[Attribute]:
    values = [value for each in attributes if each.oid == Oid.ENCRYPTED_ATTRIBUTES for value in each.values]
    found: list[Attribute] = []
    others: RefusedError | None = None
    for value in values:
        try:
            content = open_envelope(value, _CONTENT_TYPE, recipient, key)
        except RefusedError as exc:
            if exc.code != "ENCRYPTED_FOR_OTHERS":
                raise
            others = exc
            continue
        found += _read(content, certificate)
    if others is not None and not found:
        raise others
    return found


def _read(content: bytes, certificate: AttributeCertificate) -> list[Attribute]:
    try:
        check_der(content)
        clear = asn1.decode_der(syntax.ClearAttributes, content)
        issuer = GeneralName.from_tlv(clear.issuer)
        attributes = list(read_attributes(clear.attributes))
    except (ValueError, TypeError, OverflowError) as exc:
        # A wrong key makes a right padding once in 256: then it fails here.
        raise RefusedError("ENCRYPTED_UNREADABLE", source=_SOURCE) from exc
    if (
        certificate.issuer is None
        or issuer.key() != certificate.issuer.key()
        or clear.serial != certificate.serial
    ):
        raise RefusedError("ENCRYPTED_ELSEWHERE", serial=certificate.serial_hex, source=_SOURCE)
    return attributes


def _check_types(attributes: Sequence[Attribute]) -> None:
    oids = [each.oid for each in attributes]
    if not oids or not all(each.values for each in attributes):
        raise RefusedError("NO_ATTRIBUTES", source=_SOURCE)
    twice = next((oid for oid in oids if oids.count(oid) > 1 or oid == Oid.ENCRYPTED_ATTRIBUTES), None)
    if twice is not None:
        raise RefusedError("DUPLICATE_ATTRIBUTE", oid=twice.dotted_string, source=_SOURCE)
