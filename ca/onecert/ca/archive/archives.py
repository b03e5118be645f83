"""Retention: what ended long enough ago is exported with proof.

A month of an authority becomes one archive or several; see `archive_file`, and `archive_removal` for what
follows. What is kept, for how long, and why: docs/decisions/0008-retention.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import ColumnElement, bindparam, func, insert, select, tuple_, update

from onecert.ca.archive.acts import (
    KINDS,
    ActKind,
    act_index_line,
    acts_of_month,
    gather_acts,
    is_act,
)
from onecert.ca.archive.check import ArchiveReport, check_archive
from onecert.ca.archive.file import ARCHIVE_TYPE, FORMAT, Archive, ArchiveWriter, sha256_of_file
from onecert.ca.archive.limits import begin_of_kept
from onecert.ca.archive.models import archived_certificates, archives
from onecert.ca.archive.record import Record, gather, index_line
from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors.archives import (
    ArchiveMissingError,
    ArchiveNotDueError,
    UnknownArchiveError,
)
from onecert.ca.issuing.ledger import INTENDED
from onecert.ca.issuing.registration_authorities import RegistrationAuthorities, RegistrationAuthority
from onecert.ca.models import certificates
from onecert.ca.revocation.mass_models import security_officers
from onecert.server.audit import AuditTrail, Json
from onecert.server.audit.heads import find_newest_head
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import PrivateKey, sign_document
from onecert.server.folders import make_private_folder
from onecert.verifier.jws import key_id

__all__ = ["EXPORTED", "REMOVED", "REMOVING", "ArchiveEntry", "Archives", "Due"]

EXPORTED, REMOVING, REMOVED, GIVEN_UP = "exported", "removing", "removed", "given-up"
SEGMENT = 400
MAX_OCTETS = 2 * 1024**3

_MONTH = (
    (certificates.c.authority == bindparam("a"))
    & (certificates.c.not_after >= bindparam("begin"))
    & (certificates.c.not_after < bindparam("end"))
)
# Authorities' own certificates stay: what they signed must be checked for as long as anybody asks.
_KEPT: ColumnElement[bool] = certificates.c.order_id.like("ceremony.%")
_ARCHIVED = _MONTH & ~_KEPT & (certificates.c.state != INTENDED)
_COUNT = select(func.count()).select_from(certificates).where(_ARCHIVED)
_NEXT_END = select(func.min(certificates.c.not_after)).where(_ARCHIVED)
_PAGE = (
    select(certificates)
    .where(
        _ARCHIVED,
        tuple_(certificates.c.not_after, certificates.c.serial)
        > tuple_(bindparam("after", type_=certificates.c.not_after.type), bindparam("s")),
    )
    .order_by(certificates.c.not_after, certificates.c.serial)
    .limit(SEGMENT)
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A month of one authority whose records need not be kept here any more."""

    authority: str
    month: str  # 2011-11
    certificates: int


@dataclass(frozen=True, kw_only=True)
class ArchiveEntry:
    """One row of `archives`."""

    number: int
    name: str
    authority: str
    ended_from: datetime
    ended_until: datetime
    file: str
    sha256: str
    octets: int
    certificates: int
    segments: int
    state: str
    exported_at: datetime
    exported_by: str
    approvals: str
    segments_removed: int
    removed_at: datetime | None

    @property
    def officers(self) -> list[str]:
        """Who has approved the removal."""
        return [each["officer"] for each in json.loads(self.approvals)]

    def as_json(self) -> dict[str, Any]:
        said = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }
        return said | {"approvals": self.officers}


class Archives:
    """The archives of one CA.

    Args:
        keep_years: records are kept for so long after the end of a certificate.
        folder: where archives are written when nothing else is said.
        audit_key: signs manifests, as it signs the heads of the audit trail.
        key_folder: the public keys that did so, PEM.
        stamp: an RFC 3161 response about octets, where a timestamp authority is set.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        registration_authorities: RegistrationAuthorities,
        keep_years: int,
        folder: Path,
        audit_key: Callable[[], PrivateKey],
        key_folder: Path,
        stamp: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._registration_authorities = registration_authorities
        self._keep_years = keep_years
        self._folder = folder
        self._audit_key = audit_key
        self._key_folder = key_folder
        self._stamp = stamp

    # ------------------------------------------------------------------ what is due

    def due(self) -> Iterator[Due]:
        """Name the months that may be archived, oldest first for each authority."""
        limit = self._limit()
        for authority in self._authorities.reload():
            begin = datetime(1970, 1, 1, tzinfo=UTC)
            while (first := self._first_end(authority.name, begin, limit)) is not None:
                begin, end = _month_of(first)
                count = self._count(authority.name, begin, end)
                yield Due(authority=authority.name, month=f"{begin:%Y-%m}", certificates=count)
                begin = end

        for kind in KINDS.values():
            yield from self._due_acts(kind, limit)

    def _due_acts(self, kind: ActKind, limit: datetime) -> Iterator[Due]:
        begin = datetime(1970, 1, 1, tzinfo=UTC)
        while begin < limit:
            query = select(func.min(kind.ended)).where(
                kind.table.c.state.in_(kind.states), kind.ended >= begin, kind.ended < limit
            )
            with self._database.reading() as connection:
                first = connection.scalar(query)
                if first is None:
                    return
                begin, end = _month_of(first)
                count = sum(1 for _row in acts_of_month(connection, kind, begin, end))
            if count:
                yield Due(authority=kind.name, month=f"{begin:%Y-%m}", certificates=count)
            begin = end

    def _limit(self) -> datetime:
        """The begin of the first month that must be kept whole."""
        return begin_of_kept(self._clock.now(), self._keep_years)

    def _first_end(self, authority: str, begin: datetime, end: datetime) -> datetime | None:
        with self._database.reading() as connection:
            found: datetime | None = connection.scalar(
                _NEXT_END, {"a": authority, "begin": begin, "end": end}
            )
        return found

    def _count(self, authority: str, begin: datetime, end: datetime) -> int:
        with self._database.reading() as connection:
            return connection.scalar(_COUNT, {"a": authority, "begin": begin, "end": end}) or 0

    # ------------------------------------------------------------------ export

    def export(
        self,
        authority: str,
        month: str,
        *,
        actor: str,
        folder: Path | None = None,
        max_octets: int = MAX_OCTETS,
        again: bool = False,
    ) -> list[ArchiveEntry]:
        """Write a month of an authority into archives of at most about so many octets each.

        Args:
            authority: or one of `acts.KINDS`: batches or mass revocations that were finished in the month.
            month: 2011-11, of the end of the certificates.
            again: give up what was exported of this month and not removed.

        Raises:
            ArchiveNotDueError: the month must be kept, has nothing, or is exported.
        """
        begin, end = _month_of(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC))
        kind = KINDS.get(authority)
        name = authority if kind is not None else self._authorities.get(authority).name
        if end > self._limit():
            raise ArchiveNotDueError(name, month)
        standing = [each for each in self.entries() if (each.authority, each.ended_from) == (name, begin)]
        for each in standing:
            if each.state == REMOVING or (each.state == EXPORTED and not again):
                raise ArchiveNotDueError(name, month, exported=each.name)
        if kind is None and not self._count(name, begin, end):
            raise ArchiveNotDueError(name, month)
        place = make_private_folder((folder or self._folder).absolute())
        made: list[ArchiveEntry] = []
        pages = self._pages(name, begin, end) if kind is None else self._act_pages(kind, begin, end)
        records = next(pages, None)
        if records is None:
            raise ArchiveNotDueError(name, month)
        number = max((each.number for each in self.entries()), default=0)
        while records is not None:
            number += 1
            path = place / f"{name.lstrip('=')}-{month}-{number}.zip"
            with ArchiveWriter(path) as writer:
                while records is not None and (not writer.segments or writer.octets < max_octets):
                    writer.add(records, index_line if kind is None else act_index_line)
                    records = next(pages, None)
                manifest = self._manifest(writer, name, (begin, end), actor)
                document = sign_document(manifest, typ=ARCHIVE_TYPE, keys=[self._audit_key()])
                writer.finish(document, self._stamp and self._stamp(document))
            made.append(self._exported(writer, number, name, (begin, end), actor))
        self._record(made, [each for each in standing if each.state == EXPORTED], actor)
        return made

    def _pages(self, authority: str, begin: datetime, end: datetime) -> Iterator[list[Record]]:
        after, serial = begin, ""
        while True:
            names = {"a": authority, "begin": begin, "end": end, "after": after, "s": serial}
            with self._database.reading() as connection:
                rows = connection.execute(_PAGE, names).mappings().all()
                records = gather(connection, rows)
            if not records:
                return
            yield records
            after, serial = rows[-1]["not_after"], rows[-1]["serial"]

    def _act_pages(self, kind: ActKind, begin: datetime, end: datetime) -> Iterator[list[Record]]:
        """One act to a segment: a batch may have a hundred thousand lines."""
        with self._database.reading() as connection:
            ids = [row["id"] for row in acts_of_month(connection, kind, begin, end)]
        for number in ids:
            with self._database.reading() as connection:
                query = select(kind.table).where(kind.table.c.id == number)
                yield gather_acts(connection, kind, connection.execute(query).mappings().all())

    def _manifest(
        self, writer: ArchiveWriter, authority: str, month: tuple[datetime, datetime], actor: str
    ) -> dict[str, Any]:
        with self._database.reading() as connection:
            head = find_newest_head(connection)
            officers = connection.execute(select(security_officers)).mappings().all()
        known = None if is_act(authority) else self._authorities.get(authority)
        return {
            "archive": writer.path.stem,
            "format": FORMAT,
            "authority": authority,
            "authority_certificate": known and base64.b64encode(known.certificate_der).decode("ascii"),
            "chain": [
                base64.b64encode(each.certificate_der).decode("ascii")
                for each in (self._authorities.chain(known) if known else ())
            ],
            "officers": [
                {"name": each["id"], "kid": each["kid"], "pem": each["key_pem"]} for each in officers
            ],
            "registration_authorities": [
                {"name": each.name, "kid": each.key_id, "pem": _pem(each)}
                for each in self._registration_authorities.entries()
            ],
            "ended_from": month[0].isoformat(),
            "ended_until": month[1].isoformat(),
            "certificates": writer.certificates,
            "segments": writer.segments,
            "parts": writer.parts,
            "audit_head": None if head is None else json.loads(head),
            "exported_at": self._clock.now().isoformat(),
            "exported_by": actor,
        }

    def _exported(
        self,
        writer: ArchiveWriter,
        number: int,
        authority: str,
        month: tuple[datetime, datetime],
        actor: str,
    ) -> ArchiveEntry:
        return ArchiveEntry(
            number=number,
            name=writer.path.stem,
            authority=authority,
            ended_from=month[0],
            ended_until=month[1],
            file=str(writer.path),
            sha256=sha256_of_file(writer.path),
            octets=writer.path.stat().st_size,
            certificates=writer.certificates,
            segments=writer.segments,
            state=EXPORTED,
            exported_at=self._clock.now(),
            exported_by=actor,
            approvals="[]",
            segments_removed=0,
            removed_at=None,
        )

    def _record(self, made: Sequence[ArchiveEntry], before: Sequence[ArchiveEntry], actor: str) -> None:
        with self._database.transaction() as connection:
            for each in before:
                gone = (archives.c.number == each.number) & (archives.c.state == EXPORTED)
                connection.execute(update(archives).where(gone).values(state=GIVEN_UP))
            for each in made:
                connection.execute(insert(archives).values(vars(each)))
                facts: dict[str, Json] = {
                    "sha256": each.sha256,
                    "certificates": each.certificates,
                    "octets": each.octets,
                }
                self._audit.record(
                    connection, event="archive.exported", actor=actor, subject=each.name, details=facts
                )

    # ------------------------------------------------------------------ looking

    def entries(self) -> list[ArchiveEntry]:
        """All archives, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(archives).order_by(archives.c.number)).mappings()
            return [ArchiveEntry(**row) for row in rows]

    def entry(self, name: str) -> ArchiveEntry:
        """One archive.

        Raises:
            UnknownArchiveError
        """
        with self._database.reading() as connection:
            row = connection.execute(select(archives).where(archives.c.name == name)).mappings().one_or_none()
        if row is None:
            raise UnknownArchiveError(name)
        return ArchiveEntry(**row)

    def check(self, name: str) -> ArchiveReport:
        """Check an archive at the place where it was written.

        Raises:
            UnknownArchiveError, ArchiveMissingError, ArchiveFaultyError
        """
        entry = self.entry(name)
        path = Path(entry.file)
        try:
            is_same = sha256_of_file(path) == entry.sha256
        except OSError:
            is_same = False
        if not is_same:
            raise ArchiveMissingError(name, entry.file)
        return check_archive(path, self.keys())

    def find(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, Record]]:
        """Search the archives whose records were removed: name of the archive and line of its index.

        Args:
            wanted: a field of the index -> its value; of `subject` and `entity` a part is enough.

        Raises:
            ArchiveMissingError, ArchiveFaultyError
        """
        chosen = self._with_serial(wanted["serial"]) if "serial" in wanted else None
        for entry in self.entries():
            if is_act(entry.authority) and not wanted.keys() <= {"id"}:
                continue
            if entry.state not in (REMOVING, REMOVED) or (chosen is not None and entry.number not in chosen):
                continue
            path = Path(entry.file)
            if not path.is_file():
                raise ArchiveMissingError(entry.name, entry.file)
            with Archive(path, self.keys()) as archive:
                for line in archive.index():
                    if all(_fits(name, value, line.get(name, "")) for name, value in wanted.items()):
                        yield entry.name, line

    def _with_serial(self, serial: str) -> set[int]:
        query = select(archived_certificates.c.archive).where(
            archived_certificates.c.authority.in_([each.name for each in self._authorities.everyone()]),
            archived_certificates.c.serial == serial,
        )
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def keys(self) -> dict[str, Any]:
        """The keys whose signed manifests count, by their identifiers: that of now, and those before it."""
        known: list[Any] = [self._audit_key().public_key()]
        known += [load_pem_public_key(each.read_bytes()) for each in self._key_folder.glob("*.pem")]
        return {key_id(key): key for key in known}


def _month_of(at: datetime) -> tuple[datetime, datetime]:
    """The month of a moment in UTC: its begin and the begin of the next."""
    begin = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_december = begin.month == 12
    return begin, begin.replace(year=begin.year + is_december, month=1 if is_december else begin.month + 1)


def _fits(name: str, wanted: str, value: str) -> bool:
    return wanted.casefold() in value.casefold() if name in ("subject", "entity") else wanted == value


def _pem(registered: RegistrationAuthority) -> str:
    pem: bytes = registered.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode("ascii")
