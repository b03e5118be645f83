"""Values of the certificate extensions that path validation processes, parsed strictly and cached.

The leaves of one CA share most extension bytes (key usage, policies, authority key identifier, addresses), so
each distinct extension is parsed once. Structures follow RFC 5280, section 4.2.1 and 4.2.2. Extensions that
are not in the table are kept by OID and criticality only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from onecert.verifier.der import OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.distribution_points import (
    DistributionPoint,
    parse_distribution_point_name,
    parse_distribution_points,
)
from onecert.verifier.general_names import GeneralName, parse_general_name, parse_general_names

__all__ = [
    "ANY_EXTENDED_KEY_USAGE",
    "ANY_POLICY",
    "PROCESSED",
    "BasicConstraints",
    "DistributionPoint",
    "Extension",
    "GeneralName",
    "NameConstraints",
    "PolicyConstraints",
    "Subtree",
    "parse_distribution_point_name",
    "parse_distribution_points",
    "parse_extension",
    "parse_general_names",
    "parse_large_extension",
    "parse_name_constraints",
]

ANY_POLICY = "2.5.29.32.0"
ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"


@dataclass(frozen=True, slots=True)
class BasicConstraints:
    """2.5.29.19"""

    ca: bool
    path_length: int | None


@dataclass(frozen=True, slots=True)
class Subtree:
    """One base of a name constraint. ``bounded`` says that it uses minimum or maximum, which nobody may."""

    base: GeneralName
    bounded: bool


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """2.5.29.30"""

    permitted: tuple[Subtree, ...]
    excluded: tuple[Subtree, ...]


@dataclass(frozen=True, slots=True)
class PolicyConstraints:
    """2.5.29.36"""

    require_explicit_policy: int | None
    inhibit_policy_mapping: int | None


@dataclass(frozen=True, slots=True)
class Extension:
    """``value`` is the parsed form for OIDs of the table and the raw DER contents for all others."""

    oid: str
    critical: bool
    value: Any
    value_der: bytes


@lru_cache(maxsize=8192)
def parse_extension(extension_der: bytes) -> Extension:
    """Parse one DER ``Extension``.

    Raises:
        DerError: it is not DER, or its value breaks the grammar.
    """
    outer = Reader(extension_der)
    reader = outer.enter(SEQUENCE)
    outer.done()
    oid = reader.oid()
    critical = reader.default_false()
    value_der = reader.contents(OCTET_STRING)
    reader.done()
    parser = _PARSERS.get(oid)
    if parser is None:
        return Extension(oid, critical, value_der, value_der)
    value_reader = Reader(value_der)
    try:
        value = parser(value_reader)
        value_reader.done()
    except DerError as exc:
        raise DerError(f"extension {oid}: {exc}") from exc
    return Extension(oid, critical, value, value_der)


# For what is rare and too large to be kept thousands of times.
parse_large_extension: Callable[[bytes], Extension] = parse_extension.__wrapped__


def _basic_constraints(reader: Reader) -> BasicConstraints:
    sequence = reader.enter(SEQUENCE)
    ca = sequence.default_false()
    path_length = sequence.integer() if sequence else None
    sequence.done()
    if path_length is not None and path_length < 0:
        raise DerError("negative path length")
    return BasicConstraints(ca, path_length)


def _oids(reader: Reader) -> frozenset[str]:
    sequence = reader.enter(SEQUENCE)
    found = set()
    while sequence:
        found.add(sequence.oid())
    if not found:
        raise DerError("empty list")
    return frozenset(found)


def _subject_alternative_name(reader: Reader) -> tuple[GeneralName, ...]:
    return parse_general_names(reader.enter(SEQUENCE))


def _subtrees(reader: Reader) -> tuple[Subtree, ...]:
    subtrees = []
    while reader:
        subtree = reader.enter(SEQUENCE)
        base = parse_general_name(subtree)
        # RFC 5280, section 4.2.1.10: minimum is 0 and maximum is absent; DER omits the default 0.
        bounded = bool(subtree)
        subtrees.append(Subtree(base, bounded))
    if not subtrees:
        raise DerError("empty list")
    return tuple(subtrees)


def parse_name_constraints(reader: Reader) -> NameConstraints:
    """A ``NameConstraints`` value."""
    sequence = reader.enter(SEQUENCE)
    permitted = _subtrees(sequence.enter(0xA0)) if sequence.peek() == 0xA0 else ()
    excluded = _subtrees(sequence.enter(0xA1)) if sequence.peek() == 0xA1 else ()
    sequence.done()
    if not permitted and not excluded:
        raise DerError("empty name constraints")
    return NameConstraints(permitted, excluded)


def _policies(reader: Reader) -> dict[str, bytes]:
    """Policy -> DER of its qualifiers (empty when there are none)."""
    sequence = reader.enter(SEQUENCE)
    policies: dict[str, bytes] = {}
    while sequence:
        information = sequence.enter(SEQUENCE)
        oid = information.oid()
        if oid in policies:
            raise DerError("a policy occurs twice")
        policies[oid] = information.raw() if information else b""
        information.done()
    if not policies:
        raise DerError("empty list")
    return policies


def _policy_mappings(reader: Reader) -> tuple[tuple[str, str], ...]:
    sequence = reader.enter(SEQUENCE)
    mappings = []
    while sequence:
        pair = sequence.enter(SEQUENCE)
        mappings.append((pair.oid(), pair.oid()))
        pair.done()
    if not mappings:
        raise DerError("empty list")
    return tuple(mappings)


def _skip_certs(reader: Reader, tag: int) -> int | None:
    if reader.peek() != tag:
        return None
    value = reader.integer(tag)
    if value < 0:
        raise DerError("negative count")
    return value


def _policy_constraints(reader: Reader) -> PolicyConstraints:
    sequence = reader.enter(SEQUENCE)
    constraints = PolicyConstraints(_skip_certs(sequence, 0x80), _skip_certs(sequence, 0x81))
    sequence.done()
    if constraints == PolicyConstraints(None, None):
        raise DerError("empty policy constraints")
    return constraints


def _inhibit_any_policy(reader: Reader) -> int:
    value = reader.integer()
    if value < 0:
        raise DerError("negative count")
    return value


def _authority_key_id(reader: Reader) -> bytes | None:
    sequence = reader.enter(SEQUENCE)
    key_id = sequence.contents(0x80) if sequence.peek() == 0x80 else None
    if sequence.peek() == 0xA1:
        parse_general_names(sequence.enter(0xA1))
    if sequence.peek() == 0x82:
        sequence.integer(0x82)
    sequence.done()
    return key_id


def _subject_key_id(reader: Reader) -> bytes:
    return reader.contents(OCTET_STRING)


def _access_descriptions(reader: Reader) -> tuple[tuple[str, GeneralName], ...]:
    sequence = reader.enter(SEQUENCE)
    found = []
    while sequence:
        description = sequence.enter(SEQUENCE)
        found.append((description.oid(), parse_general_name(description)))
        description.done()
    if not found:
        raise DerError("empty list")
    return tuple(found)


def _null(reader: Reader) -> None:
    if reader.contents(0x05):
        raise DerError("NULL has contents")


_PARSERS: dict[str, Callable[[Reader], Any]] = {
    "2.5.29.14": _subject_key_id,
    "2.5.29.15": lambda reader: reader.named_bits(),
    "2.5.29.17": _subject_alternative_name,
    "2.5.29.19": _basic_constraints,
    "2.5.29.30": parse_name_constraints,
    "2.5.29.31": parse_distribution_points,
    "2.5.29.32": _policies,
    "2.5.29.33": _policy_mappings,
    "2.5.29.35": _authority_key_id,
    "2.5.29.36": _policy_constraints,
    "2.5.29.37": _oids,
    "2.5.29.46": parse_distribution_points,
    "2.5.29.54": _inhibit_any_policy,
    "2.5.29.56": _null,  # noRevAvail, RFC 9608
    "1.3.6.1.5.5.7.1.1": _access_descriptions,
    "1.3.6.1.5.5.7.48.1.5": _null,  # id-pkix-ocsp-nocheck
}
# May be critical: each one is acted upon when it is present.
PROCESSED = frozenset(_PARSERS)
