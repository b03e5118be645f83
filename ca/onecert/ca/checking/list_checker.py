"""The checker of the lists: what is published against what is on record, read from the bytes that are served.

RFC 5280, section 5. Of each list: its signature, that it is the newest one on record, its times, and that its
entries are exactly the certificates that were revoked when it was made. Of all: numbers and times only grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select, true

from onecert.ca import der
from onecert.ca.authorities.authorities import Authority
from onecert.ca.checking.checked_record import Finding
from onecert.ca.issuing.ledger import GOOD
from onecert.ca.lists.crl import signed_part
from onecert.ca.lists.names import delta_name, list_name
from onecert.ca.lists.publishing import CrlPublisher, PublishedCrl
from onecert.ca.models import certificates, crl_entries, crl_removals, crls
from onecert.ca.signatures.algorithms import hashed, is_signature_valid
from onecert.ca.status.files import StatusFiles
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["ListChecker"]

# So many certificates are named one by one; the rest of a broken list is only counted.
NAMED_MAX = 20
ROWS_AT_ONCE = 20_000


class ListChecker:
    """Checks the lists of one CA as they lie in the folder of the status service."""

    def __init__(self, database: Database, publisher: CrlPublisher, files: StatusFiles, clock: Clock) -> None:
        self._database = database
        self._publisher = publisher
        self._files = files
        self._clock = clock

    def check(self, authority: Authority) -> Iterator[Finding]:
        """Check every list of one authority."""
        with self._database.reading() as connection:
            yield from _order_faults(connection, authority.name)
        for partition in self._publisher.partitions(authority.name):
            latest = self._publisher.latest(authority.name, partition)
            yield from self._check_list(authority, partition, latest)

    def _check_list(
        self, authority: Authority, partition: int, latest: PublishedCrl | None
    ) -> Iterator[Finding]:
        name, at = list_name(authority.name, partition), self._clock.now()

        def finding(rule: str, facts: str = "", serial: str = "") -> Finding:
            shown = f"{name}.crl {facts}".rstrip()
            return Finding(rule=rule, authority=authority.name, serial=serial, facts=shown)

        crl_der = _read(self._files, name)
        if crl_der is None or latest is None:
            yield finding("list-missing")
            return
        try:
            serials = _check_signature_and_read(authority, crl_der)
        except der.DerError as exc:
            yield finding("list-unreadable", str(exc))
            return
        if serials is None:
            yield finding("list-signature")
            return
        if hashlib.sha256(crl_der).hexdigest() != latest.sha256:
            yield finding("list-differs", f"{self._files.crl_number(name)} != {latest.number}")
            return
        if latest.base_number is not None:
            yield from self._check_delta(authority, name, latest)
        if latest.first_to_lapse <= at:
            yield finding("list-overdue", latest.first_to_lapse.isoformat())
        if latest.this_update > at:
            yield finding("list-future", latest.this_update.isoformat())
        with self._database.reading() as connection:
            missing, surplus = _compared(connection, latest, serials)
        for rule, wrong in (("list-incomplete", missing), ("list-surplus", surplus)):
            for serial in sorted(wrong)[:NAMED_MAX]:
                yield finding(rule, serial=serial)
            if len(wrong) > NAMED_MAX:
                yield finding(rule, f"+ {len(wrong) - NAMED_MAX}")

    def _check_delta(self, authority: Authority, name: str, latest: PublishedCrl) -> Iterator[Finding]:
        delta = delta_name(name)
        crl_der = _read(self._files, delta)
        rule = "list-missing" if crl_der is None else ""
        if crl_der is not None:
            try:
                rule = "list-signature" if _check_signature_and_read(authority, crl_der) is None else ""
            except der.DerError:
                rule = "list-unreadable"
            if not rule and self._files.crl_number(delta) != latest.number:
                rule = "list-differs"
        if rule:
            yield Finding(rule=rule, authority=authority.name, facts=f"{delta}.crl")


def _read(files: StatusFiles, name: str) -> bytes | None:
    try:
        return files.path(name, "crl").read_bytes()
    except OSError:
        return None


def _check_signature_and_read(authority: Authority, crl_der: bytes) -> set[str] | None:
    """Return the serials on a list, in hex; None when this authority's key did not sign it.

    Raises:
        DerError: not a list.
    """
    issuer = authority.issuer
    tbs_der = signed_part(crl_der)
    _tbs, (_tag, _content, algorithm_der), (_tag, bits, _whole) = der.elements(der.content_of(crl_der))
    if algorithm_der != issuer.algorithm.identifier_der or not bits:
        return None
    if not is_signature_valid(issuer.public_key, bits[1:], hashed(issuer.public_key, tbs_der)):
        return None
    fields = der.elements(der.content_of(tbs_der))
    # version, signature, issuer, this update, next update, entries if there are any, extensions
    entries = fields[5][1] if len(fields) == 7 else b""
    found: set[str] = set()
    at = 0
    while at < len(entries):
        _tag, content, whole = der.element_at(entries, at)
        found.add(f"{int.from_bytes(der.element_at(content, 0)[1], 'big'):x}")
        at += len(whole)
    return found


def _order_faults(connection: Connection, authority: str) -> Iterator[Finding]:
    """Numbers are the key of their table; here each later one must also have a later time, or the same."""
    earlier = func.lag(crls.c.this_update).over(order_by=crls.c.number).label("earlier")
    rows = select(crls.c.number, crls.c.this_update, earlier).where(crls.c.authority == authority).subquery()
    for row in connection.execute(select(rows).where(rows.c.this_update < rows.c.earlier).limit(NAMED_MAX)):
        yield Finding(rule="number-went-back", authority=authority, facts=f"{row.number}")


def _compared(connection: Connection, latest: PublishedCrl, on_list: set[str]) -> tuple[set[str], set[str]]:
    """Compare a list with the record as it was at the list's version: what is missing, what is surplus."""
    scope = crl_entries.c.crl_partition == latest.crl_partition if latest.crl_partition else true()
    rest, missing = set(on_list), set()
    query = select(crl_entries.c.serial, crl_entries.c.status_version, crl_entries.c.not_after).where(
        crl_entries.c.authority == latest.authority, scope
    )
    rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
    for row in rows:
        if row.serial in rest:
            rest.discard(row.serial)
        elif row.status_version <= latest.status_version and row.not_after >= latest.this_update:
            missing.add(row.serial)
    return missing, {serial for serial in rest if not _left_the_list(connection, latest, serial)}


def _left_the_list(connection: Connection, latest: PublishedCrl, serial: str) -> bool:
    """Tell whether a certificate left the record's entries after the list: released, or ended."""
    released: datetime | None = connection.execute(
        select(crl_removals.c.removed_at).where(
            crl_removals.c.authority == latest.authority,
            crl_removals.c.serial == serial,
            crl_removals.c.status_version > latest.status_version,
        )
    ).scalar()
    status = connection.execute(
        select(certificates.c.status).where(
            certificates.c.authority == latest.authority, certificates.c.serial == serial
        )
    ).scalar()
    return released is not None or status not in {None, GOOD}
