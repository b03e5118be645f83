"""The structures of RFC 5755, section 4 and appendix B, for ``cryptography.hazmat.asn1``.

The same classes read and write. Where the module has no words for a type (a CHOICE over SEQUENCE OF, an
optional or IMPLICIT ANY, ENUMERATED) the field is a ``TLV`` and the reader next door takes it from there.
"""

from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

Tlv = asn1.TLV


def raw(der: bytes) -> Tlv:
    """Wrap ready DER so that it can stand as a field of one of the structures below."""
    return asn1.decode_der(Tlv, der)


@asn1.sequence
class IssuerSerial:
    """``IssuerSerial``: a certificate named by its issuer and serial number."""

    issuer: list[Tlv]
    serial: int
    issuer_uid: asn1.BitString | None


@asn1.sequence
class ObjectDigestInfo:
    """``ObjectDigestInfo``: a key or certificate named by its digest."""

    object_type: Tlv  # ENUMERATED
    other_type: ObjectIdentifier | None
    algorithm: Tlv
    digest: asn1.BitString


@asn1.sequence
class HolderSyntax:
    """``Holder``: whom the attributes belong to."""

    base_certificate_id: Annotated[IssuerSerial | None, asn1.Implicit(0)]
    entity_name: Annotated[list[Tlv] | None, asn1.Implicit(1)]
    object_digest_info: Annotated[ObjectDigestInfo | None, asn1.Implicit(2)]


@asn1.sequence
class V2Form:
    """``V2Form``: the issuer; the profile wants ``issuer_name`` alone."""

    issuer_name: list[Tlv] | None
    base_certificate_id: Annotated[IssuerSerial | None, asn1.Implicit(0)]
    object_digest_info: Annotated[ObjectDigestInfo | None, asn1.Implicit(1)]


@asn1.sequence
class ValidityPeriod:
    """``AttCertValidityPeriod``: raw, so that a wrong time form has its own reason code."""

    not_before: Tlv
    not_after: Tlv


@asn1.sequence
class AttributeSyntax:
    """``Attribute``: a type and a SET OF its values."""

    type: ObjectIdentifier
    values: asn1.SetOf[Tlv]


@asn1.sequence
class ExtensionSyntax:
    """``Extension`` of RFC 5280, section 4.1."""

    oid: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class AttributeCertificateInfo:
    """``AttributeCertificateInfo``: what is signed."""

    version: int
    holder: HolderSyntax
    issuer: Tlv  # AttCertIssuer
    signature: Tlv
    serial: int
    validity: ValidityPeriod
    attributes: list[AttributeSyntax]
    issuer_unique_id: asn1.BitString | None
    extensions: list[ExtensionSyntax] | None


@asn1.sequence
class AttributeCertificateSyntax:
    """``AttributeCertificate``: the signed part kept as its own bytes."""

    info: Tlv
    algorithm: Tlv
    signature: asn1.BitString


@asn1.sequence
class RoleSyntax:
    """``RoleSyntax``: the role's name and, optionally, who specifies it."""

    role_authority: Annotated[list[Tlv] | None, asn1.Implicit(0)]
    # GeneralName is a CHOICE, so its tag is explicit (X.680, section 31.2.7).
    role_name: Annotated[Tlv, asn1.Explicit(1)]


@asn1.sequence
class ClearAttributes:
    """``ACClearAttrs`` (RFC 5755, section 7.1): what is encrypted, and for which attribute certificate."""

    issuer: Tlv  # GeneralName
    serial: int
    attributes: list[AttributeSyntax]


@asn1.sequence
class AAControls:
    """``AAControls`` (RFC 5755, section 7.4): which attributes an authority's certificate lets it assign."""

    path_length: int | None
    permitted: Annotated[list[ObjectIdentifier] | None, asn1.Implicit(0)]
    excluded: Annotated[list[ObjectIdentifier] | None, asn1.Implicit(1)]
    permit_unspecified: Annotated[bool, asn1.Default(True)]


@asn1.sequence
class BasicAttConstraintsSyntax:
    """``BasicAttConstraintsSyntax`` (X.509, section 17.5.2.1): the holder may delegate what it was given."""

    authority: Annotated[bool, asn1.Default(False)]
    path_length: int | None


@asn1.sequence
class AuthorityKeyIdentifierSyntax:
    """``AuthorityKeyIdentifier`` of RFC 5280, section 4.2.1.1."""

    key_identifier: Annotated[bytes | None, asn1.Implicit(0)]
    issuer: Annotated[list[Tlv] | None, asn1.Implicit(1)]
    serial: Annotated[int | None, asn1.Implicit(2)]


class Oid:
    """Object identifiers of RFC 5755 and X.509 that the package knows."""

    AUTHENTICATION_INFO = ObjectIdentifier("1.3.6.1.5.5.7.10.1")
    ACCESS_IDENTITY = ObjectIdentifier("1.3.6.1.5.5.7.10.2")
    CHARGING_IDENTITY = ObjectIdentifier("1.3.6.1.5.5.7.10.3")
    GROUP = ObjectIdentifier("1.3.6.1.5.5.7.10.4")
    ENCRYPTED_ATTRIBUTES = ObjectIdentifier("1.3.6.1.5.5.7.10.6")
    CLEARANCE = ObjectIdentifier("2.5.4.55")
    ROLE = ObjectIdentifier("2.5.4.72")

    AUDIT_IDENTITY = ObjectIdentifier("1.3.6.1.5.5.7.1.4")
    AA_CONTROLS = ObjectIdentifier("1.3.6.1.5.5.7.1.6")
    AUTHORITY_INFORMATION_ACCESS = ObjectIdentifier("1.3.6.1.5.5.7.1.1")
    CRL_DISTRIBUTION_POINTS = ObjectIdentifier("2.5.29.31")
    AUTHORITY_KEY_IDENTIFIER = ObjectIdentifier("2.5.29.35")
    AUTHORITY_ATTRIBUTE_IDENTIFIER = ObjectIdentifier("2.5.29.38")
    BASIC_ATTRIBUTE_CONSTRAINTS = ObjectIdentifier("2.5.29.41")
    DELEGATED_NAME_CONSTRAINTS = ObjectIdentifier("2.5.29.42")
    TIME_SPECIFICATION = ObjectIdentifier("2.5.29.43")
    ACCEPTABLE_CERTIFICATE_POLICIES = ObjectIdentifier("2.5.29.52")
    TARGET_INFORMATION = ObjectIdentifier("2.5.29.55")
    NO_REVOCATION_AVAILABLE = ObjectIdentifier("2.5.29.56")
    ACCEPTABLE_PRIVILEGE_POLICIES = ObjectIdentifier("2.5.29.57")
    NO_ASSERTION = ObjectIdentifier("2.5.29.62")
    ISSUED_ON_BEHALF_OF = ObjectIdentifier("2.5.29.64")
    SINGLE_USE = ObjectIdentifier("2.5.29.65")
    ALLOWED_ATTRIBUTE_ASSIGNMENTS = ObjectIdentifier("2.5.29.67")
    HOLDER_NAME_CONSTRAINTS = ObjectIdentifier("2.5.29.69")
