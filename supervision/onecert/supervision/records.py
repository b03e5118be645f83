"""Drafts, their signatures and published lists as rows; nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from onecert.supervision.draft import Draft, draft_json, parse_draft
from onecert.supervision.models import draft_signatures, drafts, publications

__all__ = [
    "DraftRecord",
    "Publication",
    "Signature",
    "add_signature_row",
    "close_draft",
    "find_draft_aside",
    "find_open_draft",
    "find_publication",
    "freeze_payload",
    "insert_publication",
    "open_draft",
    "publication_list",
    "replace_content",
    "set_document",
]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One officer has signed the draft as it is."""

    officer: str
    person: str
    signed_at: datetime


@dataclass(frozen=True, kw_only=True)
class DraftRecord:
    """The open draft with what was signed so far."""

    id: int
    revision: int
    draft: Draft
    payload: Mapping[str, Any] | None
    document: bytes | None
    signatures: tuple[Signature, ...]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    reason: str | None = None

    @property
    def stamp(self) -> str:
        """Which draft this is and how often it was changed. Forms carry it, to notice a stale one."""
        return f"{self.id}.{self.revision}"

    @property
    def is_emergency(self) -> bool:
        """Begun as an emergency, with a reason."""
        return self.reason is not None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A published list."""

    sequence: int
    draft_id: int
    draft: Draft
    document: bytes
    sha256: str
    issued_at: datetime
    next_update: datetime
    published_at: datetime
    published_by: str
    signatures: tuple[Signature, ...]


def find_open_draft(connection: Connection, *, lock: bool = False) -> DraftRecord | None:
    """The open draft. ``lock``: until the end of the transaction nobody else changes it."""
    return _find_draft(connection, "open", lock=lock)


def find_draft_aside(connection: Connection, *, lock: bool = False) -> DraftRecord | None:
    """The draft that was put aside for an emergency, until it is taken up again or discarded."""
    return _find_draft(connection, "aside", lock=lock)


def _find_draft(connection: Connection, state: str, *, lock: bool) -> DraftRecord | None:
    query = select(drafts).where(drafts.c.state == state).order_by(drafts.c.id.desc()).limit(1)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    return DraftRecord(
        id=row.id,
        revision=row.revision,
        draft=parse_draft(json.loads(row.content)),
        payload=None if row.payload is None else json.loads(row.payload),
        document=None if row.document is None else bytes(row.document),
        signatures=_signatures(connection, row.id),
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        reason=row.reason,
    )


def open_draft(
    connection: Connection,
    draft: Draft,
    *,
    actor: str,
    at: datetime,
    reason: str | None = None,
    displaced: str = "discarded",
) -> int:
    """Make a new open draft; an open one becomes ``displaced``: ``discarded`` or ``aside``."""
    connection.execute(
        update(drafts)
        .where(drafts.c.state == "open")
        .values(state=displaced, changed_at=at, changed_by=actor)
    )
    result = connection.execute(
        insert(drafts).values(
            state="open",
            revision=1,
            content=_text(draft),
            payload=None,
            document=None,
            created_at=at,
            created_by=actor,
            changed_at=at,
            changed_by=actor,
            reason=reason,
        )
    )
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101  an insert of one row has one
    return int(key[0])


def replace_content(
    connection: Connection, record: DraftRecord, draft: Draft, *, actor: str, at: datetime
) -> None:
    """Change the open draft; what was signed before is void."""
    connection.execute(
        update(drafts)
        .where(drafts.c.id == record.id)
        .values(
            revision=record.revision + 1,
            content=_text(draft),
            payload=None,
            document=None,
            changed_at=at,
            changed_by=actor,
        )
    )
    connection.execute(delete(draft_signatures).where(draft_signatures.c.draft == record.id))


def freeze_payload(connection: Connection, record: DraftRecord, payload: Mapping[str, Any]) -> None:
    """Say what will be signed from now on; earlier signatures are void."""
    connection.execute(
        update(drafts).where(drafts.c.id == record.id).values(payload=json.dumps(payload), document=None)
    )
    connection.execute(delete(draft_signatures).where(draft_signatures.c.draft == record.id))


def set_document(connection: Connection, record: DraftRecord, document: bytes) -> None:
    """Keep the document with one more signature."""
    connection.execute(update(drafts).where(drafts.c.id == record.id).values(document=document))


def add_signature_row(
    connection: Connection, record: DraftRecord, *, officer: str, person: str, at: datetime
) -> None:
    """Record who has signed."""
    connection.execute(
        insert(draft_signatures).values(draft=record.id, officer=officer, person=person, signed_at=at)
    )


def close_draft(connection: Connection, draft_id: int, *, state: str, actor: str, at: datetime) -> None:
    """End a draft: ``published`` or ``discarded``."""
    connection.execute(
        update(drafts).where(drafts.c.id == draft_id).values(state=state, changed_at=at, changed_by=actor)
    )


def insert_publication(connection: Connection, values: Mapping[str, Any], draft: Draft) -> None:
    """Record a published list; its number is unique."""
    connection.execute(insert(publications).values(**values, content=_text(draft)))


def find_publication(connection: Connection, sequence: int | None = None) -> Publication | None:
    """The newest published list, or the one with this number."""
    query = select(publications).order_by(publications.c.sequence.desc()).limit(1)
    if sequence is not None:
        query = query.where(publications.c.sequence == sequence)
    row = connection.execute(query).one_or_none()
    return None if row is None else _publication(connection, row)


def publication_list(connection: Connection, *, limit: int, before: int | None = None) -> list[Publication]:
    """Published lists, newest first."""
    query = select(publications).order_by(publications.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(publications.c.sequence < before)
    return [_publication(connection, row) for row in connection.execute(query).all()]


def _publication(connection: Connection, row: Row[Any]) -> Publication:
    return Publication(
        sequence=row.sequence,
        draft_id=row.draft,
        draft=parse_draft(json.loads(row.content)),
        document=bytes(row.document),
        sha256=row.sha256,
        issued_at=row.issued_at,
        next_update=row.next_update,
        published_at=row.published_at,
        published_by=row.published_by,
        signatures=_signatures(connection, row.draft),
    )


def _signatures(connection: Connection, draft_id: int) -> tuple[Signature, ...]:
    query = (
        select(draft_signatures)
        .where(draft_signatures.c.draft == draft_id)
        .order_by(draft_signatures.c.signed_at, draft_signatures.c.officer)
    )
    return tuple(
        Signature(officer=row.officer, person=row.person, signed_at=row.signed_at)
        for row in connection.execute(query)
    )


def _text(draft: Draft) -> str:
    return json.dumps(draft_json(draft), ensure_ascii=False)
