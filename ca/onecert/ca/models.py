"""Tables of the CA, as `migrations/` makes them. SQLAlchemy Core; the same on SQLite and PostgreSQL.

Serials are lower-case hex without leading zeros, as addresses and commands name them. A row of
`certificates` is made before the key is used (state `intended`) and stays for good: whatever may have been
signed has a row.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from onecert.server.database import UtcDateTime

__all__ = [
    "authorities",
    "authority_certificates",
    "authority_records",
    "blocked_keys",
    "ceremonies",
    "certificates",
    "check_rounds",
    "crl_entries",
    "crl_parts",
    "crl_removals",
    "crls",
    "destroyed_keys",
    "key_fingerprints",
    "key_numbers",
    "keys",
    "metadata",
    "orders",
    "profiles",
    "registration_authorities",
    "revocations",
]

metadata = MetaData()

authorities = Table(
    "ca_authorities",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),  # root | issuing
    Column("issuer", String(64), nullable=False),  # its own name for a root
    Column("key_label", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("serial", String(40), nullable=True),  # of its own certificate, once issued
    Column("certificate_der", LargeBinary, nullable=True),
    Column("crl_lifetime_s", Integer, nullable=False),
    Column("ceremony", String(64), nullable=False),
    Column("title", Text, nullable=False),  # JSON: {"zh": …, "en": …}
    # Grows with each change of a certificate's status; a list made at an older value is out of date.
    Column("status_version", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # How many partitions new certificates are spread over; grows, never shrinks. 0: the full list alone.
    Column("crl_partitions", Integer, nullable=False, server_default="0"),
    Column("crl_delta_s", Integer, nullable=False, server_default="0"),  # life of a delta list; 0: none
    # What registration authorities order by, and from when this authority fills those orders. Null: by its
    # own name, always.
    Column("line", String(64), nullable=True),
    Column("orders_from", UtcDateTime, nullable=True),
    Column("predecessor", String(64), nullable=True),  # the same name with the key before
    Column("state", String(16), nullable=False, server_default="active"),  # active | retired | destroyed
)

# Further certificates of our authorities: given by others, or for the roll-over of a key.
authority_certificates = Table(
    "ca_authority_certificates",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("origin", String(16), nullable=False),  # outside: above it | received | roll-over
    Column("position", Integer, nullable=False),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("ceremony", String(64), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
)

# The end of an authority, act by act, each record signed with the audit key.
authority_records = Table(
    "ca_authority_records",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("act", String(32), primary_key=True),  # retired | destroyed
    Column("record", LargeBinary, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# Keys that were on a token and are there no more.
destroyed_keys = Table(
    "ca_destroyed_keys",
    metadata,
    Column("label", String(64), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("token", String(64), nullable=False),
    Column("destroyed_at", UtcDateTime, nullable=False),
)

profiles = Table(
    "ca_profiles",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # canonical JSON, never changed
    Column("sha256", String(64), nullable=False),
    Column("in_force", Boolean, nullable=False),  # False: withdrawn
    Column("added_at", UtcDateTime, nullable=False),
    Column("document", LargeBinary, nullable=True),  # as two officers signed it; NULL: part of a ceremony
    Column("in_force_from", UtcDateTime, nullable=True),  # NULL: since it was added
    Column("withdrawn_at", UtcDateTime, nullable=True),
)

registration_authorities = Table(
    "ca_registration_authorities",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key_id", String(64), nullable=False, unique=True),
    Column("key_pem", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list of AUTHORITY:PROFILE
    Column("added_at", UtcDateTime, nullable=False),
)

orders = Table(
    "ca_orders",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("content_sha256", String(64), nullable=False),
    Column("ordered_by", String(128), nullable=False),  # ra:<name> | command:<user>
    Column("authority", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("document", LargeBinary, nullable=False),  # as it was signed: the evidence
    Column("received_at", UtcDateTime, nullable=False),
)

certificates = Table(
    "ca_certificates",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("state", String(16), nullable=False),  # intended | issued | abandoned
    Column("profile", String(64), nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("profile_sha256", String(64), nullable=False),
    Column("entity", String(160), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("key_sha256", String(64), nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("tbs_der", LargeBinary, nullable=True),  # until issued: what was or may have been signed
    Column("certificate_der", LargeBinary, nullable=True),
    Column("status", String(8), nullable=False),  # good | hold | revoked
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("reason", String(24), nullable=True),
    Column("invalidity_date", UtcDateTime, nullable=True),
    # The partition of the lists that the certificate names; 0: it names the full list, or none.
    Column("crl_partition", Integer, nullable=False, server_default="0"),
    Column("intended_by", String(16), nullable=True),  # the process that has the intent in hand
    Index("ca_certificates_by_entity", "entity"),
    Index(
        "ca_certificates_unfinished",
        "authority",
        sqlite_where=text("state = 'intended'"),
        postgresql_where=text("state = 'intended'"),
    ),
    Index(
        "ca_certificates_not_good",
        "authority",
        "not_after",
        sqlite_where=text("status <> 'good'"),
        postgresql_where=text("status <> 'good'"),
    ),
    Index(
        "ca_certificates_not_good_by_partition",
        "authority",
        "crl_partition",
        "not_after",
        sqlite_where=text("status <> 'good'"),
        postgresql_where=text("status <> 'good'"),
    ),
    Index("ca_certificates_by_begin", "not_before"),
    Index("ca_certificates_by_end", "not_after"),
    Index(
        "ca_certificates_by_revocation_revoked",
        "revoked_at",
        sqlite_where=text("status <> 'good'"),
        postgresql_where=text("status <> 'good'"),
    ),
    Index(
        "ca_certificates_by_revocation_held",
        "revoked_at",
        sqlite_where=text("status = 'hold'"),
        postgresql_where=text("status = 'hold'"),
    ),
)

# A key has one holder, whichever authority certifies it.
keys = Table(
    "ca_keys",
    metadata,
    Column("key_sha256", String(64), primary_key=True),
    Column("entity", String(160), nullable=False),
)

# Which key of its holder this is, at one authority: the first, the second…
key_numbers = Table(
    "ca_key_numbers",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("entity", String(160), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key_sha256", String(64), nullable=False),
    Index("ca_key_numbers_by_key", "authority", "entity", "key_sha256", unique=True),
)

blocked_keys = Table(
    "ca_blocked_keys",
    metadata,
    Column("key_sha256", String(64), primary_key=True),
    Column("reason", String(128), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
)

# Further names of keys that are known to be weak, as published lists spell them; see `key_blocklist`.
key_fingerprints = Table(
    "ca_key_fingerprints",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("reason", String(128), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
)

revocations = Table(
    "ca_revocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("content_sha256", String(64), nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=False),
    Column("status_version", BigInteger, nullable=False),
    Index("ca_revocations_by_certificate", "authority", "serial"),
)

# What the next list is made of: one encoded entry for each revoked certificate, on hold included.
crl_entries = Table(
    "ca_crl_entries",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("not_after", UtcDateTime, nullable=False),
    Column("entry_der", LargeBinary, nullable=False),
    Column("crl_partition", Integer, nullable=False, server_default="0"),
    Column("status_version", BigInteger, nullable=False, server_default="0"),  # of the authority, with it
    Index("ca_crl_entries_by_version", "authority", "status_version"),
    Index("ca_crl_entries_by_partition", "authority", "crl_partition", "status_version"),
    Index("ca_crl_entries_by_end", "authority", "not_after"),
)

# What was on hold and was released: a delta list says so.
crl_removals = Table(
    "ca_crl_removals",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("crl_partition", Integer, nullable=False),
    Column("status_version", BigInteger, nullable=False),
    Column("removed_at", UtcDateTime, nullable=False),
    Index("ca_crl_removals_by_version", "authority", "status_version"),
    Index("ca_crl_removals_by_partition", "authority", "crl_partition", "status_version"),
)

# The bytes of the newest list of each scope, when it is long: a list shares most of them with the one before.
crl_parts = Table(
    "ca_crl_parts",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("crl_partition", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

crls = Table(
    "ca_crls",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("status_version", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("tbs_sha256", String(64), nullable=False),
    # Null while signing; null again when a later list has made it useless.
    Column("crl_der", LargeBinary, nullable=True),
    Column("sha256", String(64), nullable=True),
    # All lists of an authority take their numbers from one sequence.
    Column("crl_partition", Integer, nullable=False, server_default="0"),  # 0: the full list
    # Entries of certificates that ended before this moment are not on it. Null in old rows.
    Column("entries_since", UtcDateTime, nullable=True),
    # The delta that was published with it, of the same number (RFC 5280, section 5.2.4), and its base.
    Column("delta_der", LargeBinary, nullable=True),
    Column("delta_sha256", String(64), nullable=True),
    Column("delta_entries", BigInteger, nullable=True),
    Column("delta_next_update", UtcDateTime, nullable=True),
    Column("delta_tbs_sha256", String(64), nullable=True),
    Column("base_number", BigInteger, nullable=True),
    # Instead of `crl_der`: the SHA-256 of each part in order, in hex, with spaces between.
    Column("parts", Text, nullable=True),
    Index("ca_crls_by_partition", "authority", "crl_partition", "number"),
    Index("ca_crls_by_end", "authority", "crl_partition", "next_update"),
)

ceremonies = Table(
    "ca_ceremonies",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("file_sha256", String(64), nullable=False),
    Column("file_text", Text, nullable=False),
    Column("record", LargeBinary, nullable=True),  # signed, once everything is done
    Column("begun_at", UtcDateTime, nullable=False),
)

# How far the checker is, and what it found; see check_rounds.py.
check_rounds = Table(
    "ca_check_rounds",
    metadata,
    Column("kind", String(16), primary_key=True),  # record | lists
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    # Behind this certificate and this audit entry it goes on.
    Column("authority", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("checked", BigInteger, nullable=False),
    Column("findings", BigInteger, nullable=False),
    Column("first_findings", Text, nullable=False),  # JSON list
)
