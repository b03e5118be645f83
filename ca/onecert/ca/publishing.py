"""Making and publishing revocation lists: numbers only grow, nothing revoked is missing, files are whole.

A list is read from one snapshot of the record, checked for completeness, drafted, linted with a throw-away
signature, its number put on record, signed, compared, recorded and written to a file that the status service
serves without database or token. Whoever finds that another process was faster starts over.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import Connection, bindparam, exists, func, select, update

from onecert.ca.authorities import Authorities, Authority
from onecert.ca.crl import CrlDraft, check_crl, draft_crl
from onecert.ca.errors import (
    ClockWentBackError,
    CrlIncompleteError,
    CrlOverdueError,
    SignatureFaultError,
    TryAgainError,
)
from onecert.ca.ledger import GOOD
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import certificates, crl_entries, crls
from onecert.ca.signer import Signer
from onecert.ca.signing import ThrowAwayKeys
from onecert.ca.status_files import StatusFiles
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["CrlPublisher", "PublishedCrl"]

log = logging.getLogger(__name__)

ATTEMPTS = 10
# A clock that is corrected by less than this does not stop the lists; this_update then stands still.
CLOCK_TOLERANCE = timedelta(seconds=60)

_LATEST = (
    select(crls)
    .where(crls.c.authority == bindparam("a"), crls.c.sha256.is_not(None))
    .order_by(crls.c.number.desc())
    .limit(1)
)
_HIGHEST = select(
    func.max(crls.c.number).label("number"),
    func.max(crls.c.this_update).label("this_update"),
    func.max(crls.c.status_version).label("status_version"),
).where(crls.c.authority == bindparam("a"))
_VERSION = select(authorities_table.c.status_version).where(authorities_table.c.name == bindparam("a"))
_ENTRIES = (
    select(crl_entries.c.entry_der)
    .where(crl_entries.c.authority == bindparam("a"), crl_entries.c.not_after >= bindparam("since"))
    .order_by(crl_entries.c.serial)
)
_SAME = (crl_entries.c.authority == certificates.c.authority) & (
    crl_entries.c.serial == certificates.c.serial
)
_MISSING = select(func.count()).where(
    certificates.c.authority == bindparam("a"),
    certificates.c.status != GOOD,
    certificates.c.not_after >= bindparam("since"),
    ~exists().where(_SAME),
)
_SURPLUS = select(func.count()).where(
    crl_entries.c.authority == bindparam("a"),
    ~exists().where(_SAME & (certificates.c.status != GOOD)),
)


@dataclass(frozen=True, kw_only=True)
class PublishedCrl:
    """A list that was signed and recorded."""

    authority: str
    number: int
    this_update: datetime
    next_update: datetime
    status_version: int
    entries: int
    sha256: str


class CrlPublisher:
    """Makes the lists of authorities whose keys are on one token."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        signer: Signer,
        files: StatusFiles,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._signer = signer
        self._files = files
        self._throw_away = ThrowAwayKeys()
        self._locks: dict[str, threading.Lock] = {}
        self._locks_lock = threading.Lock()

    def publish(
        self, authority_name: str, *, at_least: int | None = None, actor: str = "job:ca.crl"
    ) -> PublishedCrl:
        """Make a new list and publish it.

        Args:
            at_least: a list that already holds the changes up to this version will do; so many revocations
                at once share one list.

        Raises:
            CaError: nothing was published; the list before still stands.
        """
        authority = self._authorities.get(authority_name)
        with self._locks_lock:
            lock = self._locks.setdefault(authority_name, threading.Lock())
        with lock:
            for _attempt in range(ATTEMPTS):
                latest = self.latest(authority_name)
                if at_least is not None and latest is not None and latest.status_version >= at_least:
                    self.write_file(authority_name)
                    return latest
                # No number is spent while the key is away.
                self._signer.check_usable(authority.key_label)
                # 1. One snapshot of the record: entries, version, last number; complete, or not at all.
                draft, version = self._draft(authority)
                # 2. Lint, signed with a throw-away key.
                check_crl(self._throw_away.sign(authority.issuer.algorithm, draft.tbs_der), draft)
                # 3. Number and hash on record; then 4. the key, 5. the comparison, 6. the result on record.
                if self._record_intent(authority, draft, version):
                    return self._sign(authority, draft, version, actor)
        raise TryAgainError

    def latest(self, authority_name: str) -> PublishedCrl | None:
        """Find the newest list on record."""
        with self._database.reading() as connection:
            row = connection.execute(_LATEST, {"a": authority_name}).mappings().one_or_none()
        if row is None:
            return None
        return PublishedCrl(**{name: row[name] for name in PublishedCrl.__dataclass_fields__})

    def write_file(self, authority_name: str) -> None:
        """Bring the file of the newest list up to date; nothing happens when it is."""
        with self._database.reading() as connection:
            row = connection.execute(_LATEST, {"a": authority_name}).mappings().one_or_none()
        if row is not None and row["crl_der"] is not None:
            self._files.write_crl(authority_name, row["number"], row["crl_der"])

    def is_due(self, authority: Authority, at: datetime) -> bool:
        """Tell whether a list is missing, out of date, or has lived a quarter of its time."""
        latest = self.latest(authority.name)
        if latest is None or at >= latest.this_update + (latest.next_update - latest.this_update) / 4:
            return True
        with self._database.reading() as connection:
            version: int = connection.execute(_VERSION, {"a": authority.name}).scalar_one()
        return version > latest.status_version

    def check(self, authority: Authority, at: datetime) -> None:
        """The alarm at half life.

        Raises:
            CrlOverdueError
        """
        latest = self.latest(authority.name)
        if latest is None:
            raise CrlOverdueError(authority.name, "-")
        if at >= latest.this_update + (latest.next_update - latest.this_update) / 2:
            raise CrlOverdueError(authority.name, latest.next_update.isoformat())

    def _draft(self, authority: Authority) -> tuple[CrlDraft, int]:
        now = self._clock.now().replace(microsecond=0)
        name = {"a": authority.name}
        with self._database.reading() as connection:
            highest = connection.execute(_HIGHEST, name).one()
            last: datetime | None = highest.this_update
            if last is not None and last - now > CLOCK_TOLERANCE:
                raise ClockWentBackError(now.isoformat(), last.isoformat())
            this_update = now if last is None else max(now, last)
            version: int = connection.execute(_VERSION, name).scalar_one()
            # RFC 5280, section 3.3: an entry stays until it was on one list after the certificate's end.
            since = name | {"since": last or this_update}
            missing: int = connection.execute(_MISSING, since).scalar_one()
            surplus: int = connection.execute(_SURPLUS, name).scalar_one()
            if missing or surplus:
                raise CrlIncompleteError(authority.name, missing, surplus)
            entries = connection.execute(_ENTRIES, since).scalars().all()
        draft = draft_crl(
            authority.issuer,
            number=(highest.number or 0) + 1,
            this_update=this_update,
            next_update=min(this_update + authority.crl_lifetime, authority.issuer.not_after),
            entries=entries,
        )
        return draft, version

    def _record_intent(self, authority: Authority, draft: CrlDraft, version: int) -> bool:
        """Put the number on record. False: there is a list with this number, later time or newer content."""
        with self._database.transaction() as connection:
            _lock_authority(connection, authority.name)
            highest = connection.execute(_HIGHEST, {"a": authority.name}).one()
            if highest.number is not None and (
                highest.number >= draft.number
                or highest.this_update > draft.this_update
                or highest.status_version > version
            ):
                return False
            return insert_if_absent(
                connection,
                crls,
                {
                    "authority": authority.name,
                    "number": draft.number,
                    "this_update": draft.this_update,
                    "next_update": draft.next_update,
                    "status_version": version,
                    "entries": draft.entries,
                    "tbs_sha256": hashlib.sha256(draft.tbs_der).hexdigest(),
                },
            )

    def _sign(self, authority: Authority, draft: CrlDraft, version: int, actor: str) -> PublishedCrl:
        crl_der = self._signer.sign(authority.issuer, authority.key_label, draft.tbs_der)
        if x509.load_der_x509_crl(crl_der).tbs_certlist_bytes != draft.tbs_der:
            raise SignatureFaultError(authority.name)
        sha256 = hashlib.sha256(crl_der).hexdigest()
        with self._database.transaction() as connection:
            connection.execute(
                update(crls)
                .where(crls.c.authority == authority.name, crls.c.number == draft.number)
                .values(crl_der=crl_der, sha256=sha256)
            )
            # Older lists keep number, times and hash as evidence; their bytes only cost room.
            connection.execute(
                update(crls)
                .where(
                    crls.c.authority == authority.name,
                    crls.c.number < draft.number - 1,
                    crls.c.crl_der.is_not(None),
                )
                .values(crl_der=None)
            )
            self._audit.record(
                connection,
                event="crl.published",
                actor=actor,
                subject=authority.name,
                details={"number": draft.number, "entries": draft.entries, "sha256": sha256},
            )
        log.info("list published", extra={"authority": authority.name, "number": draft.number})
        self._files.write_crl(authority.name, draft.number, crl_der)
        return PublishedCrl(
            authority=authority.name,
            number=draft.number,
            this_update=draft.this_update,
            next_update=draft.next_update,
            status_version=version,
            entries=draft.entries,
            sha256=sha256,
        )


def _lock_authority(connection: Connection, name: str) -> None:
    connection.execute(
        select(authorities_table.c.name).where(authorities_table.c.name == name).with_for_update()
    )
