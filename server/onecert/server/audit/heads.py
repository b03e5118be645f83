"""Signed heads: a key that the database does not hold says how far the chain had come, and when.

Without them, somebody who owns the database could write the whole chain anew. A head is signed on a timer, at
stop, and when an auditor exports; each is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select

from onecert.server.audit.canonical import time_text
from onecert.server.documents import PrivateKey, sign_document
from onecert.server.models import audit_chain, audit_entries, audit_heads

if TYPE_CHECKING:
    from onecert.server.database import Database

__all__ = ["HEAD_TYPE", "PrivateKey", "find_newest_head", "oldest_unsigned", "sign_head"]

HEAD_TYPE = "onecert-audit-head+json"


def sign_head(database: Database, key: PrivateKey, *, service: str, at: datetime) -> None:
    """Sign the end of the chain and keep the signed head, unless it is signed already."""
    with database.reading() as connection:
        chain = connection.execute(select(audit_chain.c.seq, audit_chain.c.hash)).one()
        if chain.seq == 0 or _is_signed(connection, chain.seq):
            return
    # The token signs outside any transaction: nobody waits for it.
    payload: Mapping[str, Any] = {
        "service": service,
        "seq": chain.seq,
        "hash": chain.hash,
        "at": time_text(at),
    }
    document = sign_document(payload, typ=HEAD_TYPE, keys=[key])
    with database.transaction() as connection:
        if not _is_signed(connection, chain.seq):  # another instance may have been quicker
            connection.execute(
                insert(audit_heads).values(seq=chain.seq, at=at, hash=chain.hash, document=document)
            )


def find_newest_head(connection: Connection) -> bytes | None:
    """Return the newest signed head, or None when nothing was signed yet."""
    return connection.execute(
        select(audit_heads.c.document).order_by(audit_heads.c.seq.desc()).limit(1)
    ).scalar_one_or_none()


def oldest_unsigned(connection: Connection) -> datetime | None:
    """The time of the oldest entry that no signed head covers; None: all are signed."""
    signed = connection.scalar(select(audit_heads.c.seq).order_by(audit_heads.c.seq.desc()).limit(1)) or 0
    ends = connection.scalar(select(audit_chain.c.seq)) or 0
    if ends <= signed:
        return None
    query = select(audit_entries.c.at).where(audit_entries.c.seq == signed + 1)
    found: datetime | None = connection.scalar(query)
    return found


def _is_signed(connection: Connection, seq: int) -> bool:
    return connection.execute(select(audit_heads.c.seq).where(audit_heads.c.seq == seq)).first() is not None
