"""Attributes of a SignerInfo: the set as it was signed, and the values that decide.

RFC 5652, sections 5.3 and 11; RFC 2634 and RFC 5035 for signing-certificate; RFC 3161, appendix A, for the
timestamp of a signature.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import OCTET_STRING, SEQUENCE, SET, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.general_names import parse_general_names
from onecert.verifier.names import names_match
from onecert.verifier.signed_form.digests import DIGESTS, digest, read_digest_algorithm
from onecert.verifier.times import read_time

__all__ = [
    "CONTENT_TYPE",
    "COUNTERSIGNATURE",
    "MESSAGE_DIGEST",
    "SIGNATURE_TIMESTAMP",
    "SIGNING_CERTIFICATE",
    "SIGNING_CERTIFICATE_V2",
    "SIGNING_TIME",
    "Attributes",
    "CertificateHash",
    "looks_like_signed_attributes",
    "read_attributes",
]

_PKCS9 = "1.2.840.113549.1.9."
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = _PKCS9 + "3", _PKCS9 + "4", _PKCS9 + "5"
COUNTERSIGNATURE = _PKCS9 + "6"
SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2 = _PKCS9 + "16.2.12", _PKCS9 + "16.2.47"
SIGNATURE_TIMESTAMP = _PKCS9 + "16.2.14"
_ATTRIBUTES_MAX, _VALUES_MAX, _HASHES_MAX = 64, 16, 64
_DIRECTORY_NAME = 4


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """``ESSCertID`` or ``ESSCertIDv2``: the certificate that the signer meant."""

    algorithm: str
    digest: bytes
    issuer_der: bytes | None
    serial: int | None

    def fits(self, certificate: ParsedCertificate) -> bool:
        """Tell whether it names this certificate."""
        if self.algorithm not in DIGESTS:
            return False
        if not hmac.compare_digest(digest(self.algorithm, certificate.der), self.digest):
            return False
        if self.issuer_der is None:
            return True
        return self.serial == certificate.serial and names_match(self.issuer_der, certificate.issuer_der)


@dataclass(frozen=True, slots=True)
class Attributes:
    """``signed_der`` is the DER SET OF over which the signature was made; values are DER, whole TLVs."""

    signed_der: bytes
    values: dict[str, tuple[bytes, ...]]

    def single(self, oid: str, tag: int) -> bytes:
        """Contents of the only value of an attribute that must be there.

        Raises:
            RefusedError: ``CMS_ATTRIBUTE_MISSING``, ``CMS_ATTRIBUTE_VALUES``.
            DerError: the value is of another type.
        """
        reader = Reader(self._only(oid))
        contents = reader.contents(tag)
        reader.done()
        return contents

    def _only(self, oid: str) -> bytes:
        values = self.values.get(oid)
        if values is None:
            raise RefusedError("CMS_ATTRIBUTE_MISSING", source="RFC 5652, section 5.3", attribute=oid)
        if len(values) != 1:
            raise RefusedError("CMS_ATTRIBUTE_VALUES", source="RFC 5652, section 11", attribute=oid)
        return values[0]

    @property
    def signing_time(self) -> datetime | None:
        """The time that the signer claims.

        Raises:
            DerError: not a time.
            RefusedError: more than one.
        """
        if SIGNING_TIME not in self.values:
            return None
        reader = Reader(self._only(SIGNING_TIME))
        at = read_time(reader)
        reader.done()
        return at

    def certificate_hashes(self) -> list[CertificateHash]:
        """What signing-certificate, of either version, says about the signer's own certificate.

        Raises:
            DerError: it breaks its grammar.
            RefusedError: more than one value.
        """
        return [
            _first_hash(self._only(oid), v2=oid == SIGNING_CERTIFICATE_V2)
            for oid in (SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2)
            if oid in self.values
        ]


def read_attributes(reader: Reader, tag: int) -> Attributes:
    """Read ``[tag] IMPLICIT SET OF Attribute``.

    Raises:
        DerError: breaks the grammar.
        RefusedError: ``CMS_ATTRIBUTE_TWICE``.
    """
    contents = reader.contents(tag)
    inside = Reader(contents)
    encoded: list[bytes] = []
    values: dict[str, tuple[bytes, ...]] = {}
    while inside:
        attribute_der = inside.raw()
        encoded.append(attribute_der)
        if len(encoded) > _ATTRIBUTES_MAX:
            raise DerError("too many attributes")
        attribute = Reader(attribute_der).enter(SEQUENCE)
        oid = attribute.oid()
        members = attribute.enter(SET)
        attribute.done()
        found = []
        while members:
            found.append(members.raw())
        if not 0 < len(found) <= _VALUES_MAX:
            raise DerError("an attribute without a value, or with too many")
        if oid in values:
            raise RefusedError("CMS_ATTRIBUTE_TWICE", source="RFC 5652, section 5.3", attribute=oid)
        values[oid] = tuple(found)
    if not encoded:
        raise DerError("an empty set of attributes")
    # RFC 5652, section 5.4: signed is the DER of an EXPLICIT SET OF, whatever stands in the message.
    return Attributes(tlv(SET, *sorted(encoded)), values)


def looks_like_signed_attributes(content: bytes) -> bool:
    """Tell whether content could be the signed attributes of another message.

    A signature over attributes verifies as one over content that spells those attributes, once the message
    says that it has none: such content is refused there.
    """
    try:
        outer = Reader(content)
        members = outer.enter(SET)
        outer.done()
        oids = set()
        while members:
            attribute = members.enter(SEQUENCE)
            oids.add(attribute.oid())
    except DerError:
        return False
    return bool(oids & {CONTENT_TYPE, MESSAGE_DIGEST})


def _first_hash(value: bytes, *, v2: bool) -> CertificateHash:
    """The first of the list: RFC 5035, section 3, gives it to the signer's own certificate."""
    outer = Reader(value)
    sequence = outer.enter(SEQUENCE)
    outer.done()
    certificates = sequence.enter(SEQUENCE)
    if sequence:
        sequence.raw()  # policies: for attribute certificates and chains, of no use here
    sequence.done()
    found: list[CertificateHash] = []
    while certificates:
        if len(found) == _HASHES_MAX:
            raise DerError("too many certificate hashes")
        found.append(_certificate_hash(certificates.enter(SEQUENCE), v2=v2))
    if not found:
        raise DerError("no certificate hash")
    return found[0]


def _certificate_hash(reader: Reader, *, v2: bool) -> CertificateHash:
    algorithm = "sha256" if v2 else "sha1"
    if v2 and reader.peek() == SEQUENCE:
        algorithm = read_digest_algorithm(reader)
    value = reader.contents(OCTET_STRING)
    issuer_der, serial = None, None
    if reader:
        both = reader.enter(SEQUENCE)
        names = parse_general_names(both.enter(SEQUENCE))
        serial = both.integer()
        both.done()
        directory = [name.value for name in names if name.tag == _DIRECTORY_NAME]
        if len(directory) != 1:
            raise MalformedError("MALFORMED", kind="signing-certificate", detail="issuer")
        issuer_der = directory[0]
    reader.done()
    return CertificateHash(algorithm, value, issuer_der, serial)
