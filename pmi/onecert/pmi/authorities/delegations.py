"""What an authority may give now: what the delegations on record let it (ITU-T X.509, section 16).

A delegation is a grant of kind ``delegation``: an attribute certificate whose holder is an authority. What
remains of it under those above it is computed by the verifier's own `Limits`, so that a certificate that is
issued here is one that a relying party accepts. A source of authority has no limits but the catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice

from sqlalchemy import Connection, bindparam, select

from onecert.pmi.authorities.directory import ACTIVE, SOURCE, STATES, Authorities, Authority
from onecert.pmi.authorities.errors import (
    AttributesNotPermittedError,
    AuthorityStateError,
    DelegateIsSourceError,
    DelegateUnfitError,
    DelegationExceededError,
    DelegationLoopError,
    NoDelegationError,
)
from onecert.pmi.authorities.fitness import find_own_unfitness
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.models import certificates
from onecert.server.statements import Statement
from onecert.verifier.attribute_certificate import (
    Attribute,
    AttributeCertificate,
    Constraints,
    Finding,
    Limits,
    parse,
)
from onecert.verifier.attribute_certificate.delegation import constraints_of
from onecert.verifier.attribute_certificate.extensions import read_extension
from onecert.verifier.certificate import ParsedCertificate, parse_certificate

__all__ = ["MAX_LEVELS", "MAX_WAYS", "Delegations", "Held", "key_sha256"]

DELEGATION = "delegation"
# The verifier follows as many levels; more ways are never needed to find one that is wide enough.
MAX_LEVELS = 8
MAX_WAYS = 64
# Delegations looked at for one question, whether they lead anywhere or not.
MAX_STEPS = 4096

_OF_KEY = Statement(
    select(certificates.c.serial, certificates.c.authority, certificates.c.certificate_der)
    .where(
        certificates.c.key_sha256 == bindparam("key"),
        certificates.c.kind == DELEGATION,
        certificates.c.state == "issued",
        certificates.c.not_before <= bindparam("at"),
        certificates.c.not_after >= bindparam("at"),
    )
    .order_by(certificates.c.not_after.desc(), certificates.c.serial)
)


@dataclass(frozen=True, kw_only=True)
class Held:
    """One delegation that an authority holds now.

    Args:
        serial: of its attribute certificate.
        giver: the authority that gave it, with the key that signed it.
        limits: what the holder may give under it and all delegations above it.
        path: serials, that of the delegation which the source of authority gave first; the last is this one.
    """

    serial: str
    giver: Authority
    limits: Limits
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    certificate: AttributeCertificate
    constraints: Constraints | None
    limits: Limits
    key_id: bytes | None


class Delegations:
    """Reads what is delegated to whom. One object per process; safe to share between threads."""

    def __init__(self, authorities: Authorities) -> None:
        self._authorities = authorities

    def held(self, connection: Connection, authority: Authority, at: datetime) -> tuple[Held, ...] | None:
        """Return the delegations that let an authority give something now, by each way there is.

        The shortest way first, then the one that lasts longest. None: it is a source of authority, which the
        catalogue alone limits. An empty tuple: it may give nothing.
        """
        if authority.kind == SOURCE:
            return None
        known = _Known(self._authorities, connection, at)
        found = islice(self._ways(known, authority, ()), MAX_WAYS)
        return tuple(sorted(found, key=_nearest))

    def choose(
        self,
        connection: Connection,
        authority: Authority,
        *,
        attributes: Iterable[Attribute],
        holder: ParsedCertificate,
        period: tuple[datetime, datetime],
        at: datetime,
        constraints: Constraints | None = None,
    ) -> Held | None:
        """Choose the delegation under which a certificate is issued; None for a source of authority.

        All of a certificate is given under one delegation: what two of them hold is never added up.

        Args:
            attributes: as they will be encoded.
            holder: the certificate of the one who receives it.
            constraints: of a further delegation; None for a certificate that cannot be given on.

        Raises:
            AttributesNotPermittedError: the authority's own certificate does not let it give one of these.
            NoDelegationError: nothing is delegated to the authority now.
            DelegationExceededError: ``EXCEEDS_DELEGATION``, with the findings about the nearest delegation.
            DelegationLoopError: the receiver of a delegation is the authority itself, or above it.
        """
        attributes = tuple(attributes)
        unpermitted = authority.find_unpermitted(each.oid.dotted_string for each in attributes)
        if unpermitted:
            raise AttributesNotPermittedError(authority.name, unpermitted)
        if constraints is not None:
            self.check_no_loop(connection, authority, holder, at)
        held = self.held(connection, authority, at)
        if held is None:
            return None
        if not held:
            raise NoDelegationError(authority.name)
        return choose_among(
            held,
            authority.name,
            attributes=attributes,
            holder=holder,
            period=period,
            constraints=constraints,
        )

    def latest_end(
        self,
        connection: Connection,
        authority: Authority,
        *,
        attributes: Iterable[Attribute],
        holder: ParsedCertificate,
        start: datetime,
        at: datetime,
        constraints: Constraints | None = None,
    ) -> datetime | None:
        """Return how long a certificate may last that begins at ``start``; None: nothing limits it."""
        held = self.held(connection, authority, at) or ()
        wanted = tuple(attributes)
        ends = [
            each.limits.not_after
            for each in held
            if not any(each.limits.findings(wanted, holder, start, each.limits.not_after, constraints))
        ]
        return max(ends, default=None)

    def check_no_loop(
        self, connection: Connection, giver: Authority, receiver: ParsedCertificate, at: datetime
    ) -> None:
        """Raise DelegationLoopError when the receiver of a delegation is its giver, or above its giver."""
        known = _Known(self._authorities, connection, at)
        seen: set[bytes] = set()
        above = [giver]
        while above:
            each = above.pop()
            if each.certificate.spki_der == receiver.spki_der:
                raise DelegationLoopError(giver.name, receiver.subject_text)
            if each.certificate.spki_der in seen:
                continue
            seen.add(each.certificate.spki_der)
            above += [upper for _serial, _read, upper in known.given_to(each)]

    def find_delegate(self, connection: Connection, certificate: bytes, at: datetime) -> HolderIdentity:
        """Say to whom a delegation is to be given.

        Of an authority of ours its present certificate counts, whichever of them is presented. Of any other
        the certificate itself is looked at; that it is the right one is for two people to compare.

        Args:
            certificate: of the sub-authority, DER or PEM.

        Raises:
            MalformedError: it is not a certificate.
            DelegateIsSourceError, AuthorityStateError, DelegateUnfitError: nothing can be delegated to it.
        """
        parsed = parse_certificate(certificate)
        for own in self._authorities.all(connection):
            if own.certificate.spki_der != parsed.spki_der:
                continue
            if own.kind == SOURCE:
                raise DelegateIsSourceError(own.name)
            if own.state != ACTIVE:
                raise AuthorityStateError(own.name, STATES[own.state])
            return HolderIdentity(
                certificate=own.certificate,
                entity=f"authority:{own.name}",
                name=own.certificate.subject_text,
            )
        reason = find_own_unfitness(parsed, at)
        if reason is not None:
            raise DelegateUnfitError(reason)
        return HolderIdentity(
            certificate=parsed, entity=f"key:{key_sha256(parsed)}", name=parsed.subject_text
        )

    def _ways(self, known: _Known, holder: Authority, below: tuple[bytes, ...]) -> Iterator[Held]:
        """Yield each way from a source of authority to this one; ``below`` are the keys it leads on to."""
        stack = (*below, holder.certificate.spki_der)
        if len(stack) > MAX_LEVELS:
            return
        for serial, read, giver in known.given_to(holder):
            known.steps += 1
            if known.steps > MAX_STEPS:
                return
            if giver.state != ACTIVE or giver.certificate.spki_der in stack:
                continue
            if giver.kind == SOURCE:
                yield Held(serial=serial, giver=giver, limits=read.limits, path=(serial,))
                continue
            for upper in self._ways(known, giver, stack):
                if next(_findings(upper.limits, read, holder.certificate), None) is None:
                    both = Limits.intersect((upper.limits, read.limits))
                    yield Held(serial=serial, giver=giver, limits=both, path=(*upper.path, serial))


def choose_among(
    held: Sequence[Held],
    name: str,
    *,
    attributes: tuple[Attribute, ...],
    holder: ParsedCertificate,
    period: tuple[datetime, datetime],
    constraints: Constraints | None = None,
) -> Held:
    """Choose the first delegation that allows this; see `Delegations.choose`. Pure.

    Raises:
        DelegationExceededError: none does.
    """
    nearest: list[Finding] | None = None
    for each in held:
        findings = list(each.limits.findings(attributes, holder, *period, constraints))
        if not findings:
            return each
        if nearest is None or len(findings) < len(nearest):
            nearest = findings
    raise DelegationExceededError(name, nearest or [])


def _nearest(held: Held) -> tuple[int, float, tuple[str, ...]]:
    return len(held.path), -held.limits.not_after.timestamp(), held.path


def key_sha256(certificate: ParsedCertificate) -> str:
    """Name the key of a certificate as the record does: SHA-256 of its SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(certificate.spki_der).hexdigest()


class _Known:
    """What one question reads of the record, each thing once."""

    def __init__(self, authorities: Authorities, connection: Connection, at: datetime) -> None:
        self.steps = 0
        self._connection = connection
        self._at = at
        self._given: dict[bytes, list[tuple[str, _Read, Authority]]] = {}
        self._keys: dict[str, list[Authority]] = {}
        for each in [*authorities.all(connection), *authorities.earlier(connection, at)]:
            self._keys.setdefault(each.name, []).append(each)

    def given_to(self, holder: Authority) -> list[tuple[str, _Read, Authority]]:
        """Return each delegation to this key that is good in itself, with the authority that gave it."""
        spki = holder.certificate.spki_der
        found = self._given.get(spki)
        if found is None:
            rows = _OF_KEY.all(self._connection, {"key": key_sha256(holder.certificate), "at": self._at})
            found = self._given[spki] = []
            for row in rows:
                read = _read(bytes(row["certificate_der"]))
                giver = self._key_of(row["authority"], read.key_id)
                if giver is not None:
                    found.append((row["serial"], read, giver))
        return found

    def _key_of(self, name: str, key_id: bytes | None) -> Authority | None:
        keys: Mapping[bytes | None, Authority] = {
            each.certificate.subject_key_id: each for each in self._keys.get(name, ())
        }
        return keys.get(key_id)


@lru_cache(maxsize=1024)
def _read(der: bytes) -> _Read:
    certificate = parse(der)
    key_id = None
    for extension in certificate.extensions:
        key_id = read_extension(extension.oid, extension.value).key_identifier or key_id
    return _Read(certificate, constraints_of(certificate), Limits.of(certificate), key_id)


def _findings(limits: Limits, read: _Read, holder: ParsedCertificate) -> Iterator[Finding]:
    period = read.limits.not_before, read.limits.not_after
    return limits.findings(read.certificate.attributes, holder, *period, read.constraints)
