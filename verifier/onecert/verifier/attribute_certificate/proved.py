"""What verification answers about an attribute certificate: proved attributes, dropped ones, and the ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from onecert.verifier.attribute_certificate.acrl import RevocationList
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.delegation_walk import DelegationStep, Route
from onecert.verifier.attribute_certificate.findings import Finding
from onecert.verifier.attribute_certificate.parse import Attribute, AttributeCertificate
from onecert.verifier.attribute_certificate.roles import Role, read_roles
from onecert.verifier.attribute_certificate.trust import TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate

_ROLE = Oid.ROLE


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that the authority may not assign, or nobody can read as a role. It reaches no decision."""

    oid: str
    value: str
    reason: str
    """``AA_CONTROLS``, ``NOT_ASSIGNABLE``, ``ROLE_FORM``; ``NO_ASSERTION``: the holder may only delegate."""


@dataclass(frozen=True, kw_only=True)
class VerifiedAttributeCertificate:
    """What an attribute certificate proves about its holder. Only the verifier makes these.

    ``roles`` and ``attributes`` are what remains after what the authority may not assign was dropped.
    ``status`` is ``acrl`` (with the list in ``revocation_list``), ``ocsp``, ``acrl+ocsp`` or ``short-lived``.
    ``path`` has the delegations through which ``authority`` may give, from the source of authority downwards;
    it is empty when the configuration names the authority itself.
    """

    certificate: AttributeCertificate
    holder: ParsedCertificate
    authority: TrustedAuthority
    not_before: datetime
    not_after: datetime
    roles: tuple[Role, ...]
    attributes: tuple[Attribute, ...]
    dropped: tuple[Dropped, ...]
    status: str
    revocation_list: RevocationList | None
    audit_identity: bytes | None
    path: tuple[DelegationStep, ...] = ()
    route: Route | None = field(default=None, repr=False, compare=False)
    """The way to the authority, for judging attributes that are opened later."""

    @property
    def serial_hex(self) -> str:
        """The serial number as people write it."""
        return self.certificate.serial_hex


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to the authority that was tried.

    ``authorities`` are those of the way as far as they are known, the topmost first; ``findings`` speak
    against the way, or against the certificate on this way.
    """

    authorities: tuple[str, ...]
    findings: tuple[Finding, ...]
    is_taken: bool


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Every finding about one attribute certificate, in the order of the walk; none means it is good.

    ``candidates`` has every way to its authority; one that is good is enough.
    """

    findings: tuple[Finding, ...]
    certificate: AttributeCertificate | None
    verified: VerifiedAttributeCertificate | None
    candidates: tuple[Candidate, ...] = ()


def assignable(
    attributes: Sequence[Attribute], route: Route, *, no_assertion: bool = False
) -> tuple[list[Role], list[Attribute], list[Dropped]]:
    """Keep what every authority of the way may assign: by certificates (aaControls), by configuration."""
    roles: list[Role] = []
    kept: list[Attribute] = []
    dropped: list[Dropped] = []
    source = route.source
    bound = [examined for examined in (route.examined, *route.controls) if examined.controls]
    for attribute in attributes:
        oid = attribute.oid.dotted_string
        if no_assertion:
            dropped.append(Dropped(oid, "", "NO_ASSERTION"))
        elif bound and not all(examined.permit(oid) for examined in bound):
            dropped.append(Dropped(oid, "", "AA_CONTROLS"))
        elif not source.may_assign(oid):
            dropped.append(Dropped(oid, "", "NOT_ASSIGNABLE"))
        elif attribute.oid == _ROLE:
            values = []
            for value, role in read_roles(attribute):
                if role is None:
                    dropped.append(Dropped(oid, value.hex()[:80], "ROLE_FORM"))
                elif not source.may_assign_role(role.name):
                    dropped.append(Dropped(oid, role.name, "NOT_ASSIGNABLE"))
                else:
                    roles.append(role)
                    values.append(value)
            if len(values) == len(attribute.values):
                kept.append(attribute)
            elif values:
                kept.append(replace(attribute, values=tuple(values)))
        else:
            kept.append(attribute)
    return roles, kept, dropped
