"""Which certificates a CRL is about: RFC 5280, sections 5.2.5 and 6.3.3 (b) to (d)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import DerError
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.extensions import DistributionPoint, GeneralName
from onecert.verifier.names import CanonicalName, canonical_name
from onecert.verifier.revocation.crl import Crl, IssuingDistributionPoint

__all__ = ["ALL_REASONS", "Subject", "covered_reasons", "crl_issuers", "full_scope_matches"]

_DIRECTORY_NAME = 4
# ReasonFlags without "unused": every reason for which a certificate can be revoked.
ALL_REASONS = frozenset(range(1, 9))


@dataclass(frozen=True, slots=True)
class Subject:
    """The certificate that is asked about; attribute certificates have one of these too."""

    serial: int
    issuer: CanonicalName
    issuer_der: bytes
    is_ca: bool
    points: tuple[DistributionPoint, ...]
    is_attribute: bool = False

    @classmethod
    def of(cls, certificate: ParsedCertificate) -> Subject:
        """For a public-key certificate."""
        return cls(
            certificate.serial,
            certificate.issuer,
            certificate.issuer_der,
            certificate.is_ca,
            certificate.distribution_points,
        )


def crl_issuers(point: DistributionPoint, subject: Subject) -> list[CanonicalName]:
    if not point.crl_issuer:
        return [subject.issuer]
    issuers = []
    for name in point.crl_issuer:
        if name.tag == _DIRECTORY_NAME:
            try:
                issuers.append(canonical_name(name.value))
            except DerError:
                continue
    return issuers


def covered_reasons(subject: Subject, point: DistributionPoint | None, crl: Crl) -> frozenset[int]:
    """(b) and (d): refuse a list whose scope leaves the certificate out; else the reasons that it covers."""
    scope = crl.scope or IssuingDistributionPoint()
    # (b)(1): a list of another issuer must be named by the point, and be indirect.
    if crl.issuer != subject.issuer and not scope.indirect:
        _out_of_scope(crl)
    # (b)(2)(i)
    if scope.full_names or scope.relative_name is not None:
        if point is None:
            names: set[tuple[int, object]] = {(_DIRECTORY_NAME, subject.issuer)}
        elif point.full_names or point.relative_name is not None:
            names = _names(point.full_names, point.relative_name, crl.issuer)
        else:
            names = _names(point.crl_issuer, None, crl.issuer)
        if not names & _names(scope.full_names, scope.relative_name, crl.issuer):
            _out_of_scope(crl)
    # (b)(2)(ii) to (iv)
    if subject.is_attribute:
        outside = scope.only_user or scope.only_ca
    else:
        outside = scope.only_attribute or (scope.only_user if subject.is_ca else scope.only_ca)
    if outside:
        _out_of_scope(crl)
    reasons = ALL_REASONS
    if point is not None and point.reasons is not None:
        reasons &= point.reasons
    if scope.only_reasons is not None:
        reasons &= scope.only_reasons
    return reasons


def full_scope_matches(crl: Crl, delta: Crl) -> bool:
    """(c): a delta list belongs to a complete one of the same issuer, scope and key identifier."""
    return (
        crl.issuer == delta.issuer
        and crl.scope_der == delta.scope_der
        and crl.authority_key_id == delta.authority_key_id
    )


def _out_of_scope(crl: Crl) -> None:
    raise CouldNotCheckError("CRL_SCOPE", source="RFC 5280, section 6.3.3 (b)", issuer=crl.issuer_text)


def _names(
    full_names: tuple[GeneralName, ...], relative_name: bytes | None, issuer: CanonicalName
) -> set[tuple[int, object]]:
    found: set[tuple[int, object]] = set()
    for name in full_names:
        if name.tag == _DIRECTORY_NAME:
            try:
                found.add((_DIRECTORY_NAME, canonical_name(name.value)))
            except DerError:
                continue
        else:
            found.add((name.tag, name.value))
    if relative_name is not None:
        # One RDN below the CRL issuer: dress it as a Name of its own to find its canonical form.
        rdn = _tlv(0x31, relative_name)
        with suppress(DerError):
            found.add((_DIRECTORY_NAME, issuer + canonical_name(_tlv(0x30, rdn))))
    return found


def _tlv(tag: int, contents: bytes) -> bytes:
    length = len(contents)
    if length < 0x80:
        return bytes((tag, length)) + contents
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents
