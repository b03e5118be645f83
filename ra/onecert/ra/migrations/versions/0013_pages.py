"""What the pages look up: the audit trail by actor, event and day.

Indexes on the trail of this service alone: only here many people search it that way, and few write.
Programs of before go on.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
compatible_with = "0005"

INDEXES = {
    "ra_audit_by_actor": ("actor", "seq"),
    "ra_audit_by_event": ("event", "seq"),
    "ra_audit_by_time": ("at", "seq"),
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "audit_entries", list(columns), if_not_exists=True)
