"""Tables of notices.

`content_sealed` holds address and facts of a notice that somebody else handed in, such as a one-time code,
until it is sent; notices about renewals and returned applications are written from the record when they are
sent, so that nothing personal lies here twice. `ra_notice_marks` says how far the certificates have been
looked through for each step, so that a million of them are not read again every hour.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["notice_marks", "notices"]

notices = Table(
    "ra_notices",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("key", String(200), nullable=False),  # what makes it one: "renewal:<authority>/<serial>:60"
    Column("notice", String(32), nullable=False),
    Column("step", Integer, nullable=True),  # days before the end
    Column("about", String(160), nullable=False),  # as the audit trail names it: "certificate:…"
    Column("name", String(128), nullable=False),
    Column("point", String(32), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("kind", String(32), nullable=False),  # of certificate
    Column("content_sealed", LargeBinary, nullable=True),
    Column("state", String(16), nullable=False),  # waiting | sent | failed | no_address | needless
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("last_error", String(200), nullable=True),
    UniqueConstraint("id", name="ra_notices_id"),
    UniqueConstraint("key", name="ra_notices_key"),
    Index("ra_notices_due", "state", "next_attempt_at"),
    Index("ra_notices_by_about", "about", "seq"),
    Index("ra_notices_list", "seq", "state", "point", "authority", "kind"),
    Index("ra_notices_state_list", "state", "seq", "point", "authority", "kind"),
    Index("ra_notices_point_list", "point", "seq", "state", "authority", "kind"),
)

notice_marks = Table(
    "ra_notice_marks",
    metadata,
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("authority", String(64), nullable=False),
    Column("serial_hex", String(64), nullable=False),
)
