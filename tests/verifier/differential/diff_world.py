"""A public-key infrastructure described as data: what hypothesis draws, shrinks and prints.

Everything has a harmless default, so that the description of a failing example shows only what matters.
Numbers of certificates are places in ``World.certificates``; times are seconds from ``T``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = 86400

ANY = 0  # anyPolicy; the other policies are small numbers
KEY_CERT_SIGN, CRL_SIGN, DIGITAL_SIGNATURE = 5, 6, 0
CA_USAGE = frozenset({KEY_CERT_SIGN, CRL_SIGN})
LEAF_USAGE = frozenset({DIGITAL_SIGNATURE})


@dataclass(frozen=True)
class Dn:
    """``C=CN, O=org, [emailAddress=…,] CN=entity``; ``spelling`` is one of ``SPELLINGS``."""

    entity: str
    org: str = "City"
    spelling: str = "plain"
    email: str = ""


# Equal under RFC 5280, section 7.1, and different in their bytes.
SPELLINGS = ("plain", "upper", "blanks", "printable")


@dataclass(frozen=True)
class Tree:
    """One name or one base of a constraint: ``kind`` is dn, dns, mail, uri, ip, rid or other."""

    kind: str
    value: str


@dataclass(frozen=True)
class Point:
    """A distribution point. Names begin with ``u:`` (URI), ``d:`` (directory) or ``r:`` (relative)."""

    name: str = ""
    reasons: frozenset[int] | None = None
    crl_issuer: Dn | None = None


@dataclass(frozen=True)
class Cert:
    """One certificate; ``key`` and ``signer`` are numbers in the pool of keys."""

    subject: Dn
    issuer: Dn
    key: int
    signer: int
    ca: bool | None = True  # None: no basic constraints
    path_length: int | None = None
    usage: frozenset[int] | None = CA_USAGE
    extended: tuple[str, ...] = ()
    permitted: tuple[Tree, ...] = ()
    excluded: tuple[Tree, ...] = ()
    names: tuple[Tree, ...] = ()
    policies: tuple[int, ...] | None = None
    mappings: tuple[tuple[int, int], ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    points: tuple[Point, ...] = ()
    not_before: int = -30 * DAY
    not_after: int = 365 * DAY
    unknown: str = ""  # an extension nobody knows: "critical" or "ignorable"
    altered: bool = False  # one bit of the signature is wrong
    authority_key_id: str = "key"  # or "none", or "wrong"
    subject_key_id: bool = True


@dataclass(frozen=True)
class Entry:
    """One entry of a CRL, for the certificate with this number."""

    certificate: int
    reason: int | None = None
    issuer: Dn | None = None  # certificateIssuer
    unknown: bool = False  # a critical entry extension nobody knows


@dataclass(frozen=True)
class Scope:
    """Issuing distribution point."""

    name: str = ""
    only_user: bool = False
    only_ca: bool = False
    reasons: frozenset[int] | None = None
    indirect: bool = False


@dataclass(frozen=True)
class CrlSpec:
    """One list. ``base`` makes it a delta."""

    issuer: Dn
    signer: int
    entries: tuple[Entry, ...] = ()
    number: int = 1
    base: int | None = None
    scope: Scope | None = None
    freshest: bool = False
    this_update: int = -3600
    next_update: int | None = DAY
    unknown: bool = False  # a critical extension nobody knows
    altered: bool = False
    authority_key_id: bool = True


@dataclass(frozen=True)
class Inputs:
    """RFC 5280, section 6.1.1, and which lists are looked at."""

    policies: frozenset[int] = frozenset({ANY})
    explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False
    client: bool = False  # the purpose is TLS client; else any
    crls: bool = False
    deltas: bool = True
    anchor_extensions: bool = False


@dataclass(frozen=True, repr=False)
class World:
    """The target is the last certificate; what is neither it nor an anchor is a candidate."""

    certificates: tuple[Cert, ...]
    anchors: tuple[int, ...]
    crls: tuple[CrlSpec, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)
    withheld: frozenset[int] = frozenset()  # certificates that nobody is shown

    def __repr__(self) -> str:
        lines = [f"anchors {list(self.anchors)}, {_short(self.inputs)}"]
        lines += [f"  {number}: {_short(cert)}" for number, cert in enumerate(self.certificates)]
        if self.inputs.crls:
            lines += [f"  CRL: {_short(crl)}" for crl in self.crls]
        return "\n".join(lines)


def _short(item: Any) -> str:
    """``repr`` without what is the default."""
    if isinstance(item, Dn):
        extra = [part for part in (item.org, item.spelling, item.email) if part not in {"City", "plain", ""}]
        return "/".join([item.entity, *extra])
    if isinstance(item, tuple):
        return "[" + ", ".join(_short(part) for part in item) + "]"
    if isinstance(item, frozenset):
        return "{" + ", ".join(str(part) for part in sorted(item)) + "}"
    if not hasattr(item, "__dataclass_fields__"):
        return repr(item)
    shown = [
        f"{each.name}={_short(value)}"
        for each in fields(item)
        if (value := getattr(item, each.name)) != each.default
    ]
    return f"{type(item).__name__}({', '.join(shown)})"
