"""Making and publishing revocation lists: numbers only grow, nothing revoked is missing, files are whole.

An authority has a full list (partition 0) and one for each partition, each with its delta where the authority
has deltas; all take their numbers from one sequence. A list is read from one snapshot of the record, checked
for completeness, drafted, linted with a throw-away signature, its number put on record, signed, compared,
recorded and written to a file that the status service serves without database or token. Whoever finds that
another process was faster starts over.

A long list is never put together in one piece but where it is linted whole, and hashed by a second thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from sqlalchemy import bindparam, select, update

from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.errors import CrlPartitionsError, TryAgainError
from onecert.ca.lists.contents import (
    keep_result,
    lock_authority,
    missing_parts,
    put_parts,
)
from onecert.ca.lists.drafting import HashedDraft, sha256_of
from onecert.ca.lists.making import HashedDrafts, ListMaker, at_once
from onecert.ca.lists.names import PARTITIONS_MAX, list_name, looks_like_list
from onecert.ca.lists.published import PublishedCrl, PublishedLists
from onecert.ca.lists.snapshot import newest
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import crls
from onecert.ca.signatures.signer import Signer
from onecert.ca.status.files import PreparedFile, StatusFiles
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["CrlPublisher", "PublishedCrl"]

log = logging.getLogger(__name__)

ATTEMPTS = 10
# So much goes on record in a transaction of its own, while nobody waits for the authority's row.
PARTS_AHEAD = 8

_NEWEST_VERSION = (
    select(crls.c.status_version)
    .where(crls.c.authority == bindparam("a"), crls.c.crl_partition == bindparam("p"))
    .order_by(crls.c.number.desc())
    .limit(1)
)


class CrlPublisher(PublishedLists):
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
        super().__init__(database, files)
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._signer = signer
        self._maker = ListMaker(clock)
        self._locks: dict[str, threading.Lock] = {}
        self._locks_lock = threading.Lock()

    def publish(
        self,
        authority_name: str,
        *,
        partition: int = 0,
        at_least: int | None = None,
        is_last: bool = False,
        actor: str = "job:ca.crl",
    ) -> PublishedCrl:
        """Make a new list and publish it.

        Args:
            partition: 0 for the full list.
            at_least: a list that already holds the changes up to this version will do; so many revocations
                at once share one list. Such a list is made from the one before and what changed since; any
                other is compared with the record entry by entry.
            is_last: no other will follow, so it has no end.

        Raises:
            CaError: nothing was published; the list before still stands.
        """
        authority = self._authorities.get(authority_name)
        with self._locks_lock:
            lock = self._locks.setdefault(authority_name, threading.Lock())
        with lock:
            for _attempt in range(ATTEMPTS):
                latest = self.latest(authority_name, partition)
                if at_least is not None and latest is not None and latest.status_version >= at_least:
                    self.write_file(authority_name, partition)
                    return latest
                # No number is spent while the key is away.
                self._signer.check_usable(authority.key_label)
                # 1. One snapshot of the record: entries, version, last number; complete, or not at all.
                # 2. Lint, signed with a throw-away key.
                hashed = self._draft(authority, partition, anew=at_least is None, is_last=is_last)
                # 3. Number and hash on record; then 4. the key, 5. the comparison, 6. the result on record.
                if self._record_intent(authority, partition, hashed):
                    made = self._sign(authority, partition, hashed, actor)
                    self._maker.remember(authority_name, partition, hashed)
                    return made
        raise TryAgainError

    def publish_all(
        self, authority_name: str, *, is_last: bool = False, actor: str = "job:ca.crl"
    ) -> list[PublishedCrl]:
        """Make every list of an authority anew; the full list comes first."""
        return [
            self.publish(authority_name, partition=partition, is_last=is_last, actor=actor)
            for partition in self.partitions(authority_name)
        ]

    def open_partitions(self, authority_name: str, count: int, *, actor: str) -> None:
        """Spread new certificates over so many lists; those of before stay where they are.

        The lists are published before any certificate names them. Safe to repeat.

        Raises:
            CrlPartitionsError: fewer than there are, too many, or another authority has such a name.
        """
        opened = self.check_partitions(authority_name, count)
        for partition in range(opened + 1, count + 1):
            self.publish(authority_name, partition=partition, actor=actor)
        with self._database.transaction() as connection:
            done = connection.execute(
                update(authorities_table)
                .where(authorities_table.c.name == authority_name, authorities_table.c.crl_partitions < count)
                .values(crl_partitions=count)
            )
            if done.rowcount:
                self._audit.record(
                    connection,
                    event="crl.partitions",
                    actor=actor,
                    subject=authority_name,
                    details={"partitions": count},
                )
        self._authorities.reload()

    def check_partitions(self, authority_name: str, count: int) -> int:
        """Check that so many partitions can be opened; tell how many there are now.

        Raises:
            CrlPartitionsError
        """
        opened = len(self.partitions(self._authorities.get(authority_name).name)) - 1
        with self._database.reading() as connection:
            names = connection.execute(select(authorities_table.c.name)).scalars().all()
        if not opened <= count <= PARTITIONS_MAX or any(looks_like_list(n, authority_name) for n in names):
            raise CrlPartitionsError(authority_name, count, opened)
        return opened

    def _draft(self, authority: Authority, partition: int, *, anew: bool, is_last: bool) -> HashedDrafts:
        published = self._published_number(authority.name)
        with self._database.reading() as connection:
            self._check_record(connection, authority.name, published)
            return self._maker.make(connection, authority, partition, anew=anew, is_last=is_last)

    def _record_intent(self, authority: Authority, partition: int, hashed: HashedDrafts) -> bool:
        """Put the number on record. False: there is a list with this number, later time or newer content."""
        draft, snapshot = hashed.full.draft, hashed.snapshot
        delta = hashed.delta.draft if hashed.delta else None
        with self._database.transaction() as connection:
            lock_authority(connection, authority.name)
            number, this_update = newest(connection, authority.name)
            version = connection.execute(_NEWEST_VERSION, {"a": authority.name, "p": partition}).scalar()
            if number and (
                number >= draft.number
                or (this_update or draft.this_update) > draft.this_update
                or (version or 0) > snapshot.status_version
            ):
                return False
            return insert_if_absent(
                connection,
                crls,
                {
                    "authority": authority.name,
                    "crl_partition": partition,
                    "number": draft.number,
                    "this_update": draft.this_update,
                    "next_update": draft.next_update,
                    "entries_since": snapshot.since,
                    "status_version": snapshot.status_version,
                    "entries": draft.entries,
                    "tbs_sha256": hashed.full.sha256,
                    "base_number": delta.scope.base_number if delta else None,
                    "delta_entries": delta.entries if delta else None,
                    "delta_next_update": delta.next_update if delta else None,
                    "delta_tbs_sha256": hashed.delta.sha256 if hashed.delta else None,
                },
            )

    def _sign(self, authority: Authority, partition: int, hashed: HashedDrafts, actor: str) -> PublishedCrl:
        draft, name = hashed.full.draft, list_name(authority.name, partition)
        parts = self._signed(authority, hashed.full)
        delta = hashed.delta.draft if hashed.delta else None
        delta_der = b"".join(self._signed(authority, hashed.delta)) if hashed.delta else None
        delta_sha256 = sha256_of(delta_der) if delta_der else None
        is_long = hashed.is_long
        by_hash = [(hashed.sha256_of.get(part) or sha256_of(part), part) for part in parts] if is_long else []
        details: dict[str, Any] = {"number": draft.number, "entries": draft.entries}
        with ExitStack() as stack:
            prepared = self._begin_file(stack, name) if is_long else None

            def put_down() -> None:
                self._put_parts_ahead(authority.name, partition, by_hash)
                if prepared is not None:
                    _write_ahead(prepared, parts)

            _put, sha256 = at_once(put_down, partial(sha256_of, *parts), is_long=is_long)
            details["sha256"] = sha256
            if delta is not None:
                details["delta"] = {"base": delta.scope.base_number, "sha256": delta_sha256}
            content = {
                "crl_der": None if is_long else b"".join(parts),
                "parts": " ".join(each for each, _part in by_hash) if is_long else None,
                "sha256": sha256,
                "delta_der": delta_der,
                "delta_sha256": delta_sha256,
            }
            with self._database.transaction() as connection:
                lock_authority(connection, authority.name)
                put_parts(connection, authority.name, partition, by_hash)
                keep_result(connection, authority.name, partition, draft.number, content)
                self._audit.record(
                    connection, event="crl.published", actor=actor, subject=name, details=details
                )
            log.info("list published", extra={"list": name, "number": draft.number})
            is_ready = prepared is not None and prepared.is_whole
            self._write(name, draft.number, parts, delta_der, prepared if is_ready else None)
        return PublishedCrl(
            authority=authority.name,
            crl_partition=partition,
            number=draft.number,
            this_update=draft.this_update,
            next_update=draft.next_update,
            status_version=hashed.snapshot.status_version,
            entries=draft.entries,
            sha256=sha256,
            base_number=delta.scope.base_number if delta else None,
            delta_entries=delta.entries if delta else None,
            delta_next_update=delta.next_update if delta else None,
        )

    def _signed(self, authority: Authority, hashed: HashedDraft) -> tuple[bytes, ...]:
        """Sign. The list is the very pieces that were hashed; its signature was verified with that hash."""
        signature = self._signer.signature(authority.issuer, authority.key_label, hashed.to_sign)
        return hashed.draft.signed_parts(signature)

    def _put_parts_ahead(self, authority: str, partition: int, parts: Sequence[tuple[str, bytes]]) -> None:
        with self._database.reading() as connection:
            is_much = len(missing_parts(connection, authority, partition, parts)) > PARTS_AHEAD
        if is_much:
            with self._database.transaction() as connection:
                put_parts(connection, authority, partition, parts)

    def _begin_file(self, stack: ExitStack, name: str) -> PreparedFile | None:
        try:
            return stack.enter_context(self._files.preparing(name))
        except OSError:
            return None  # It is written when the list is on record, and what is wrong is said then.


def _write_ahead(file: PreparedFile, parts: Sequence[bytes]) -> None:
    try:
        file.write(parts)
    except OSError:
        log.warning("a list was not written ahead", extra={"file": file.path.name})
