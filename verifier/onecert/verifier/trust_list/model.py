"""The trust list as data. Frozen: a list is replaced by a newer one, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.identity.profile import IdentityProfile
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.vocabulary import SERVICE_TYPE_TSA, Status, SupplyKind

if TYPE_CHECKING:
    from onecert.verifier.trust_list.pointer import MissingList, Pointer


@dataclass(frozen=True)
class LocalText:
    """A text in the two languages of the system."""

    zh: str
    en: str

    def get(self, language: str) -> str:
        """The text in ``zh`` or ``en``."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, kw_only=True)
class StatusEntry:
    """From ``start`` on, until the next entry starts, the service has this status.

    Args:
        accept_existing: while suspended, certificates issued before are still accepted.
        existing_until: after withdrawal or termination, certificates issued under the grant are accepted
            before this time, if their status service still answers.
        taken_over_by: the service that answers for the status of a terminated one.
    """

    status: Status
    start: datetime
    accept_existing: bool = False
    existing_until: datetime | None = None
    taken_over_by: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "status": self.status.value,
            "start": format_time(self.start),
            "accept_existing": self.accept_existing,
            "existing_until": self.existing_until and format_time(self.existing_until),
            "taken_over_by": self.taken_over_by,
        }


def entry_at(history: Sequence[StatusEntry], at: datetime) -> StatusEntry | None:
    """The entry of an ascending history that is in force at a time; None before the first."""
    found = None
    for entry in history:
        if entry.start > at:
            break
        found = entry
    return found


@dataclass(frozen=True, kw_only=True)
class SupplyPoint:
    """Where a service publishes something."""

    kind: SupplyKind
    url: str


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Whom a holder calls when a certificate is refused."""

    hotline: str = ""
    email: str = ""
    website: str = ""


@dataclass(frozen=True, kw_only=True)
class AllowedAlgorithm:
    """An algorithm with which the certificates of a service may be signed.

    Args:
        name: as in the table of signature algorithms, such as ``rsa-sha256``; one that this library does not
            know is never met.
        until: no longer from then on; older signatures need a proved time before it.
        rsa_min_bits: the shortest RSA key of a holder that may go with it; ``None`` leaves that to the
            department.
    """

    name: str
    until: datetime | None = None
    rsa_min_bits: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As written in a list."""
        found = {"name": self.name, "until": self.until and format_time(self.until)}
        return _filled(found | {"rsa_min_bits": self.rsa_min_bits})


@dataclass(frozen=True, kw_only=True)
class ServiceLevel:
    """What the operator of a service has promised; shown and measured, never a reason to refuse.

    Args:
        revocation_hours: from the request to the published revocation.
        crl_hours: from one revocation list to the next.
        ocsp_permille: of OCSP requests are answered.
        statement: address of the text.
    """

    revocation_hours: int | None = None
    crl_hours: int | None = None
    ocsp_permille: int | None = None
    statement: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As written in a list."""
        return _filled(vars(self))


@dataclass(frozen=True, kw_only=True)
class TrustedService:
    """One service: the key we trust, its history, and how to read who its holders are.

    ``history`` is ascending by start, without gaps, and begins with ``granted``. ``policies`` are those of
    which a certificate must be valid for one, empty for no such demand; ``algorithms`` those with which it
    may be signed, empty for what the department accepts. A service of another list has an id such as
    ``gd/pearl``, the states of its own and of the pointer combined, of which the first need not be
    ``granted``, and in ``local_policies`` those that our own list demands besides.
    """

    id: str
    service_type: str
    name: LocalText
    entity: LocalText
    certificates: tuple[ParsedCertificate, ...]
    history: tuple[StatusEntry, ...]
    supply_points: tuple[SupplyPoint, ...] = ()
    identity_profile: IdentityProfile | None = None
    issuance_log_required: bool = False
    contact: Contact = Contact()
    policies: tuple[str, ...] = ()
    local_policies: tuple[str, ...] = ()
    algorithms: tuple[AllowedAlgorithm, ...] = ()
    service_level: ServiceLevel | None = None

    @property
    def is_timestamp_authority(self) -> bool:
        """Whether it stamps times; then it issues no certificates to holders. Otherwise it is a CA."""
        return self.service_type == SERVICE_TYPE_TSA

    def status_at(self, at: datetime) -> StatusEntry | None:
        """The entry in force at a time; None before the first."""
        return entry_at(self.history, at)

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON."""
        entry = self.status_at(at)
        return {
            "id": self.id,
            "type": "tsa" if self.is_timestamp_authority else "ca",
            "name": {"zh": self.name.zh, "en": self.name.en},
            "entity": {"zh": self.entity.zh, "en": self.entity.en},
            "status": entry.status.value if entry else None,
            "history": [item.as_dict() for item in self.history],
            "certificates": [hashlib.sha256(cert.der).hexdigest() for cert in self.certificates],
            "supply_points": [{"kind": point.kind.value, "url": point.url} for point in self.supply_points],
            "identity_profile": self.identity_profile
            and {"name": self.identity_profile.name, "version": self.identity_profile.version},
            "contact": {
                "hotline": self.contact.hotline,
                "email": self.contact.email,
                "website": self.contact.website,
            },
            "issuance_log_required": self.issuance_log_required,
            "policies": list(self.policies),
            "local_policies": list(self.local_policies),
            "algorithms": [row.as_dict() for row in self.algorithms],
            "service_level": self.service_level and self.service_level.as_dict(),
        }

    def urls(self, kind: SupplyKind) -> tuple[str, ...]:
        """The addresses of one kind, in the order of the list."""
        return tuple(point.url for point in self.supply_points if point.kind is kind)

    @cached_property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """Name and key of each certificate, labelled with the id of the service."""
        return tuple(TrustAnchor.from_certificate(cert, label=self.id) for cert in self.certificates)


@dataclass(frozen=True, kw_only=True)
class TrustList:
    """A list whose signatures were checked. Whether it is current is asked at each use: ``check_current``.

    Args:
        document: the signed octets that it was read from, for a record of what was judged by it.
        warnings: codes about how the list came here, such as ``TRUST_TIMESTAMP_GRACE``; every result that
            rests on it repeats them.
        roots: the trust roots that were walked to, as they were signed; for a record, too.
        pointed: lists pointed to, by the pointer's id, whose services are among those here.
        missing: lists pointed to that cannot be used now; a certificate of theirs is of an unknown CA here.
    """

    sequence: int
    operator: LocalText
    issued_at: datetime
    next_update: datetime
    services: tuple[TrustedService, ...]
    sha256: str
    document: bytes = field(default=b"", repr=False, compare=False)
    pointers: tuple[Pointer, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[MissingList, ...] = ()
    roots: tuple[bytes, ...] = field(default=(), repr=False, compare=False)
    pointed: tuple[tuple[str, TrustList], ...] = field(default=(), repr=False, compare=False)

    def __iter__(self) -> Iterator[TrustedService]:
        return iter(self.services)

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON: the head, and each service with its state at ``at`` and its history."""
        return {
            "sequence": self.sequence,
            "operator": {"zh": self.operator.zh, "en": self.operator.en},
            "issued_at": format_time(self.issued_at),
            "next_update": format_time(self.next_update),
            "sha256": self.sha256,
            "warnings": list(self.warnings),
            "pointers": [pointer.as_dict(at) for pointer in self.pointers],
            "missing_lists": [{"id": missing.id, "code": missing.error.code} for missing in self.missing],
            "services": [service.as_dict(at) for service in self.services],
        }

    def list_of(self, service_id: str) -> tuple[str, TrustList] | None:
        """The list pointed to that a service comes from, with the pointer's id; ``None`` for one of ours."""
        list_id = service_id.partition("/")[0]
        return next(((name, each) for name, each in self.pointed if name == list_id), None)

    @cached_property
    def by_id(self) -> dict[str, TrustedService]:
        """Services by id."""
        return {service.id: service for service in self.services}

    @cached_property
    def login_without_key_usage(self) -> bool:
        """Whether the profile of any service lets certificates without keyUsage log in."""
        profiles = [service.identity_profile for service in self.services]
        return any(profile is not None and profile.login_without_key_usage for profile in profiles)

    @cached_property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """The anchors of all CAs, whatever their state: the state is judged after the path."""
        return self._anchors(timestamps=False)

    @cached_property
    def timestamp_anchors(self) -> tuple[TrustAnchor, ...]:
        """The anchors of all timestamp authorities, whatever their state."""
        return self._anchors(timestamps=True)

    def _anchors(self, *, timestamps: bool) -> tuple[TrustAnchor, ...]:
        return tuple(
            anchor
            for service in self.services
            if service.is_timestamp_authority is timestamps
            for anchor in service.anchors
        )


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != ""}
