"""Where lists about a certificate are published: RFC 5280, sections 4.2.1.13 and 4.2.1.15."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.verifier.der import SEQUENCE, DerError, Reader
from onecert.verifier.general_names import GeneralName, parse_general_names

__all__ = ["DistributionPoint", "parse_distribution_point_name", "parse_distribution_points"]


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """One entry of 2.5.29.31: full names, or a name relative to the CRL issuer (one RDN, DER contents)."""

    full_names: tuple[GeneralName, ...]
    relative_name: bytes | None
    reasons: frozenset[int] | None
    crl_issuer: tuple[GeneralName, ...]


def parse_distribution_point_name(reader: Reader) -> tuple[tuple[GeneralName, ...], bytes | None]:
    """A ``DistributionPointName``: full names, or one relative name."""
    if reader.peek() == 0xA0:
        return parse_general_names(reader.enter(0xA0)), None
    return (), reader.contents(0xA1)


def parse_distribution_points(reader: Reader) -> tuple[DistributionPoint, ...]:
    """A ``CRLDistributionPoints`` value, also of the extension freshestCRL."""
    sequence = reader.enter(SEQUENCE)
    points = []
    while sequence:
        point = sequence.enter(SEQUENCE)
        full_names: tuple[GeneralName, ...] = ()
        relative_name = reasons = None
        crl_issuer: tuple[GeneralName, ...] = ()
        if point.peek() == 0xA0:
            name = point.enter(0xA0)
            full_names, relative_name = parse_distribution_point_name(name)
            name.done()
        if point.peek() == 0x81:
            reasons = point.named_bits(0x81)
        if point.peek() == 0xA2:
            crl_issuer = parse_general_names(point.enter(0xA2))
        point.done()
        points.append(DistributionPoint(full_names, relative_name, reasons, crl_issuer))
    if not points:
        raise DerError("empty list")
    return tuple(points)
