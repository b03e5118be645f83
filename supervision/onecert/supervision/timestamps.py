"""The trust timestamp: "this is the newest root and list", signed by the service's own key (decision 0006).

What will be signed is on record before the key is used. The version never goes back, also not after a backup
was restored: the published file counts, and so does the clock, since each version is at least the number of
seconds since 1970. A clock that was set back makes the next version one higher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from onecert.hsm import PrivateKey
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.supervision import root_records
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.published import (
    FLOOR_JUMP,
    LIST_FILE,
    ROOT_FILE,
    TIMESTAMP_FILE,
    Published,
    read_published,
)
from onecert.supervision.records import find_publication
from onecert.supervision.root_errors import CounterEndedError, PublishedAheadError, TimestampKeyError
from onecert.supervision.root_payload import public_pem
from onecert.supervision.root_records import RootRecord, TimestampKey, TimestampRecord
from onecert.verifier.jws import key_id
from onecert.verifier.strict_json import format_time, parse_time
from onecert.verifier.trust_list.roles import COUNTER_MAX, Role
from onecert.verifier.trust_list.root import load_trust_root
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP, load_trust_timestamp

__all__ = ["TimestampKeys", "Timestamps"]

# The audit trail tells of older ones.
KEPT_FOR = timedelta(days=90)
# A process that has not signed after so long is taken for dead.
PATIENCE = timedelta(seconds=20)
Registry = Callable[[Connection], Mapping[str, Any] | None]


class TimestampKeys(Protocol):
    """Gives the timestamp keys of the service's own token. Tests hand in keys in software."""

    def timestamp_key(self, label: str, *, create: bool = False) -> PrivateKey:
        """The key of this label; raises TokenNotReadyError."""
        ...


class Timestamps:
    """Signs timestamps, and makes the keys for them."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        keys: TimestampKeys,
        config: SupervisionConfig,
        published: Path,
        registry: Registry = lambda _: None,
    ) -> None:
        """Take what signing needs.

        Args:
            published: the folder of the published files; what they say was seen by departments.
            registry: number and digest of the newest snapshot of the register, when there is one.
        """
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keys = keys
        self._config = config
        self._published = published
        self._registry = registry

    def renew(self, *, actor: str) -> TimestampRecord | None:
        """Sign what is newest now, unless the newest timestamp says so and is fresh.

        Returns:
            the newest timestamp; None while there is no root or no list to name.

        Raises:
            TokenNotReadyError: the service's token does not answer.
            TimestampKeyError: the published root names another key.
            PublishedAheadError: departments may have seen something newer than what the record holds.
            CounterEndedError: only a new epoch helps.
        """
        # 1. What is newest, and the version, are on record before the key is used.
        with self._database.transaction() as connection:
            root = root_records.find_root(connection, lock=True)
            names = self._names(connection, root)
            if root is None or names is None:
                return None
            seen = self._check_not_ahead(root, names["list"]["sequence"])
            newest = root_records.find_timestamp(connection)
            if newest is not None and self._is_fresh(newest, names):
                return newest
            if self._is_under_way(connection, names):
                return newest
            key = self._key_of(connection, root)
            issued_at = self._clock.now().replace(microsecond=0)
            payload = {
                "version": self._next_version(connection, root, seen),
                "issued_at": format_time(issued_at),
                "expires_at": format_time(issued_at + self._config.timestamp_validity),
                **names,
            }
            root_records.insert_timestamp(
                connection,
                payload,
                issued_at=issued_at,
                expires_at=issued_at + self._config.timestamp_validity,
            )
        # 2. The key, on the service's token; what it made is read the way departments read it.
        document = sign_document(payload, typ=TIMESTAMP_TYP, keys=[self._keys.timestamp_key(key.label)])
        signed = load_trust_timestamp(document, root=load_trust_root(root.document))
        # 3. Kept.
        with self._database.transaction() as connection:
            root_records.set_timestamp_document(connection, signed.version, document)
            root_records.forget_timestamps(connection, before=issued_at - KEPT_FOR)
            self._audit.record(
                connection,
                event="timestamp.signed",
                actor=actor,
                subject=f"timestamp:{signed.version}",
                details={"root": root.version, "list": signed.list.number, "sha256": signed.sha256},
            )
            return root_records.find_timestamp(connection)

    def public_key(self, *, new: bool = False) -> TimestampKey:
        """The key that the next root shall name, made when there is none.

        Args:
            new: make another one: the present key may be known to somebody else, or its token is lost.
        """
        with self._database.reading() as connection:
            known = root_records.timestamp_key_list(connection)
        if known and not new:
            return known[-1]
        label = f"trust-timestamp-{len(known) + 1}"
        public = self._keys.timestamp_key(label, create=True).public_key()
        made = TimestampKey(kid=key_id(public), label=label, spki_pem=public_pem(public))
        with self._database.transaction() as connection:
            # An interrupted draft has made it already.
            if all(each.kid != made.kid for each in root_records.timestamp_key_list(connection)):
                root_records.add_timestamp_key(connection, made, at=self._clock.now())
        return made

    # Inside

    def _names(self, connection: Connection, root: RootRecord | None) -> dict[str, Any] | None:
        """What a timestamp would name now."""
        publication = find_publication(connection)
        if root is None or publication is None:
            return None
        names: dict[str, Any] = {
            "root": {"version": root.version, "sha256": root.sha256},
            "list": {"sequence": publication.sequence, "sha256": publication.sha256},
        }
        registry = self._registry(connection)
        if registry is not None:
            names["registry"] = dict(registry)
        return names

    def _is_fresh(self, newest: TimestampRecord, names: Mapping[str, Any]) -> bool:
        now = self._clock.now()
        said = {name: value for name, value in newest.payload.items() if name in {"root", "list", "registry"}}
        # One from the future was signed by a clock that has been corrected since.
        due = newest.issued_at + self._config.timestamp_every
        return said == names and newest.issued_at <= now < due

    def _is_under_way(self, connection: Connection, names: Mapping[str, Any]) -> bool:
        """Whether another process is signing the same at this moment."""
        pending = root_records.find_pending_timestamp(connection)
        if pending is None or {name: pending.get(name) for name in names} != dict(names):
            return False
        begun = parse_time(str(pending["issued_at"]), "issued_at")
        return begun <= self._clock.now() < begun + PATIENCE

    def _key_of(self, connection: Connection, root: RootRecord) -> TimestampKey:
        named = root.content.roles[Role.TIMESTAMP].keys
        for key in reversed(root_records.timestamp_key_list(connection)):
            if key.kid in named:
                return key
        raise TimestampKeyError(root.version)

    def _check_not_ahead(self, root: RootRecord, sequence: int) -> Published:
        """Sign nothing while departments may have seen something newer than what the record holds.

        A root with a higher epoch makes void what is in the files; they are replaced.
        """
        seen = read_published(self._published)
        if seen.root_version > root.version:
            raise PublishedAheadError(ROOT_FILE, seen.root_version, root.version)
        if seen.list_epoch >= root.content.roles[Role.LIST].epoch and seen.list_sequence > sequence:
            raise PublishedAheadError(LIST_FILE, seen.list_sequence, sequence)
        return seen

    def _next_version(self, connection: Connection, root: RootRecord, seen: Published) -> int:
        """The version after every one that departments may have seen."""
        known = max(root_records.highest_timestamp(connection), int(self._clock.now().timestamp()) - 1)
        if seen.timestamp_epoch >= root.content.roles[Role.TIMESTAMP].epoch:
            if seen.timestamp_version > known + FLOOR_JUMP:
                raise PublishedAheadError(TIMESTAMP_FILE, seen.timestamp_version, known)
            known = max(known, seen.timestamp_version)
        if known >= COUNTER_MAX:
            raise CounterEndedError
        return known + 1
