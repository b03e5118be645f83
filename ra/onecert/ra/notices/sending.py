"""Notices on record, each once, and the job that sends them.

    ra.notices.send(NoticeKind.READY, "agent@example.com", {...}, key="ready:<application>:1")

A notice is on record before it is sent. One that is handed in is sealed until it has gone; one about a
renewal or a returned application is written when it is sent, from what is on record then, and is dropped if
it is needless by then. "Refused for good" ends it, "could not" is tried again with growing pauses, eight
times in about two days; the page of notices shows what could not be sent.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.notices.carriers import Carrier
from onecert.ra.notices.errors import DeliveryError, NoticeRefusedError
from onecert.ra.notices.facts import Facts, NeedlessError, NoAddressError
from onecert.ra.notices.tables import notices
from onecert.ra.notices.texts import NoticeKind
from onecert.ra.notices.writing import check_address, write_mail
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["About", "Notices", "put_notice"]

log = logging.getLogger(__name__)

# After each attempt; the first is longer than an attempt can last. After the last one it is given up.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 30, 120, 360, 720, 1440))
BATCH = 50


@dataclass(frozen=True, kw_only=True)
class About:
    """What a notice is about, for lists and scopes; `subject` as the audit trail names it."""

    subject: str
    name: str = ""
    point: str = ""
    authority: str = ""
    kind: str = ""
    step: int | None = None


class Notices:
    """Keeps notices and sends them. `sender` is the address that mails come from."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        facts: Facts,
        carrier: Carrier,
        sender: str,
        registration_authority: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._facts = facts
        self._carrier = carrier
        self._sender = sender
        self._name = registration_authority

    def send(
        self,
        kind: NoticeKind,
        to: str,
        facts: Mapping[str, str],
        key: str,
        *,
        about: About | None = None,
    ) -> bool:
        """Put a notice on record to be sent soon; False when one with this key is there already.

        Not inside a transaction: sealing asks the token.

        Args:
            facts: see `NoticeKind`; never numbers of identity documents.
            key: what makes it one notice, such as ``"ready:<application>:<number of the code>"``.

        Raises:
            NoticeRefusedError: no such address, or a fact that must not stand in a mail.
        """
        now, notice_id = self._clock.now(), str(uuid.uuid4())
        # Written once now, so that the one who asks hears of what cannot be sent.
        write_mail(kind, to=check_address(to), facts=facts, sender=self._sender, notice_id=notice_id, at=now)
        sealed = self._vault.seal_json(_place(notice_id), {"to": to, "facts": dict(facts)})
        try:
            with self._database.transaction() as connection:
                return put_notice(
                    connection,
                    kind,
                    key=key,
                    about=about or About(subject=key),
                    at=now,
                    sealed=sealed,
                    notice_id=notice_id,
                )
        except IntegrityError:  # another process put it there in this instant
            return False

    def run(self, at: datetime) -> None:
        """The job: what is due."""
        with self._database.reading() as connection:
            due = list(
                connection.execute(
                    select(notices)
                    .where(notices.c.state == "waiting", notices.c.next_attempt_at <= at)
                    .order_by(notices.c.next_attempt_at, notices.c.seq)
                    .limit(BATCH)
                )
            )
        for row in due:
            try:
                self._attempt(row)
            except ServiceError as exc:
                # Token or database away: the claim's pause runs out, then it is tried again.
                log.warning("notice not sent", extra={"notice": row.id, "code": exc.code})

    def _attempt(self, row: Any) -> None:
        """Claim, write, hand over, record. A crash in between is one attempt without an answer."""
        if not self._claim(row):
            return
        try:
            to, facts = self._read(row)
            mail = write_mail(
                NoticeKind(row.notice),
                to=to,
                facts=facts,
                sender=self._sender,
                notice_id=row.id,
                at=self._clock.now(),
            )
            self._carrier.deliver(mail, notice_id=row.id)
        except NeedlessError as exc:
            self._close(row, "needless", exc.why)
        except NoAddressError:
            self._close(row, "no_address", None)
        except NoticeRefusedError as exc:
            self._close(row, "failed", str(exc.facts["why"]))
        except DeliveryError as exc:
            given_up = exc.is_final or row.attempts >= len(PAUSES)
            log.warning("mail not handed over", extra={"notice": row.id, "given_up": given_up})
            self._close(row, "failed" if given_up else "waiting", str(exc.facts["detail"]))
        else:
            self._close(row, "sent", None)

    def _claim(self, row: Any) -> bool:
        pause = PAUSES[min(row.attempts, len(PAUSES) - 1)]
        with self._database.transaction() as connection:
            claimed = connection.execute(
                update(notices)
                .where(
                    notices.c.id == row.id,
                    notices.c.state == "waiting",
                    notices.c.attempts == row.attempts,
                )
                .values(attempts=row.attempts + 1, next_attempt_at=self._clock.now() + pause)
            )
        return claimed.rowcount == 1

    def _read(self, row: Any) -> tuple[str, Mapping[str, Any]]:
        if row.content_sealed is None:
            return self._facts.of(NoticeKind(row.notice), row.about, row.step, at=self._clock.now())
        content = self._vault.unseal_json(_place(row.id), row.content_sealed)
        return str(content["to"]), content["facts"]

    def _close(self, row: Any, state: str, error: str | None) -> None:
        """Record what became of it; with the last answer what was sealed is gone."""
        over = state != "waiting"
        changes: dict[str, Any] = {"state": state, "last_error": error[:200] if error else None}
        if over:
            changes |= {"answered_at": self._clock.now(), "content_sealed": None}
        with self._database.transaction() as connection:
            connection.execute(
                update(notices).where(notices.c.id == row.id, notices.c.state == "waiting").values(**changes)
            )
            if over:
                self._audit.record(
                    connection,
                    event=f"notice.{state}",
                    actor="ra:" + self._name,
                    subject=row.about,
                    details={"notice": row.notice, "id": row.id, "attempts": row.attempts + 1},
                )


def put_notice(
    connection: Connection,
    kind: NoticeKind,
    *,
    key: str,
    about: About,
    at: datetime,
    sealed: bytes | None = None,
    notice_id: str | None = None,
) -> bool:
    """Put it on record in somebody's transaction; False when one with this key is there already."""
    if connection.scalar(select(notices.c.seq).where(notices.c.key == key)) is not None:
        return False
    connection.execute(
        insert(notices).values(
            id=notice_id or str(uuid.uuid4()),
            key=key,
            notice=kind.value,
            step=about.step,
            about=about.subject,
            name=about.name,
            point=about.point,
            authority=about.authority,
            kind=about.kind,
            content_sealed=sealed,
            state="waiting",
            created_at=at,
            attempts=0,
            next_attempt_at=at.astimezone(UTC),
        )
    )
    return True


def _place(notice_id: str) -> str:
    return f"notice:{notice_id}"
