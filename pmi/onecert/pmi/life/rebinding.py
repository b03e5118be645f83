"""Attribute certificates follow their holder when the holder's own certificate is renewed.

Which ones need it depends on how they name their holder: by certificate (issuer and serial number) or by its
digest always; by key when the key is another one; by name when the name is; by entity never. The holder is
the same by the trust list, never by a name. The new one has the same content and ends when the old one would
have; the old one is revoked as superseded in the same transaction. Nobody approves it once more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, delete, select, update

from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import OFFICER, Grants
from onecert.pmi.grants.carried import REBINDING
from onecert.pmi.grants.request import Grant, GrantRequest
from onecert.pmi.holders.identity import HolderVerifier
from onecert.pmi.holders.seen import KnownHolder, find_holder, of_identity
from onecert.pmi.life.changes import Changes
from onecert.pmi.life.errors import (
    CertificateStateError,
    HolderDifferentError,
    RebindingNeedlessError,
    SelectionChangedError,
)
from onecert.pmi.life.replacing import request_like
from onecert.pmi.models import certificates, grants, holders, rebindings
from onecert.pmi.repository.search import STATE, STATUSES, Record, load_certificate
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.operators import Operator, check_role
from onecert.server.statements import insert_if_absent
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import VerifyError

__all__ = ["Proposal", "Proposals", "Rebindings", "Rebound"]

log = logging.getLogger(__name__)

_NAMESPACE = uuid.UUID("c0b1f1b3-52c6-5d0f-8a83-4b4a4f0a6e5d")
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A live certificate whose holder has a newer one."""

    record: Record
    holder: KnownHolder
    proposed_at: datetime


@dataclass(frozen=True)
class Proposals:
    """What is proposed, confirmed by its hash."""

    proposals: Sequence[Proposal]

    @cached_property
    def sha256(self) -> str:
        """Of the serial numbers and the certificates that they would follow."""
        content = sorted([each.record.serial, each.holder.sha256] for each in self.proposals)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Rebound:
    """What came of one: a grant, or why not."""

    serial: str
    grant: Grant | None
    error: ServiceError | VerifyError | None = None


class Rebindings:
    """Finds what needs to follow, and has it follow."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        holders: HolderVerifier,
        grants: Grants,
        changes: Changes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._holders = holders
        self._grants = grants
        self._changes = changes

    def rebind(self, serial: str, certificate: bytes, operator: Operator) -> Grant:
        """Issue this attribute certificate anew for a newer certificate of its holder. Twice is once.

        Args:
            certificate: PEM or DER.

        Raises:
            HolderDifferentError: it is somebody else's.
            RebindingNeedlessError: the attribute certificate is good for it as it is.
            CertificateStateError: the attribute certificate is not valid.
            VerifyError: the newer certificate is refused, or could not be checked.
        """
        check_role(operator, OFFICER)
        grant = self._grants.request(self._request(serial, certificate), operator)
        if grant.serial:
            with self._database.reading() as connection:
                self._changes.publish([load_certificate(connection, serial)])
            with self._database.transaction() as connection:
                connection.execute(delete(rebindings).where(rebindings.c.serial == serial))
        return grant

    def preview(self, serial: str, certificate: bytes, operator: Operator) -> Grant:
        """Return the grant that ``rebind`` would put on record; nothing is kept."""
        check_role(operator, OFFICER)
        return self._grants.preview(self._request(serial, certificate), operator)

    def proposals(self, *, most: int = _AT_ONCE) -> Proposals:
        """Return what was found, the oldest first, without what is no longer to be done."""
        now = self._clock.now()
        found: list[Proposal] = []
        with self._database.reading() as connection:
            order = select(rebindings).order_by(rebindings.c.proposed_at, rebindings.c.serial)
            for row in connection.execute(order.limit(most)).mappings():
                record = load_certificate(connection, row["serial"])
                holder = find_holder(connection, row["holder_sha256"])
                if holder is None or record.status(now) != "valid" or holder.not_after <= now:
                    continue
                found.append(Proposal(record=record, holder=holder, proposed_at=row["proposed_at"]))
        return Proposals(found)

    def confirm(self, serials: Sequence[str], operator: Operator, *, content_sha256: str) -> list[Rebound]:
        """Carry out what is proposed for these; one that fails does not keep the others.

        Raises:
            SelectionChangedError: something else was shown.
        """
        wanted = {serial.lower().lstrip("0") for serial in serials}
        if not 0 < len(wanted) <= _AT_ONCE:
            raise RequestWrongError("serials", _("choose one at least, and 500 at most"))
        chosen = Proposals([each for each in self.proposals().proposals if each.record.serial in wanted])
        if chosen.sha256 != content_sha256:
            raise SelectionChangedError(len(chosen.proposals), chosen.sha256)
        done: list[Rebound] = []
        for each in chosen.proposals:
            serial = each.record.serial
            try:
                grant = self.rebind(serial, each.holder.certificate_der, operator)
            except (PmiError, VerifyError) as exc:
                log.warning("not rebound", extra={"serial": serial, "code": exc.code})
                done.append(Rebound(serial=serial, grant=None, error=exc))
            else:
                done.append(Rebound(serial=serial, grant=grant))
        return done

    def propose(self, at: datetime) -> None:
        """Look at certificates of holders that were seen since the last time. The job of the timer."""
        with self._database.reading() as connection:
            order = select(holders.c.sha256).where(holders.c.checked_at.is_(None)).order_by(holders.c.seen_at)
            waiting = list(connection.scalars(order.limit(_AT_ONCE)))
        for sha256 in waiting:
            with self._database.transaction() as connection:
                new = find_holder(connection, sha256)
                if new is not None and new.not_after > at:
                    self._propose(connection, new, at)
                seen = update(holders).where(holders.c.sha256 == sha256)
                connection.execute(seen.values(checked_at=at))

    def _propose(self, connection: Connection, new: KnownHolder, at: datetime) -> None:
        parsed = as_parsed(new.certificate_der)
        for old in of_identity(connection, entity=new.entity, person=new.person):
            if old.sha256 == new.sha256 or old.not_after >= new.not_after:
                continue
            chosen = select(certificates.c.serial).where(
                certificates.c.holder_sha256 == old.sha256,
                STATE == "issued",
                certificates.c.not_after > at,
            )
            for serial in connection.scalars(chosen):
                record = load_certificate(connection, serial)
                if _needs(record, old, parsed):
                    insert_if_absent(
                        connection,
                        rebindings,
                        {"serial": serial, "holder_sha256": new.sha256, "proposed_at": at},
                    )

    def _request(self, serial: str, certificate: bytes) -> GrantRequest:
        now = self._clock.now()
        identity = self._holders.verify(certificate, now)
        new = identity.certificate
        with self._database.reading() as connection:
            record = load_certificate(connection, serial)
            old = find_holder(connection, record.holder_sha256)
            row = connection.execute(select(grants).where(grants.c.id == record.grant_id)).mappings().one()
        if old is None or not old.is_same_holder(identity):
            raise HolderDifferentError(record.serial)
        if not _needs(record, old, new):
            raise RebindingNeedlessError(record.serial)
        is_done = record.state == "revoked" and record.replaced_by is not None
        if record.status(now) != "valid" and not is_done:
            raise CertificateStateError(record.serial, STATUSES[record.status(now)])
        sha256 = hashlib.sha256(new.der).hexdigest()
        return request_like(
            row,
            holder=new.der,
            source=f"{REBINDING}{record.serial}",
            grant_id=str(uuid.uuid5(_NAMESPACE, f"{record.serial} {sha256}")),
            not_after=min(record.not_after, new.not_after),
        )


def _needs(record: Record, old: KnownHolder, new: ParsedCertificate) -> bool:
    """Whether the attribute certificate does not name this certificate's holder as it is."""
    if record.kind != "grant" or hashlib.sha256(new.der).hexdigest() == record.holder_sha256:
        return False
    if record.holder_form == "key":
        return hashlib.sha256(new.spki_der).hexdigest() != record.key_sha256
    if record.holder_form == "name":
        return as_parsed(old.certificate_der).subject_der != new.subject_der
    return record.holder_form != "entity"
