"""Tables of the registration authority.

Columns named `…_sealed` hold AES-GCM ciphertext under the RA token's sealing key; `idcard_hmac` is a keyed
hash, so that the same person is found again without the number being stored. `ra_claims` has one row for
each entity that holds, or is applying for, a certificate of one type at one authority, and one for each
public key: its primary key is what makes a duplicate impossible, also for two clerks in one instant.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from onecert.server.database import UtcDateTime

__all__ = [
    "application_events",
    "applications",
    "authority_snapshots",
    "cases",
    "certificates",
    "claims",
    "enrolments",
    "metadata",
    "operator_scopes",
    "order_batches",
    "orders",
    "points",
    "projects",
    "revocations",
    "secrets",
]

metadata = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

_FILTERED = ("authority", "kind", "business", "project", "created_by")

applications = Table(
    "ra_applications",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("request_key", String(128), nullable=False),  # operator and idempotency key: a double click is one
    Column("request_hmac", String(64), nullable=True),  # of what that request said; keyed, it names a person
    Column("kind", String(32), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),  # grows with every change, for stale forms
    Column("name", String(128), nullable=False),
    Column("uscc", String(18), nullable=True),
    Column("idcard_hmac", String(64), nullable=True),
    Column("idcard_masked", String(18), nullable=True),
    Column("entity_key", String(160), nullable=True),  # what a duplicate is, see applications/duplicates.py
    Column("fields", Text, nullable=False),  # JSON of the fields that are not personal
    Column("personal_sealed", LargeBinary, nullable=False),  # JSON of the personal fields and the salt
    Column("csr_pem", Text, nullable=False),
    Column("key_sha256", String(64), nullable=True),
    Column("content_sha256", String(64), nullable=True),  # set by submit, frozen until returned
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("submitted_by", String(64), nullable=True),
    Column("reviewed_by", String(64), nullable=True),
    Column("passed_on_by", String(64), nullable=True),  # the first reviewer, where two must agree
    Column("reason", Text, nullable=True),  # of a return, a rejection, a refusal by the CA
    Column("order_id", String(36), nullable=True),
    Column("point", String(32), nullable=False, server_default="main"),
    Column("project", String(32), nullable=True),
    Column("business", String(16), nullable=False, server_default="new"),
    Column(
        "follows_authority", String(64), nullable=True
    ),  # the certificate that a renewal and so on follows
    Column("follows_serial", String(64), nullable=True),
    Column("follows_reason", String(32), nullable=True),
    Column("follows_early", String(200), nullable=True),  # why it is renewed before the profile's window
    Column("findings", Text, nullable=True),  # JSON of what submitting found out; part of the content's hash
    Column("batch_id", String(36), nullable=True),  # the batch that entered it, until a person changes it
    UniqueConstraint("id", name="ra_applications_id"),
    UniqueConstraint("request_key", name="ra_applications_request_key"),
    # Queues and lists, of all points and of one, with what filters ask: see applications/walk.py.
    Index("ra_applications_queue", "state", "state_since", "seq", *_FILTERED, "point"),
    Index("ra_applications_point_queue", "point", "state", "state_since", "seq", *_FILTERED),
    Index("ra_applications_list", "seq", "state", *_FILTERED, "point"),
    Index("ra_applications_state_list", "state", "seq", *_FILTERED, "point"),
    Index("ra_applications_point_list", "point", "seq", "state", *_FILTERED),
    Index("ra_applications_by_enterer", "created_by", "state", "state_since", "seq"),
    Index("ra_applications_by_author", "created_by", "seq"),
    Index("ra_applications_of_name", "name", "seq"),
    Index("ra_applications_of_uscc", "uscc", "seq"),
    Index("ra_applications_by_idcard", "idcard_hmac"),
    Index(
        "ra_applications_by_followed",
        "follows_authority",
        "follows_serial",
        sqlite_where=text("follows_serial IS NOT NULL"),
        postgresql_where=text("follows_serial IS NOT NULL"),
    ),
    Index("ra_applications_by_key", "key_sha256"),
    Index(
        "ra_applications_to_order",
        "batch_id",
        "seq",
        sqlite_where=text("state = 'approved'"),
        postgresql_where=text("state = 'approved'"),
    ),
)

application_events = Table(
    "ra_application_events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("application_id", String(36), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(80), nullable=False),  # operator id, or "service"
    Column("event", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text, nullable=True),
    Column("certificate_sha256", String(64), nullable=True),  # of the actor's own certificate
    Index("ra_application_events_by_application", "application_id", "seq"),
    Index("ra_application_events_by_at", "at", "seq"),
)

claims = Table(
    "ra_claims",
    metadata,
    Column("entity_key", String(160), primary_key=True),
    Column("authority", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("application_id", String(36), nullable=False),
)

orders = Table(
    "ra_orders",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("application_id", String(36), nullable=False),
    Column("state", String(16), nullable=False),  # pending | issued | refused
    Column("document_sealed", LargeBinary, nullable=False),  # the signed order, byte for byte as posted
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("last_error", Text, nullable=True),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("delivery", String(16), nullable=True),  # pending | done | refused: the CA told of the hand-over
    Column("delivered_by", String(64), nullable=True),
    Column("order_batch", String(36), nullable=True),  # it goes to the CA with these; None: alone
    Column("line", Integer, nullable=True),  # its line there, from 1
    Index("ra_orders_pending", "state", "next_attempt_at"),
    Index(
        "ra_orders_of_batch",
        "order_batch",
        "line",
        sqlite_where=text("order_batch IS NOT NULL"),
        postgresql_where=text("order_batch IS NOT NULL"),
    ),
    Index(
        "ra_orders_deliveries",
        "next_attempt_at",
        sqlite_where=text("delivery = 'pending'"),
        postgresql_where=text("delivery = 'pending'"),
    ),
)

# Orders of one batch that go to the CA under one signature; on record before anything is sent.
order_batches = Table(
    "ra_order_batches",
    metadata,
    Column("id", String(36), primary_key=True),  # the number of the batch at the CA
    Column("batch_id", String(36), nullable=False),
    Column("state", String(16), nullable=False),  # pending | done
    Column("lines", Integer, nullable=False),
    Column("answered", Integer, nullable=False),  # the last line whose answer is on record
    Column("document", LargeBinary, nullable=False),  # the signed head; it names the lines by their hash
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),  # in a row without an answer
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("last_error", Text, nullable=True),
    Index("ra_order_batches_of_batch", "batch_id", "state"),
)

certificates = Table(
    "ra_certificates",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("serial_hex", String(64), primary_key=True),
    Column("application_id", String(36), nullable=False),
    Column("order_id", String(36), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", String(128), nullable=False),
    Column("uscc", String(18), nullable=True),
    Column("idcard_hmac", String(64), nullable=True),
    Column("idcard_masked", String(18), nullable=True),
    Column("sha256", String(64), nullable=False),  # of the certificate's DER
    Column("certificate_pem", Text, nullable=False),
    Column("chain_pem", Text, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("status", String(16), nullable=False),  # good | hold | revoked, as the CA last told us
    Column("status_since", UtcDateTime, nullable=False),
    Column("reason", String(32), nullable=True),
    Column("point", String(32), nullable=False, server_default="main"),
    Column("sha1", String(40), nullable=True),  # of the same; empty until the job `ra.search` has come by
    Column("token_number", String(64), nullable=True),  # serial number of the token that it is on
    UniqueConstraint("order_id", name="ra_certificates_order"),
    # Lists of all points and of one, with what they are filtered by: see applications/walk.py.
    Index("ra_certificates_list", "issued_at", "serial_hex", "authority", "point", "kind"),
    Index("ra_certificates_point_list", "point", "issued_at", "serial_hex", "authority", "kind"),
    Index("ra_certificates_ending", "not_after", "authority", "serial_hex", "status", "point", "kind"),
    Index("ra_certificates_point_ending", "point", "not_after", "authority", "serial_hex", "status", "kind"),
    Index("ra_certificates_of_name", "name", "issued_at", "serial_hex"),
    Index("ra_certificates_of_uscc", "uscc", "issued_at", "serial_hex"),
    Index("ra_certificates_by_sha1", "sha1"),
    Index("ra_certificates_by_sha256", "sha256"),
    Index("ra_certificates_by_idcard", "idcard_hmac"),
    Index("ra_certificates_by_serial", "serial_hex"),
    Index("ra_certificates_by_application", "application_id"),
    Index(
        "ra_certificates_by_token",
        "token_number",
        sqlite_where=text("token_number IS NOT NULL"),
        postgresql_where=text("token_number IS NOT NULL"),
    ),
)

revocations = Table(
    "ra_revocations",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("request_key", String(128), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("serial_hex", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("note", Text, nullable=True),
    Column("invalidity_date", UtcDateTime, nullable=True),
    Column("requested_by", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),  # pending | done | refused
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("last_error", Text, nullable=True),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("crl_number", BigInteger, nullable=True),
    Column("certificate_sha256", String(64), nullable=True),  # of the officer's own certificate
    UniqueConstraint("id", name="ra_revocations_id"),
    UniqueConstraint("request_key", name="ra_revocations_request_key"),
    Index("ra_revocations_pending", "state", "next_attempt_at"),
    Index("ra_revocations_by_certificate", "authority", "serial_hex", "seq"),
    Index("ra_revocations_by_answer", "answered_at"),
)

cases = Table(
    "ra_cases",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("request_key", String(128), nullable=False),
    Column("business", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("point", String(32), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("serial_hex", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", String(128), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("note", Text, nullable=False),
    Column("invalidity_date", UtcDateTime, nullable=True),
    Column("content_sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("reviewed_by", String(64), nullable=True),
    Column("answer", Text, nullable=True),
    Column("revocation_id", String(36), nullable=True),
    UniqueConstraint("id", name="ra_cases_id"),
    UniqueConstraint("request_key", name="ra_cases_request_key"),
    Index("ra_cases_by_state", "state", "point", "seq"),
    Index("ra_cases_list", "seq", "state", "business", "point", "authority", "kind"),
    Index("ra_cases_state_list", "state", "seq", "business", "point", "authority", "kind"),
    Index("ra_cases_point_list", "point", "seq", "state", "business", "authority", "kind"),
    Index("ra_cases_by_certificate", "authority", "serial_hex", "seq"),
    Index("ra_cases_by_revocation", "revocation_id"),
)

points = Table(
    "ra_points",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("address", String(128), nullable=False),
    Column("phone", String(128), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
)

projects = Table(
    "ra_projects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("point", String(32), nullable=False),  # "*": all points
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
)

operator_scopes = Table(
    "ra_operator_scopes",
    metadata,
    Column("operator_id", String(64), primary_key=True),
    Column("point", String(32), primary_key=True),
    Column("authority", String(64), primary_key=True),
    Column("profile", String(64), primary_key=True),
)

enrolments = Table(
    "ra_enrolments",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("kind", String(16), nullable=False),  # enrol | scope | certificate | resume
    Column("operator_id", String(64), nullable=False),
    Column("content", Text, nullable=False),  # JSON: name, roles, valid_until, scope, certificate_pem
    Column("person_sealed", LargeBinary, nullable=True),  # the identity number, gone once decided
    Column("state", String(16), nullable=False),  # waiting | done | refused
    Column("asked_by", String(64), nullable=False),
    Column("asked_certificate", String(64), nullable=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("decided_by", String(64), nullable=True),
    Column("decided_certificate", String(64), nullable=True),
    Column("decided_at", UtcDateTime, nullable=True),
    Column("reason", Text, nullable=True),
    UniqueConstraint("id", name="ra_enrolments_id"),
    Index("ra_enrolments_by_state", "state", "seq"),
)

authority_snapshots = Table(
    "ra_authority_snapshots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row: what the CA last told
    Column("at", UtcDateTime, nullable=False),
    Column("document", Text, nullable=False),
)

secrets = Table(
    "ra_secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
