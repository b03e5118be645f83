"""Trust roots, root holders, timestamp keys and timestamps as rows; nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from onecert.supervision.models import root_holders, roots, timestamp_keys, timestamps
from onecert.supervision.root_payload import RootContent, read_root
from onecert.verifier.strict_json import format_time

__all__ = [
    "RootRecord",
    "TimestampKey",
    "TimestampRecord",
    "add_holder",
    "add_timestamp_key",
    "find_pending_timestamp",
    "find_root",
    "find_timestamp",
    "forget_timestamps",
    "highest_registry",
    "highest_timestamp",
    "holder_names",
    "insert_root",
    "insert_timestamp",
    "root_list",
    "set_timestamp_document",
    "timestamp_key_list",
]


@dataclass(frozen=True, kw_only=True)
class RootRecord:
    """A root that was imported."""

    version: int
    document: bytes
    sha256: str
    issued_at: datetime
    expires_at: datetime
    imported_at: datetime
    imported_by: str

    @property
    def content(self) -> RootContent:
        """What it says."""
        return read_root(self.document)


@dataclass(frozen=True, kw_only=True)
class TimestampKey:
    """A key on the service's token that signs, or has signed, timestamps."""

    kid: str
    label: str
    spki_pem: str


@dataclass(frozen=True, kw_only=True)
class TimestampRecord:
    """A signed timestamp."""

    version: int
    root_version: int
    list_sequence: int
    payload: Mapping[str, Any]
    document: bytes
    issued_at: datetime
    expires_at: datetime


def find_root(connection: Connection, version: int | None = None, *, lock: bool = False) -> RootRecord | None:
    """The newest root, or the one of this version. ``lock``: writers of roots and timestamps take turns."""
    query = select(roots).order_by(roots.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(roots.c.version == version)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _root(row)


def root_list(connection: Connection) -> list[RootRecord]:
    """Every root, oldest first."""
    return [_root(row) for row in connection.execute(select(roots).order_by(roots.c.version))]


def _root(row: Row[Any]) -> RootRecord:
    return RootRecord(
        version=row.version,
        document=bytes(row.document),
        sha256=row.sha256,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        imported_at=row.imported_at,
        imported_by=row.imported_by,
    )


def insert_root(connection: Connection, record: RootRecord) -> None:
    """Record a root; its version is unique."""
    connection.execute(
        insert(roots).values(
            version=record.version,
            document=record.document,
            sha256=record.sha256,
            issued_at=record.issued_at,
            expires_at=record.expires_at,
            imported_at=record.imported_at,
            imported_by=record.imported_by,
        )
    )


def holder_names(connection: Connection) -> dict[str, str]:
    """Id of a root key -> who holds it."""
    return {row.kid: row.holder for row in connection.execute(select(root_holders))}


def add_holder(
    connection: Connection, *, kid: str, holder: str, spki_pem: str, actor: str, at: datetime
) -> None:
    """Register the public part of a holder's root key."""
    connection.execute(
        insert(root_holders).values(kid=kid, holder=holder, spki_pem=spki_pem, added_at=at, added_by=actor)
    )


def timestamp_key_list(connection: Connection) -> list[TimestampKey]:
    """The service's timestamp keys, oldest first."""
    rows = connection.execute(
        select(timestamp_keys).order_by(timestamp_keys.c.made_at, timestamp_keys.c.label)
    )
    return [TimestampKey(kid=row.kid, label=row.label, spki_pem=row.spki_pem) for row in rows]


def add_timestamp_key(connection: Connection, key: TimestampKey, *, at: datetime) -> None:
    """Register a key that was made on the service's token."""
    connection.execute(
        insert(timestamp_keys).values(kid=key.kid, label=key.label, spki_pem=key.spki_pem, made_at=at)
    )


def find_timestamp(connection: Connection) -> TimestampRecord | None:
    """The newest signed timestamp."""
    query = (
        select(timestamps)
        .where(timestamps.c.document.is_not(None))
        .order_by(timestamps.c.version.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return TimestampRecord(
        version=row.version,
        root_version=row.root_version,
        list_sequence=row.list_sequence,
        payload=json.loads(row.payload),
        document=bytes(row.document),
        issued_at=row.issued_at,
        expires_at=row.expires_at,
    )


def highest_registry(connection: Connection) -> int:
    """The highest number of a register's snapshot that a timestamp on record names; 0 for none."""
    payloads = connection.execute(select(timestamps.c.payload)).scalars()
    return max((int(json.loads(each).get("registry", {}).get("number", 0)) for each in payloads), default=0)


def find_pending_timestamp(connection: Connection) -> Mapping[str, Any] | None:
    """The payload of the highest version, when it was not signed yet."""
    query = select(timestamps).order_by(timestamps.c.version.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None or row.document is not None:
        return None
    payload: Mapping[str, Any] = json.loads(row.payload)
    return payload


def highest_timestamp(connection: Connection) -> int:
    """The highest version that was ever reserved; 0 when there is none."""
    query = select(timestamps.c.version).order_by(timestamps.c.version.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def insert_timestamp(
    connection: Connection, payload: Mapping[str, Any], *, issued_at: datetime, expires_at: datetime
) -> None:
    """Say what will be signed; its version is unique."""
    assert payload["issued_at"] == format_time(issued_at)  # noqa: S101  one moment, told twice
    connection.execute(
        insert(timestamps).values(
            version=payload["version"],
            root_version=payload["root"]["version"],
            list_sequence=payload["list"]["sequence"],
            payload=json.dumps(payload),
            document=None,
            issued_at=issued_at,
            expires_at=expires_at,
        )
    )


def set_timestamp_document(connection: Connection, version: int, document: bytes) -> None:
    """Keep what was signed."""
    connection.execute(update(timestamps).where(timestamps.c.version == version).values(document=document))


def forget_timestamps(connection: Connection, *, before: datetime) -> None:
    """Remove old timestamps; the audit trail keeps their versions and digests."""
    connection.execute(delete(timestamps).where(timestamps.c.issued_at < before))
