"""Writes the signed part of an attribute certificate (RFC 5755, section 4).

What is the same for every certificate of an authority is encoded once (``Template``); what differs are the
holder, the serial number, the period, the roles and the targets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography.hazmat import asn1

from onecert.pmi.issuing.signing import algorithm_of
from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.attribute_certificate.extensions import Targets
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, GeneralName
from onecert.verifier.attribute_certificate.roles import Role
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import GENERALIZED_TIME, SEQUENCE
from onecert.verifier.signatures import load_public_key

__all__ = ["Template", "draw_serial", "key_identifier"]

_V2 = 1
_V2_FORM = 0xA0
# RFC 5755, section 4.2.5: positive, at most 20 octets. A fixed first octet that is neither zero nor has its
# top bit set, so that every number has the same length; 19 random octets behind it.
_SERIAL_LEAD = 0x4A
_SERIAL_RANDOM_OCTETS = 19


def draw_serial() -> int:
    """Draw a serial number: 152 random bits."""
    return int.from_bytes(bytes((_SERIAL_LEAD,)) + secrets.token_bytes(_SERIAL_RANDOM_OCTETS), "big")


@dataclass(frozen=True)
class Template:
    """What all attribute certificates of one authority have in common.

    Args:
        authority: the authority's own certificate.
        acrl_url: where its revocation list is published.
    """

    authority: ParsedCertificate
    acrl_url: str

    @cached_property
    def algorithm_der(self) -> bytes:
        """The AlgorithmIdentifier that stands inside and outside."""
        return algorithm_of(load_public_key(self.authority.spki_der)).identifier_der

    @cached_property
    def _algorithm(self) -> syntax.Tlv:
        return syntax.raw(self.algorithm_der)

    @cached_property
    def _issuer(self) -> syntax.Tlv:
        # v2Form with issuerName alone: one directory name.
        names = tlv(SEQUENCE, GeneralName(DIRECTORY, self.authority.subject_der).to_der())
        return syntax.raw(tlv(_V2_FORM, names))

    @cached_property
    def _extensions(self) -> list[syntax.ExtensionSyntax]:
        key_id = syntax.AuthorityKeyIdentifierSyntax(
            key_identifier=key_identifier(self.authority), issuer=None, serial=None
        )
        # CRLDistributionPoints: one point, full name, one URI (RFC 5280, section 4.2.1.13).
        point = tlv(SEQUENCE, tlv(0xA0, tlv(0xA0, GeneralName.uri(self.acrl_url).to_der())))
        return [
            syntax.ExtensionSyntax(
                oid=Oid.AUTHORITY_KEY_IDENTIFIER, critical=False, value=asn1.encode_der(key_id)
            ),
            syntax.ExtensionSyntax(
                oid=Oid.CRL_DISTRIBUTION_POINTS, critical=False, value=tlv(SEQUENCE, point)
            ),
        ]

    def fill(
        self,
        *,
        holder: ParsedCertificate,
        serial: int,
        not_before: datetime,
        not_after: datetime,
        roles: Iterable[str],
        targets: Sequence[str] = (),
    ) -> bytes:
        """Return the DER of ``AttributeCertificateInfo``, the bytes to be signed.

        The holder is named by ``baseCertificateID``: the attribute certificate dies with this identity
        certificate.
        """
        values = asn1.SetOf([syntax.raw(Role(role).to_der()) for role in roles])
        extensions = self._extensions
        if targets:
            value = Targets(tuple(map(GeneralName.uri, targets)), ()).to_der()
            target = syntax.ExtensionSyntax(oid=Oid.TARGET_INFORMATION, critical=True, value=value)
            extensions = [*extensions, target]
        return asn1.encode_der(
            syntax.AttributeCertificateInfo(
                version=_V2,
                holder=_holder(holder),
                issuer=self._issuer,
                signature=self._algorithm,
                serial=serial,
                validity=syntax.ValidityPeriod(not_before=_time(not_before), not_after=_time(not_after)),
                attributes=[syntax.AttributeSyntax(type=Oid.ROLE, values=values)],
                issuer_unique_id=None,
                extensions=extensions,
            )
        )


def _holder(certificate: ParsedCertificate) -> syntax.HolderSyntax:
    issuer = syntax.raw(GeneralName(DIRECTORY, certificate.issuer_der).to_der())
    return syntax.HolderSyntax(
        base_certificate_id=syntax.IssuerSerial(issuer=[issuer], serial=certificate.serial, issuer_uid=None),
        entity_name=None,
        object_digest_info=None,
    )


def _time(at: datetime) -> syntax.Tlv:
    return syntax.raw(tlv(GENERALIZED_TIME, f"{at:%Y%m%d%H%M%SZ}".encode("ascii")))


def key_identifier(authority: ParsedCertificate) -> bytes:
    """Return the key identifier for an authority's certificates and lists: that of its own certificate."""
    if authority.subject_key_id is None:
        raise ValueError("the authority's certificate has no subject key identifier")
    return authority.subject_key_id
