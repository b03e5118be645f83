"""The remarks of a return on record: written with the act, read by whoever corrects and whoever reviews
again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from onecert.ra.review.reasons import Remark
from onecert.ra.review.tables import remarks

__all__ = ["Return", "last_return", "write_remarks"]


@dataclass(frozen=True, kw_only=True)
class Return:
    """One return: who, when, why."""

    at: datetime
    actor: str
    remarks: tuple[Remark, ...]

    def by_field(self) -> dict[str, list[Remark]]:
        """The remarks at each field; `""` is the whole application."""
        found: dict[str, list[Remark]] = {}
        for remark in self.remarks:
            found.setdefault(remark.field, []).append(remark)
        return found


def write_remarks(
    connection: Connection,
    application_id: str,
    *,
    revision: int,
    actor: str,
    at: datetime,
    wanted: Sequence[Remark],
) -> None:
    """Keep them; `revision` is the application's after the return."""
    rows = [
        {
            "application_id": application_id,
            "revision": revision,
            "at": at,
            "actor": actor,
            "code": remark.code,
            "field": remark.field,
            "words": remark.words,
        }
        for remark in wanted
    ]
    connection.execute(insert(remarks), rows)


def last_return(connection: Connection, application_id: str) -> Return | None:
    """The newest return of an application; None: it was never returned with remarks."""
    here = remarks.c.application_id == application_id
    newest = select(func.max(remarks.c.revision)).where(here).scalar_subquery()
    rows = connection.execute(
        select(remarks).where(here, remarks.c.revision == newest).order_by(remarks.c.seq)
    ).all()
    if not rows:
        return None
    return Return(
        at=rows[0].at,
        actor=rows[0].actor,
        remarks=tuple(Remark(code=row.code, field=row.field, words=row.words) for row in rows),
    )
