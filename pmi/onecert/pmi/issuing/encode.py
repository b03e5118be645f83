"""Writes the signed part of an attribute certificate (RFC 5755, section 4).

What is the same for every certificate of an authority is encoded once (``Template``), and so is what many
holders have in common: their attributes and targets. What is left are the holder, the serial number and the
period.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from cryptography.hazmat import asn1

from onecert.pmi.issuing.signing import algorithm_of
from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.delegation import Constraints
from onecert.verifier.attribute_certificate.encoding import ENUMERATED, tlv
from onecert.verifier.attribute_certificate.extensions import Targets
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, URI, GeneralName
from onecert.verifier.attribute_certificate.holder import (
    PUBLIC_KEY,
    PUBLIC_KEY_CERTIFICATE,
    digest_algorithm_der,
    digest_of,
)
from onecert.verifier.attribute_certificate.parse import Attribute, Extension
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import BIT_STRING, GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, SET
from onecert.verifier.signatures import load_public_key

__all__ = ["ENTITY_URN", "Content", "Template", "Under", "draw_serial", "draw_serials", "key_identifier"]

# How the holder form "entity" names a legal entity: a URI that the verifier compares with the identity that
# was verified, not with anything in the certificate.
ENTITY_URN = "urn:onecert:entity:"

_V2 = tlv(INTEGER, b"\x01")
_V2_FORM = 0xA0
_NULL = b"\x05\x00"
_OCSP = bytes.fromhex("06082b06010505073001")  # id-ad-ocsp
# RFC 5755, section 4.2.5: positive, at most 20 octets. A fixed first octet that is neither zero nor has its
# top bit set, so that every number has the same length; 19 random octets behind it.
_SERIAL_LEAD = 0x4A
_SERIAL_RANDOM_OCTETS = 19


def draw_serial() -> int:
    """Draw a serial number: 152 random bits."""
    return draw_serials(1)[0]


def draw_serials(count: int) -> list[int]:
    """Draw several serial numbers at once."""
    drawn = secrets.token_bytes(_SERIAL_RANDOM_OCTETS * count)
    lead = bytes((_SERIAL_LEAD,))
    return [
        int.from_bytes(lead + drawn[at : at + _SERIAL_RANDOM_OCTETS], "big")
        for at in range(0, len(drawn), _SERIAL_RANDOM_OCTETS)
    ]


@dataclass(frozen=True)
class Under:
    """The delegation that a certificate is issued under: the subject of who gave it (DER), and its serial."""

    issuer_der: bytes
    serial: int


@dataclass(frozen=True, kw_only=True)
class Content:
    """What one attribute certificate says, besides whose it is and its serial number.

    Args:
        attributes: in the order in which they are to stand, the values of each in the order of SET OF.
        holder_form: ``certificate``: the holder by issuer and serial number, and the attribute certificate
            dies with that; ``key``, ``digest``: by the SHA-256 of key or certificate; ``name``: by the
            subject; ``entity``: by the canonical id ``entity``.
        short_lived: noRevAvail instead of pointers to lists and answers.
        audit_identity: hexadecimal; empty: none.
        constraints: of a delegation.
        under: the delegation of the authority itself.
    """

    holder: ParsedCertificate
    not_before: datetime
    not_after: datetime
    attributes: tuple[Attribute, ...]
    holder_form: str = "certificate"
    entity: str = ""
    targets: tuple[str, ...] = ()
    target_groups: tuple[str, ...] = ()
    short_lived: bool = False
    audit_identity: str = ""
    constraints: Constraints | None = None
    under: Under | None = None


@dataclass(frozen=True)
class Template:
    """What all attribute certificates of one authority have in common.

    Args:
        authority: the authority's own certificate.
        acrl_url: where its revocation list is published; its OCSP responder is beside it.
    """

    authority: ParsedCertificate
    acrl_url: str

    @property
    def ocsp_url(self) -> str:
        """Where the status of a single certificate is answered."""
        # One responder for all keys of an authority; a list for each.
        return re.sub(r"(\.[0-9]+)?\.acrl$", "/ocsp", self.acrl_url)

    @cached_property
    def algorithm_der(self) -> bytes:
        """The AlgorithmIdentifier that stands inside and outside."""
        return algorithm_of(load_public_key(self.authority.spki_der)).identifier_der

    @cached_property
    def _issuer_and_signature(self) -> bytes:
        # v2Form with issuerName alone: one directory name.
        names = tlv(SEQUENCE, GeneralName(DIRECTORY, self.authority.subject_der).to_der())
        return tlv(_V2_FORM, names) + self.algorithm_der

    @cached_property
    def _authority_key(self) -> bytes:
        key_id = syntax.AuthorityKeyIdentifierSyntax(
            key_identifier=key_identifier(self.authority), issuer=None, serial=None
        )
        return _extension(Extension(Oid.AUTHORITY_KEY_IDENTIFIER, False, asn1.encode_der(key_id)))

    @cached_property
    def _status_pointers(self) -> bytes:
        # CRLDistributionPoints: one point, full name, one URI (RFC 5280, section 4.2.1.13).
        point = tlv(SEQUENCE, tlv(0xA0, tlv(0xA0, GeneralName.uri(self.acrl_url).to_der())))
        ocsp = tlv(SEQUENCE, _OCSP, GeneralName.uri(self.ocsp_url).to_der())
        return _extension(Extension(Oid.CRL_DISTRIBUTION_POINTS, False, tlv(SEQUENCE, point))) + _extension(
            Extension(Oid.AUTHORITY_INFORMATION_ACCESS, False, tlv(SEQUENCE, ocsp))
        )

    @cached_property
    def _no_status(self) -> bytes:
        return _extension(Extension(Oid.NO_REVOCATION_AVAILABLE, False, _NULL))

    def fill(self, content: Content, serial: int) -> bytes:
        """Return the DER of ``AttributeCertificateInfo``, the bytes to be signed."""
        extensions = self._authority_key + (self._no_status if content.short_lived else self._status_pointers)
        if content.targets or content.target_groups:
            extensions += _targets(content.targets, content.target_groups)
        if content.audit_identity:
            value = tlv(OCTET_STRING, bytes.fromhex(content.audit_identity))
            extensions += _extension(Extension(Oid.AUDIT_IDENTITY, True, value))
        if content.under is not None:
            extensions += _given_under(content.under)
        if content.constraints is not None:
            extensions += b"".join(map(_extension, content.constraints.to_extensions()))
        return tlv(
            SEQUENCE,
            _V2,
            _holder(content.holder, content.holder_form, content.entity),
            self._issuer_and_signature,
            _integer(serial),
            tlv(SEQUENCE, _time(content.not_before), _time(content.not_after)),
            _attributes(content.attributes),
            tlv(SEQUENCE, extensions),
        )


def _holder(certificate: ParsedCertificate, form: str, entity: str) -> bytes:
    """RFC 5755, section 4.2.2: exactly one of the three ways."""
    if form == "certificate":
        issuer = tlv(SEQUENCE, GeneralName(DIRECTORY, certificate.issuer_der).to_der())
        return tlv(SEQUENCE, tlv(0xA0, issuer, _integer(certificate.serial)))
    if form == "name":
        return tlv(SEQUENCE, tlv(0xA1, GeneralName(DIRECTORY, certificate.subject_der).to_der()))
    if form == "entity":
        return tlv(SEQUENCE, tlv(0xA1, tlv(URI, f"{ENTITY_URN}{entity}".encode("ascii"))))
    kind = {"key": PUBLIC_KEY, "digest": PUBLIC_KEY_CERTIFICATE}[form]
    digest = tlv(BIT_STRING, b"\x00", digest_of(certificate, kind))
    info = tlv(0xA2, tlv(ENUMERATED, bytes((kind,))), digest_algorithm_der(), digest)
    return tlv(SEQUENCE, info)


@lru_cache(maxsize=4096)
def _attributes(attributes: tuple[Attribute, ...]) -> bytes:
    each = (asn1.encode_der(attribute.oid) + tlv(SET, *attribute.values) for attribute in attributes)
    return tlv(SEQUENCE, *(tlv(SEQUENCE, content) for content in each))


@lru_cache(maxsize=1024)
def _targets(names: tuple[str, ...], groups: tuple[str, ...]) -> bytes:
    value = Targets(tuple(map(GeneralName.uri, names)), tuple(map(GeneralName.uri, groups))).to_der()
    return _extension(Extension(Oid.TARGET_INFORMATION, True, value))


@lru_cache(maxsize=1024)
def _given_under(under: Under) -> bytes:
    # X.509, section 17.5.2.4: names the delegation; a hint, which nobody needs to believe.
    issuer = tlv(SEQUENCE, GeneralName(DIRECTORY, under.issuer_der).to_der())
    value = tlv(SEQUENCE, tlv(SEQUENCE, issuer, _integer(under.serial)))
    return _extension(Extension(Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER, False, value))


def _extension(extension: Extension) -> bytes:
    return asn1.encode_der(
        syntax.ExtensionSyntax(oid=extension.oid, critical=extension.critical, value=extension.value)
    )


def _integer(value: int) -> bytes:
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@lru_cache(maxsize=4096)
def _time(at: datetime) -> bytes:
    # RFC 5755, section 4.2.6: whole seconds, UTC, four digits of the year.
    return tlv(GENERALIZED_TIME, f"{at:%Y%m%d%H%M%SZ}".encode("ascii"))


def key_identifier(authority: ParsedCertificate) -> bytes:
    """Return the key identifier for an authority's certificates and lists: that of its own certificate."""
    if authority.subject_key_id is None:
        raise ValueError("the authority's certificate has no subject key identifier")
    return authority.subject_key_id
