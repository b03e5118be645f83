"""Tables of batches: the batch, its uploaded files, its rows as typed (sealed), and the report on each row.

What was typed stands sealed in `ra_batch_files` and `ra_batch_chunks`; `ra_batch_rows` has what a report
shows without opening it: masked numbers, keyed hashes, codes. Each stretch of rows is worked on in one
transaction.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["batch_chunks", "batch_files", "batch_rows", "batches"]

_Sequence = BigInteger().with_variant(Integer, "sqlite")

batches = Table(
    "ra_batches",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("request_key", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    Column("phase", String(16), nullable=False),  # what the service is doing, see records.Phase
    Column("revision", Integer, nullable=False),
    Column("point", String(32), nullable=False),
    Column("project", String(32), nullable=True),
    Column("authority", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("title", String(128), nullable=False),
    Column("file_name", String(128), nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("columns", Text, nullable=False),  # JSON: heading as typed and its field, notes on the file
    Column("salt_sealed", LargeBinary, nullable=False),
    Column("policy", String(8), nullable=False),  # good: only good rows | all: every row or none
    Column("failure", Text, nullable=True),  # JSON: code, text, hint and facts of a file that cannot be read
    Column("rows", Integer, nullable=False),
    Column("checked", Integer, nullable=False),
    Column("good", Integer, nullable=False),
    Column("warning", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("error", Integer, nullable=False),
    Column("entered", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("content_sha256", String(64), nullable=True),  # of the file and the accepted rows; set by submit
    Column("accepted", Integer, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("submitted_by", String(64), nullable=True),
    Column("reviewed_by", String(64), nullable=True),
    Column("reason", Text, nullable=True),
    Unique("id", name="ra_batches_id"),
    Unique("request_key", name="ra_batches_request_key"),
    Index("ra_batches_by_state", "state", "point", "seq"),
    Index(
        "ra_batches_at_work",
        "seq",
        sqlite_where=text("phase IN ('reading', 'checking', 'entering', 'ordering')"),
        postgresql_where=text("phase IN ('reading', 'checking', 'entering', 'ordering')"),
    ),
)

batch_files = Table(
    "ra_batch_files",
    metadata,
    Column("batch_id", String(36), primary_key=True),
    Column("name", String(16), primary_key=True),  # table | requests
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content_sealed", LargeBinary, nullable=False),
)

batch_chunks = Table(
    "ra_batch_chunks",
    metadata,
    Column("batch_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # read | checked | entered
    Column("rows_sealed", LargeBinary, nullable=False),  # compressed JSON: number, cells, request of each row
)

batch_rows = Table(
    "ra_batch_rows",
    metadata,
    Column("batch_id", String(36), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),  # as a spreadsheet counts
    Column("chunk", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # good | warning | duplicate | error
    Column("excluded", Boolean, nullable=False),
    Column("name", String(128), nullable=False),
    Column("masked", String(18), nullable=False),  # credit code, or the masked identity card number
    Column("entity_key", String(160), nullable=True),
    Column("key_sha256", String(64), nullable=True),
    Column("content_sha256", String(64), nullable=True),  # what the application's will be
    Column("remarks", Text, nullable=False),  # JSON: field, code, facts
    Column("outcome", String(16), nullable=True),  # entered | refused
    Column("application_id", String(36), nullable=True),
    Index("ra_batch_rows_by_state", "batch_id", "state", "row"),
    Index("ra_batch_rows_by_entity", "batch_id", "entity_key"),
    Index("ra_batch_rows_by_key", "batch_id", "key_sha256"),
    Index("ra_batch_rows_by_application", "application_id"),
)
