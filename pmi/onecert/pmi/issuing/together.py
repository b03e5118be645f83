"""Issues the certificates of a whole batch, chunk by chunk, in the order of `one`.

    judged, drafted, linted; intents on record    one transaction for the chunk
    signed by the token, each signature verified  in threads, while the next chunk is begun
    certificates and one audit entry              one transaction for the chunk

The audit entry of a chunk names its serial numbers in their order, and the SHA-256 of the lines
``<serial> <SHA-256 of the certificate>\\n``; whoever has the certificates can compute it again.

Interrupted anywhere, the next run signs what is on record without a certificate: the same bytes under the
same serial numbers, so that nothing is lost and nothing doubled.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from onecert.pmi.authorities.directory import Authorities, Authority
from onecert.pmi.issuing.encode import draw_serials
from onecert.pmi.issuing.lint import check_draft
from onecert.pmi.issuing.one import (
    SET_GRANT_ISSUED,
    SET_ISSUED,
    ToSign,
    attribute_rows,
    certificate_row,
    content_of,
)
from onecert.pmi.issuing.signing import Signer, ThrowAwayKeys, algorithm_of
from onecert.pmi.models import batches, certificate_attributes, certificates, grants
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import Act, Statement, Values, insert_once

__all__ = ["CHUNK", "Progress", "Together", "list_sha256"]

log = logging.getLogger(__name__)

# The serial numbers of a chunk fit into one audit entry.
CHUNK = 500

Prepare = Callable[
    [Connection, Sequence[Values], Authority, datetime], Iterator[tuple[Values, ToSign | ServiceError]]
]

# Whoever else works on this batch waits here until a chunk is on record.
_LOCK = Statement(
    select(batches.c.authority, batches.c.state).where(batches.c.id == bindparam("batch")).with_for_update()
)
_NEXT = Statement(
    select(
        *(
            grants.c[name]
            for name in (
                "id",
                "kind",
                "authority",
                "holder_der",
                "holder_name",
                "entity",
                "holder_form",
                "attributes",
                "constraints",
                "targets",
                "target_groups",
                "short_lived",
                "audit_identity",
                "recipient_der",
                "source",
                "not_before",
                "not_after",
            )
        )
    )
    .where(
        grants.c.batch_id == bindparam("batch"),
        grants.c.state == "approved",
        grants.c.id > bindparam("after"),
    )
    .order_by(grants.c.id)
    .limit(bindparam("most"))
)
_OUTSTANDING = Statement(
    select(certificates.c.serial, certificates.c.grant_id, certificates.c.authority, certificates.c.info_der)
    .join(grants, grants.c.id == certificates.c.grant_id)
    .where(
        grants.c.batch_id == bindparam("batch"),
        grants.c.state == "approved",
        certificates.c.state == "intended",
    )
    .order_by(certificates.c.serial)
)
_INSERT_CERTIFICATE = insert_once(certificates)
_INSERT_ATTRIBUTE = insert_once(certificate_attributes)
_SET_REFUSED = Statement(
    update(grants)
    .where(grants.c.id == bindparam("wanted"))
    .values(
        state="refused", refused_by=bindparam("by"), refused_at=bindparam("at"), refused_why=bindparam("why")
    )
)


@dataclass(frozen=True, slots=True)
class _Intent:
    grant_id: str
    serial: str
    info_der: bytes


class _UnevenError(Exception):
    """Not every row was open; never leaves this module."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What one run has done."""

    issued: int
    refused: int


class Together:
    """Issues batches. One object per process; two runs for one batch do no harm."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        authorities: Authorities,
        signer: Signer,
        sessions: int,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._signer = signer
        self._sessions = sessions
        self._throw_away = ThrowAwayKeys()

    def run(self, batch_id: str, prepare: Prepare, *, actor: str) -> Progress:
        """Issue what is left of an approved batch.

        Args:
            prepare: ``Preparer.prepare_many``.

        Raises:
            AuthorityStateError, TokenGoneError, SignatureFaultError, DraftRefusedError,
            DatabaseUnavailableError: not now; what is on record is finished by the next run.
        """
        issued = refused = 0
        with ThreadPoolExecutor(self._sessions, "pmi-signing") as pool:
            # 1. What an interruption left on record is signed first.
            with self._database.reading() as connection:
                left = _OUTSTANDING.all(connection, {"batch": batch_id})
            for at in range(0, len(left), CHUNK):
                authority, chunk = self._reload(left[at : at + CHUNK])
                issued += self._keep(batch_id, chunk, self._begin_signing(pool, authority, chunk), actor)
            # 2. Then chunk by chunk: while one is signed, the next is put on record.
            after = ""
            signing: tuple[Sequence[_Intent], Sequence[Future[list[bytes]]]] | None = None
            while True:
                try:
                    with self._database.transaction() as connection:
                        begun = self._begin(connection, batch_id, after, prepare, actor)
                finally:
                    if signing is not None:
                        issued += self._keep(batch_id, *signing, actor)
                if begun is None:
                    break
                authority, chunk, after, of_it_refused = begun
                refused += of_it_refused
                signing = (chunk, self._begin_signing(pool, authority, chunk))
        return Progress(issued=issued, refused=refused)

    def _begin(
        self, connection: Connection, batch_id: str, after: str, prepare: Prepare, actor: str
    ) -> tuple[Authority, list[_Intent], str, int] | None:
        """Put the intents of the next chunk on record; None when there is nothing left."""
        batch = _LOCK.first(connection, {"batch": batch_id})
        if batch is None or batch["state"] != "approved":
            return None
        found = _NEXT.all(connection, {"batch": batch_id, "after": after, "most": CHUNK})
        if not found:
            return None
        taken = _taken(connection, [row["id"] for row in found])
        rows = [row for row in found if row["id"] not in taken]
        now = self._clock.now()
        authority = self._authorities.load_to_issue(connection, batch["authority"])
        algorithm = algorithm_of(authority.public_key)
        intents: list[_Intent] = []
        certificate_rows: list[Values] = []
        found_by: list[Values] = []
        refused = []
        numbers = iter(draw_serials(len(rows)))
        for row, to_sign in prepare(connection, rows, authority, now):
            if isinstance(to_sign, ServiceError):
                refused.append({"wanted": row["id"], "by": actor[:64], "at": now, "why": str(to_sign)[:500]})
                continue
            number = next(numbers)
            content = content_of(row, to_sign, number)
            info_der = authority.template.fill(content, number)
            draft = self._throw_away.sign(algorithm, info_der)
            check_draft(draft, authority=authority, content=content)
            serial = f"{number:x}"
            intents.append(_Intent(row["id"], serial, info_der))
            certificate_rows.append(certificate_row(row, to_sign, serial, info_der, now))
            found_by += attribute_rows(serial, to_sign.found_by)
        act = Act(connection)
        _INSERT_CERTIFICATE.run_many(act, certificate_rows)
        _INSERT_ATTRIBUTE.run_many(act, found_by)
        if refused:
            _SET_REFUSED.run_many(act, refused)
            self._audit.record(
                connection,
                event="batch.rows_refused",
                actor=actor,
                subject=f"batch:{batch_id}",
                details={"grants": [each["wanted"] for each in refused]},
            )
        return authority, intents, found[-1]["id"], len(refused)

    def _reload(self, left: Sequence[Values]) -> tuple[Authority, list[_Intent]]:
        with self._database.reading() as connection:
            authority = self._authorities.load_to_issue(connection, left[0]["authority"])
        return authority, [_Intent(row["grant_id"], row["serial"], bytes(row["info_der"])) for row in left]

    def _begin_signing(
        self, pool: ThreadPoolExecutor, authority: Authority, chunk: Sequence[_Intent]
    ) -> list[Future[list[bytes]]]:
        log.info("attribute certificates to be signed", extra={"count": len(chunk)})
        size = -(-len(chunk) // self._sessions) or 1
        return [
            pool.submit(self._sign, authority, [each.info_der for each in chunk[at : at + size]])
            for at in range(0, len(chunk), size)
        ]

    def _sign(self, authority: Authority, contents: Sequence[bytes]) -> list[bytes]:
        return self._signer.sign_many(authority.name, authority.key_label, authority.public_key, contents)

    def _keep(
        self, batch_id: str, chunk: Sequence[_Intent], signing: Sequence[Future[list[bytes]]], actor: str
    ) -> int:
        """Keep what was signed, with the audit entry of the chunk; tell how many were."""
        ders = [der for each in signing for der in each.result()]
        now = self._clock.now()
        rows = [
            {"number": intent.serial, "wanted": intent.grant_id, "der": der, "at": now}
            for intent, der in zip(chunk, ders, strict=True)
        ]
        try:
            self._write(batch_id, rows, actor)
        except _UnevenError:
            # Another run was at it as well, or serials were given up: only what is still open is kept.
            with self._database.reading() as connection:
                still = {row["serial"] for row in _OUTSTANDING.all(connection, {"batch": batch_id})}
            rows = [row for row in rows if row["number"] in still]
            self._write(batch_id, rows, actor)
        return len(rows)

    def _write(self, batch_id: str, rows: Sequence[Values], actor: str) -> None:
        if not rows:
            return
        with self._database.transaction() as connection:
            act = Act(connection)
            if SET_ISSUED.run_many(act, rows) != len(rows):
                raise _UnevenError
            SET_GRANT_ISSUED.run_many(act, rows)
            self._audit.record(
                connection,
                event="attribute_certificates.issued",
                actor=actor,
                subject=f"batch:{batch_id}",
                details={
                    "count": len(rows),
                    "serials": [row["number"] for row in rows],
                    "sha256": list_sha256((row["number"], row["der"]) for row in rows),
                },
            )


def _taken(connection: Connection, grant_ids: Sequence[str]) -> set[str]:
    """Return those that another run has put on record since we looked for them."""
    chosen = select(certificates.c.grant_id, certificates.c.state).where(
        certificates.c.grant_id.in_(grant_ids)
    )
    return {str(grant_id) for grant_id, state in connection.execute(chosen) if state != "abandoned"}


def list_sha256(certificates_of: Iterable[tuple[str, bytes]]) -> str:
    """Hash serial numbers with the SHA-256 of their certificates, as the audit entry of a chunk has it."""
    whole = hashlib.sha256()
    for serial, der in certificates_of:
        whole.update(f"{serial} {hashlib.sha256(der).hexdigest()}\n".encode("ascii"))
    return whole.hexdigest()
