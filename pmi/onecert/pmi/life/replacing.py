"""One certificate takes the place of another: by renewal, or because its holder's certificate was renewed.

A replacement is a grant of its own, whose source names the certificate before it. When it is issued, the one
before learns in the same transaction what has replaced it; after a rebinding it is revoked as superseded.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from onecert.pmi.grants.acts import Grants
from onecert.pmi.grants.carried import REBINDING, find_source
from onecert.pmi.grants.request import Grant, GrantRequest
from onecert.pmi.life.changes import Changes
from onecert.pmi.life.errors import CertificateStateError
from onecert.pmi.models import certificates, grants
from onecert.pmi.repository.search import STATUSES, Record, load_certificate
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator
from onecert.server.statements import Statement

__all__ = ["SUPERSEDED", "Renewals", "Renewed", "Replacements", "request_like"]

SUPERSEDED = "superseded"
_RENEWAL = "renewal:"
_NAMESPACE = uuid.UUID("5f0c0d0e-6d0b-5a53-9e43-0c8f3b1d2a76")
_GRANT = Statement(
    select(grants.c.source, grants.c.entity, grants.c.authority, grants.c.kind).where(
        grants.c.id == bindparam("wanted")
    )
)
_REPLACED = Statement(
    update(certificates)
    .where(certificates.c.serial == bindparam("wanted"), certificates.c.state != "intended")
    .values(replaced_by=bindparam("replacement"))
)


class Replacements:
    """Told of each certificate that is issued (``Issuing.listeners``)."""

    def __init__(self, *, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._changes = changes

    def issued(self, connection: Connection, grant_id: str, serial: str, actor: str) -> None:
        """Tell the one before, if there is one."""
        grant = _GRANT.first(connection, {"wanted": grant_id})
        if grant is None or not grant["source"].startswith((_RENEWAL, REBINDING)):
            return
        old = find_source(connection, grant["source"])
        if old is None or any(old[name] != grant[name] for name in ("entity", "authority", "kind")):
            return
        if grant["source"].startswith(REBINDING):
            records = [load_certificate(connection, old["old_serial"])]
            self._changes.revoke(
                connection,
                records,
                reason=SUPERSEDED,
                actor=actor,
                at=self._clock.now(),
                replaced_by=serial,
            )
        else:
            _REPLACED.run(connection, {"wanted": old["old_serial"], "replacement": serial})


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """The grant of a renewal, and the certificate before it as it is now."""

    grant: Grant
    before: Record


class Renewals:
    """Gives the same once more, for a new period, with the approvals that the catalogue wants."""

    def __init__(self, *, database: Database, clock: Clock, grants: Grants, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._grants = grants
        self._changes = changes

    def preview(self, serial: str, operator: Operator, *, until: datetime | None = None) -> Grant:
        """Return the grant that ``renew`` would put on record; nothing is kept."""
        return self._grants.preview(self._request(serial, until, b""), operator)

    def renew(
        self,
        serial: str,
        operator: Operator,
        *,
        until: datetime | None = None,
        recipient: bytes = b"",
        supersede: bool = False,
    ) -> Renewed:
        """Ask for the same again; issued at once unless a second person is needed. Twice is once.

        Args:
            until: the end of the new period; None: as long as is allowed.
            recipient: who may read encrypted attributes; the record does not know them.
            supersede: revoke the one before once the new one is issued, instead of leaving it to its end.

        Raises:
            CertificateStateError: it is not valid any more; ask for a new grant.
            ServiceError, VerifyError: as for a new grant.
        """
        grant = self._grants.request(self._request(serial, until, recipient), operator)
        with self._database.reading() as connection:
            before = load_certificate(connection, serial)
        if supersede and grant.serial and before.state in {"issued", "held"}:
            with self._database.transaction() as connection:
                self._changes.revoke(
                    connection,
                    [before],
                    reason=SUPERSEDED,
                    actor=operator.actor,
                    at=self._clock.now(),
                    replaced_by=grant.serial,
                )
            self._changes.publish([before])
            with self._database.reading() as connection:
                before = load_certificate(connection, serial)
        return Renewed(grant=grant, before=before)

    def _request(self, serial: str, until: datetime | None, recipient: bytes) -> GrantRequest:
        now = self._clock.now()
        with self._database.reading() as connection:
            record = load_certificate(connection, serial)
            if record.replaced_by is None and record.status(now) != "valid":
                raise CertificateStateError(record.serial, STATUSES[record.status(now)])
            row = connection.execute(select(grants).where(grants.c.id == record.grant_id)).mappings().one()
            grant_id = _renewal_id(connection, record.serial)
        return request_like(
            row,
            holder=bytes(row["holder_der"]),
            source=f"{_RENEWAL}{record.serial}",
            grant_id=grant_id,
            not_after=until,
            recipient=recipient,
        )


def request_like(
    row: object,
    *,
    holder: bytes,
    source: str,
    grant_id: str,
    not_after: datetime | None,
    recipient: bytes = b"",
) -> GrantRequest:
    """Ask for what the row of a grant says, for this certificate of its holder."""
    values: dict[str, object] = dict(row)  # type: ignore[call-overload]  # a row's mapping
    return GrantRequest(
        authority=str(values["authority"]),
        holder=holder,
        attributes=json.loads(str(values["attributes"])),
        targets=tuple(json.loads(str(values["targets"]))),
        target_groups=tuple(json.loads(str(values["target_groups"]))),
        holder_form=str(values["holder_form"]),
        short_lived=bool(values["short_lived"]),
        audit_identity=str(values["audit_identity"]),
        recipient=recipient,
        not_after=not_after,
        id=grant_id,
        kind=str(values["kind"]),
        constraints=json.loads(str(values["constraints"])),
        source=source,
    )


def _renewal_id(connection: Connection, serial: str) -> str:
    """The same for each try, until one was refused."""
    for count in range(1000):
        grant_id = str(uuid.uuid5(_NAMESPACE, f"{serial} {count}"))
        state = connection.scalar(select(grants.c.state).where(grants.c.id == grant_id))
        if state != "refused":
            return grant_id
    return str(uuid.uuid4())
