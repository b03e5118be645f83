"""Evidence on record: reading, and what of it is part of what is approved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from onecert.ra.errors import NotFoundError
from onecert.ra.evidence.materials import LATE, MATERIALS, Material
from onecert.ra.evidence.sniffing import EXTENSIONS, PDF, in_megabytes
from onecert.ra.evidence.tables import evidence

__all__ = ["Evidence", "find_by_content", "frozen", "list_evidence", "load_evidence"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One scan or photo; its octets lie in a file."""

    seq: int
    id: str
    record: str  # application | case
    record_id: str
    material: str
    sha256: str
    size: int
    media_type: str
    width: int | None
    height: int | None
    key_sealed: bytes
    added_at: datetime
    added_by: str
    frozen_at: datetime | None
    set_aside_at: datetime | None

    @property
    def kind(self) -> Material:
        """Which paper it shows."""
        return MATERIALS.get(self.material, MATERIALS["other"])

    @property
    def is_image(self) -> bool:
        """Whether it can be shown in a page."""
        return self.media_type != PDF

    @property
    def megabytes(self) -> str:
        """How large it is, as people read it."""
        return in_megabytes(self.size)

    @property
    def file_name(self) -> str:
        """For a download: nothing that anybody typed."""
        return f"{self.material}-{self.sha256[:8]}.{EXTENSIONS[self.media_type]}"


_COLUMNS = [column for column in evidence.c if column.name != "request_key"]


def _evidence(row: Row[Any]) -> Evidence:
    return Evidence(**row._mapping)


def load_evidence(connection: Connection, evidence_id: str) -> Evidence:
    """Raises `NotFoundError` when there is none."""
    row = connection.execute(select(*_COLUMNS).where(evidence.c.id == evidence_id)).one_or_none()
    if row is None:
        raise NotFoundError(evidence_id)
    return _evidence(row)


def list_evidence(connection: Connection, record_id: str) -> Sequence[Evidence]:
    """All evidence of an application or a case, in the order of its coming, with what was set aside."""
    query = select(*_COLUMNS).where(evidence.c.record_id == record_id).order_by(evidence.c.seq)
    return [_evidence(row) for row in connection.execute(query)]


def find_by_content(connection: Connection, record_id: str, sha256: str) -> Evidence | None:
    """The same file on the same record. Other records are not asked: nobody learns what they have."""
    row = connection.execute(
        select(*_COLUMNS).where(evidence.c.record_id == record_id, evidence.c.sha256 == sha256)
    ).one_or_none()
    return None if row is None else _evidence(row)


def frozen(connection: Connection, record_id: str) -> tuple[tuple[str, str], ...]:
    """What of the evidence is part of what a reviewer approves: (material, SHA-256), sorted.

    Not what was set aside, and not what comes after the certificate is there.
    """
    rows = connection.execute(
        select(evidence.c.material, evidence.c.sha256).where(
            evidence.c.record_id == record_id, evidence.c.set_aside_at.is_(None)
        )
    )
    return tuple(sorted((row.material, row.sha256) for row in rows if row.material not in LATE))
