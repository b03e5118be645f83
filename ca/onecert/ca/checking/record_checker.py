"""The checker of the record: reads all certificates again, page by page, and names what is wrong.

It shares no step with issuing but the rules themselves: what is on record is read from the database, and each
thing is compared with the others. It changes nothing. `checked_record` judges one certificate; here is the
walk over all of them, in both directions: each certificate has its audit entry, each audit entry its
certificate.
`list_checker` does the same for the lists, and `profile_checker` for the versions of the profiles.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, select, tuple_

from onecert.ca.archive.models import archived_certificates
from onecert.ca.authorities.authorities import Authorities
from onecert.ca.ceremonies.file import ceremony_from_text
from onecert.ca.checking.checked_record import Evidence, Finding, find_faults
from onecert.ca.checking.profile_checker import find_unsigned
from onecert.ca.errors import UnknownAuthorityError
from onecert.ca.issuing.ledger import COLUMNS, ISSUED, CertificateRecord, certificate_record
from onecert.ca.models import ceremonies, certificates, crl_entries, key_numbers, keys, orders, profiles
from onecert.ca.profiles.profile import Profile, profile_from_json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.models import audit_entries

__all__ = ["Page", "Place", "RecordChecker"]

ISSUED_EVENT = "certificate.issued"
# Both engines bound the parameters of one statement; SQLite's oldest bound is 999.
ROWS_AT_ONCE = 300

_AFTER = (
    select(*COLUMNS, certificates.c.profile_sha256)
    .where(tuple_(certificates.c.authority, certificates.c.serial) > tuple_(bindparam("a"), bindparam("s")))
    .order_by(certificates.c.authority, certificates.c.serial)
    .limit(bindparam("n"))
)
_ENTRIES_AFTER = (
    select(audit_entries.c.seq, audit_entries.c.event, audit_entries.c.subject)
    .where(audit_entries.c.seq > bindparam("after"))
    .order_by(audit_entries.c.seq)
    .limit(bindparam("n"))
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a walk is: the last certificate and the last audit entry that were read."""

    authority: str = ""
    serial: str = ""
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Page:
    """A part of the walk: where it ended, how many certificates it read, and what was wrong."""

    place: Place
    checked: int
    findings: tuple[Finding, ...]
    is_last: bool


class RecordChecker:
    """Checks the record of one CA."""

    def __init__(self, database: Database, authorities: Authorities, clock: Clock) -> None:
        self._database = database
        self._authorities = authorities
        self._clock = clock

    def pages(self, place: Place = Place(), *, authority: str | None = None) -> Iterator[Page]:
        """Walk over the whole record from a place on; see `page`.

        Args:
            authority: only the certificates of this one, and no audit entries.
        """
        if authority is not None:
            place = Place(authority=authority)
        while True:
            page = self.page(place, authority=authority)
            yield page
            if page.is_last:
                return
            place = page.place

    def page(self, place: Place, *, authority: str | None = None) -> Page:
        """Check the next certificates behind this place; when there are none left, the next audit entries.

        The first page has the versions of the profiles, too.
        """
        at = self._clock.now()
        is_first = place == Place(authority=authority or "")
        with self._database.reading() as connection:
            unsigned = tuple(find_unsigned(connection, authority)) if is_first else ()
            names = {"a": place.authority, "s": place.serial, "n": ROWS_AT_ONCE}
            rows = connection.execute(_AFTER, names).mappings().all()
            if authority is not None:
                rows = [row for row in rows if row["authority"] == authority]
            if rows:
                findings = (*unsigned, *self._findings(connection, rows, at))
                last = rows[-1]
                return Page(
                    place=Place(authority=last["authority"], serial=last["serial"], seq=place.seq),
                    checked=len(rows),
                    findings=findings,
                    is_last=False,
                )
            if authority is not None:
                return Page(place=place, checked=0, findings=unsigned, is_last=True)
            page = _unrecorded(connection, place)
            return replace(page, findings=(*unsigned, *page.findings))

    def check(self, authority: str, serial: str) -> tuple[Finding, ...]:
        """Check one certificate; nothing is found for one that is not on record."""
        query = select(*COLUMNS, certificates.c.profile_sha256).where(
            certificates.c.authority == authority, certificates.c.serial == serial
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            return tuple(self._findings(connection, rows, self._clock.now()))

    def _findings(
        self, connection: Connection, rows: Sequence[RowMapping], at: datetime
    ) -> Iterator[Finding]:
        records = [certificate_record(row) for row in rows]
        found = _Gathered(connection, records)
        known: dict[tuple[str, str, int, str], Profile | None] = {}
        for row, record in zip(rows, records, strict=True):
            name = (record.authority, record.serial)
            try:
                authority = self._authorities.get(record.authority)
            except UnknownAuthorityError:
                # A ceremony that was interrupted and not taken up again.
                yield Finding(rule="unfinished", authority=record.authority, serial=record.serial)
                continue
            name_of_profile = (
                record.authority,
                record.profile,
                record.profile_version,
                row["profile_sha256"],
            )
            if name_of_profile not in known:
                known[name_of_profile] = _profile(connection, record, row["profile_sha256"])
            number = found.numbers.get((record.authority, record.entity, record.key_sha256))
            evidence = Evidence(
                authority=authority,
                profile=known[name_of_profile],
                order=found.orders.get(record.order_id),
                key_entity=found.entities.get(record.key_sha256),
                key_number=number,
                has_audit_entry="/".join(name) in found.audited,
                has_list_entry=name in found.listed,
            )
            if name in found.archived:
                yield Finding(rule="serial-reused", authority=record.authority, serial=record.serial)
            yield from find_faults(record, evidence, at)


def _profile(connection: Connection, record: CertificateRecord, sha256: str) -> Profile | None:
    """The profile as it was on record at that version; None when it is not there with this hash."""
    query = select(profiles.c.content).where(
        profiles.c.authority == record.authority,
        profiles.c.name == record.profile,
        profiles.c.version == record.profile_version,
        profiles.c.sha256 == sha256,
    )
    content = connection.execute(query).scalar()
    known = [profile_from_json(content)] if content else _ceremony_profiles(connection, record)
    return next((each for each in known if each.sha256 == sha256), None)


def _ceremony_profiles(connection: Connection, record: CertificateRecord) -> list[Profile]:
    """The profiles of the authorities that a ceremony made, from its reviewed file."""
    if not record.order_id.startswith("ceremony."):
        return []
    name = record.order_id.split(".")[1]
    text = connection.execute(select(ceremonies.c.file_text).where(ceremonies.c.name == name)).scalar()
    if text is None:
        return []
    file = ceremony_from_text(text, tomllib.loads(text))
    return list(file.authority_profiles)


class _Gathered:
    """What the record has about the certificates of one page, read with one statement for each table."""

    def __init__(self, connection: Connection, records: Iterable[CertificateRecord]) -> None:
        records = list(records)
        names = [(each.authority, each.serial) for each in records]
        key_hashes = {each.key_sha256 for each in records}
        rows = connection.execute(select(orders).where(orders.c.id.in_([each.order_id for each in records])))
        self.orders = {row["id"]: dict(row) for row in rows.mappings()}
        wanted_keys = select(keys.c.key_sha256, keys.c.entity).where(keys.c.key_sha256.in_(key_hashes))
        self.entities = {row.key_sha256: row.entity for row in connection.execute(wanted_keys)}
        of_holder = tuple_(key_numbers.c.authority, key_numbers.c.entity, key_numbers.c.key_sha256)
        wanted = [(each.authority, each.entity, each.key_sha256) for each in records]
        self.numbers = {
            (row.authority, row.entity, row.key_sha256): row.number
            for row in connection.execute(select(key_numbers).where(of_holder.in_(wanted)))
        }
        self.audited = set(
            connection.scalars(
                select(audit_entries.c.subject).where(
                    audit_entries.c.subject.in_(["/".join(name) for name in names]),
                    audit_entries.c.event == ISSUED_EVENT,
                )
            )
        )
        of_archived = tuple_(archived_certificates.c.authority, archived_certificates.c.serial)
        archived = select(archived_certificates.c.authority, archived_certificates.c.serial)
        self.archived = {
            (row.authority, row.serial) for row in connection.execute(archived.where(of_archived.in_(names)))
        }
        of_entry = tuple_(crl_entries.c.authority, crl_entries.c.serial)
        self.listed = {
            (row.authority, row.serial)
            for row in connection.execute(
                select(crl_entries.c.authority, crl_entries.c.serial).where(of_entry.in_(names))
            )
        }


def _unrecorded(connection: Connection, place: Place) -> Page:
    """Read the next audit entries: each certificate that they tell of must be on record, with its bytes."""
    entries = connection.execute(_ENTRIES_AFTER, {"after": place.seq, "n": ROWS_AT_ONCE}).all()
    told = [tuple(entry.subject.partition("/")[::2]) for entry in entries if entry.event == ISSUED_EVENT]
    of_certificate = tuple_(certificates.c.authority, certificates.c.serial)
    known = {
        (row.authority, row.serial)
        for row in connection.execute(
            select(certificates.c.authority, certificates.c.serial).where(
                of_certificate.in_(told), certificates.c.state == ISSUED
            )
        )
    }
    of_archived = tuple_(archived_certificates.c.authority, archived_certificates.c.serial)
    archived = select(archived_certificates.c.authority, archived_certificates.c.serial)
    known |= {
        (row.authority, row.serial) for row in connection.execute(archived.where(of_archived.in_(told)))
    }
    findings = tuple(
        Finding(rule="issued-unrecorded", authority=authority, serial=serial)
        for authority, serial in told
        if (authority, serial) not in known
    )
    seq = entries[-1].seq if entries else place.seq
    return Page(
        place=Place(authority=place.authority, serial=place.serial, seq=seq),
        checked=0,
        findings=findings,
        is_last=len(entries) < ROWS_AT_ONCE,
    )
