"""What is published: the newest list of each scope on record, its file, and the alarms about both."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from onecert.ca.authorities.authorities import Authority
from onecert.ca.errors import CrlOverdueError
from onecert.ca.lists.contents import read_content
from onecert.ca.lists.names import delta_name, list_name
from onecert.ca.lists.snapshot import status_version
from onecert.ca.models import authorities, crls
from onecert.ca.operation.record_guard import check_numbers, check_reconciled, published_number
from onecert.ca.status.files import PreparedFile, StatusFiles
from onecert.server.database import Database

__all__ = ["PublishedCrl", "PublishedLists"]

log = logging.getLogger(__name__)

# Without the bytes of the lists, which may be large: they are read where they are written to a file.
_LATEST = (
    select(*(column for column in crls.c if column.name not in {"crl_der", "delta_der", "parts"}))
    .where(
        crls.c.authority == bindparam("a"),
        crls.c.crl_partition == bindparam("p"),
        crls.c.sha256.is_not(None),
    )
    .order_by(crls.c.number.desc())
    .limit(1)
)
_PARTITIONS = select(authorities.c.crl_partitions).where(authorities.c.name == bindparam("a"))


@dataclass(frozen=True, kw_only=True)
class PublishedCrl:
    """A list that was signed and recorded, with its delta if it has one."""

    authority: str
    crl_partition: int
    number: int
    this_update: datetime
    next_update: datetime
    status_version: int
    entries: int
    sha256: str
    base_number: int | None
    delta_entries: int | None
    delta_next_update: datetime | None

    @property
    def name(self) -> str:
        """The name of the list: of its file, and in its address."""
        return list_name(self.authority, self.crl_partition)

    @property
    def first_to_lapse(self) -> datetime:
        return min(self.next_update, self.delta_next_update or self.next_update)


class PublishedLists:
    """The lists of all authorities of a record, and the files that are served."""

    def __init__(self, database: Database, files: StatusFiles) -> None:
        self._database = database
        self._files = files

    def partitions(self, authority_name: str) -> range:
        """List the partitions of an authority, from 0, the full list."""
        with self._database.reading() as connection:
            number = connection.execute(_PARTITIONS, {"a": authority_name}).scalar() or 0
        return range(number + 1)

    def latest(self, authority_name: str, partition: int = 0) -> PublishedCrl | None:
        """Find the newest list on record."""
        row = self._latest_row(authority_name, partition)
        if row is None:
            return None
        return PublishedCrl(**{name: row[name] for name in PublishedCrl.__dataclass_fields__})

    def write_file(self, authority_name: str, partition: int = 0) -> None:
        """Bring the files of the newest list up to date; nothing happens when they are."""
        row, name = self._latest_row(authority_name, partition), list_name(authority_name, partition)
        if row is None or self._is_written(name, row["number"], has_delta=row["delta_sha256"] is not None):
            return
        with self._database.reading() as connection:
            found = read_content(connection, authority_name, partition, row["number"])
        if found is None:
            log.error("list is not kept", extra={"list": name, "number": row["number"]})
            return
        parts, delta_der = found
        self._write(name, row["number"], parts, delta_der)

    def is_due(self, authority: Authority, at: datetime, partition: int = 0) -> bool:
        """Tell whether a list is missing, out of date, or has lived a quarter of its time."""
        latest = self.latest(authority.name, partition)
        if latest is None or at >= latest.this_update + (latest.first_to_lapse - latest.this_update) / 4:
            return True
        with self._database.reading() as connection:
            return status_version(connection, authority.name, partition) > latest.status_version

    def check(self, authority: Authority, at: datetime) -> None:
        """The alarms: a list at half its life, and a record that is behind what was published.

        Raises:
            CrlOverdueError, CrlNumberWentBackError, RecordRestoredError
        """
        for partition in self.partitions(authority.name):
            name = list_name(authority.name, partition)
            latest = self.latest(authority.name, partition)
            if latest is None:
                raise CrlOverdueError(name, "-")
            if at >= latest.this_update + (latest.first_to_lapse - latest.this_update) / 2:
                raise CrlOverdueError(name, latest.first_to_lapse.isoformat())
        with self._database.reading() as connection:
            self._check_record(connection, authority.name, self._published_number(authority.name))

    def _write(
        self,
        name: str,
        number: int,
        parts: Sequence[bytes],
        delta_der: bytes | None,
        prepared: PreparedFile | None = None,
    ) -> None:
        # The delta comes last: it is of use only to who has a complete list.
        self._files.write_crl(name, number, *parts, prepared=prepared)
        if delta_der is not None:
            self._files.write_crl(delta_name(name), number, delta_der)

    def _is_written(self, name: str, number: int, *, has_delta: bool) -> bool:
        names = [name, delta_name(name)] if has_delta else [name]
        return all(
            self._files.path(each, "crl").exists() and self._files.crl_number(each) >= number
            for each in names
        )

    def _latest_row(self, authority_name: str, partition: int) -> Any:
        with self._database.reading() as connection:
            return connection.execute(_LATEST, {"a": authority_name, "p": partition}).mappings().one_or_none()

    def _published_number(self, authority_name: str) -> int:
        """The highest number among the files of an authority."""
        return published_number(self._files, authority_name, self.partitions(authority_name)[-1])

    def _check_record(self, connection: Connection, name: str, published: int) -> None:
        """An old copy of the record publishes nothing, whoever's key would sign it."""
        check_reconciled(connection)
        check_numbers(connection, name, published)
