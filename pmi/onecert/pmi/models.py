"""Tables of the PMI, as `migrations/` makes them. SQLAlchemy Core; the same on SQLite and PostgreSQL.

Serials are lower-case hex without leading zeros. A row of `certificates` is made before the key is used
(state `intended`) and stays for good: whatever may have been signed has a row and can be revoked.
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
)

from onecert.server.database import UtcDateTime

__all__ = [
    "acrls",
    "authorities",
    "authority_acts",
    "authority_history",
    "authority_keys",
    "batches",
    "catalogues",
    "certificate_attributes",
    "certificates",
    "departures",
    "grants",
    "holder_names",
    "holders",
    "holds",
    "metadata",
    "ocsp_answers",
    "policies",
    "rebindings",
]

metadata = MetaData()

authorities = Table(
    "pmi_authorities",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key_label", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("certificate_der", LargeBinary, nullable=True),  # null: requested, not yet installed
    Column("chain_pem", Text, nullable=False),
    # Grows with each change of a certificate's status; a list made at an older value is out of date.
    Column("status_version", BigInteger, nullable=False),
    Column("acrl_number", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("installed_at", UtcDateTime, nullable=True),
    # soa: a source of authority, gives what the catalogue says; aa: gives what it was delegated, no more.
    Column("kind", String(8), nullable=False),
    Column("state", String(16), nullable=False),  # active | suspended | revoked
    Column("state_at", UtcDateTime, nullable=True),
    Column("state_reason", String(32), nullable=True),
    Column("generation", Integer, nullable=False),  # of its key: 1, and one more with each new key
    Index("pmi_authorities_versions", "status_version", "installed_at"),
)

# What an authority was from when on; the row with the latest ``since`` before a moment counts then.
authority_history = Table(
    "pmi_authority_history",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=True),
    Column("changed_by", String(256), nullable=False),
)

# The keys of an authority besides its present one: a new one that waits for its certificate, and those before
# it, which sign revocation lists until the last certificate that they signed has ended.
authority_keys = Table(
    "pmi_authority_keys",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("key_label", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("certificate_der", LargeBinary, nullable=True),  # null: requested, not yet installed
    Column("chain_pem", Text, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=True),
    Column("needed_until", UtcDateTime, nullable=True),
)

# What one person asked for and a second one has to confirm: the end of a source of authority.
authority_acts = Table(
    "pmi_authority_acts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("act", String(16), nullable=False),  # revoke
    Column("state", String(16), nullable=False),  # waiting | done | withdrawn
    Column("content_sha256", String(64), nullable=False),  # what is confirmed is what was shown
    Column("reason", String(32), nullable=False),
    Column("each_certificate", Boolean, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("confirmed_by", String(64), nullable=True),
    Column("confirmed_at", UtcDateTime, nullable=True),
    Index("pmi_authority_acts_by_authority", "authority", "state"),
)

catalogues = Table(
    "pmi_catalogues",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # canonical JSON, never changed
    Column("sha256", String(64), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(256), nullable=False),
)

grants = Table(
    "pmi_grants",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # grant | delegation
    Column("state", String(16), nullable=False),  # waiting | approved | issued | refused
    Column("content_sha256", String(64), nullable=False),  # what is approved is what was shown
    Column("holder_der", LargeBinary, nullable=False),
    Column("holder_name", String(512), nullable=False),
    Column("entity", String(128), nullable=False),
    Column("holder_form", String(16), nullable=False),  # certificate | key | digest | name | entity
    Column("attributes", Text, nullable=False),  # JSON object: name of an attribute -> list of its values
    Column("constraints", Text, nullable=False),  # JSON object: what a delegation is limited to
    Column("targets", Text, nullable=False),  # JSON list
    Column("target_groups", Text, nullable=False),  # JSON list
    Column("short_lived", Boolean, nullable=False),  # noRevAvail
    Column("audit_identity", String(40), nullable=False),  # hex; empty for none
    Column("recipient_der", LargeBinary, nullable=True),  # certificate of who may read encrypted attributes
    Column("source", String(64), nullable=False),  # renewal:<serial> | rebinding:<serial> | batch:<id>
    Column("batch_id", String(36), nullable=True),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("approved_by", String(64), nullable=True),
    Column("approved_at", UtcDateTime, nullable=True),
    Column("refused_by", String(64), nullable=True),
    Column("refused_at", UtcDateTime, nullable=True),
    Column("refused_why", String(512), nullable=False),
    Column("serial", String(40), nullable=True),  # of the certificate, once issued
    Index("pmi_grants_by_state", "state", "requested_at"),
    Index("pmi_grants_by_batch", "batch_id", "state", "id"),
    Index("pmi_grants_by_entity", "entity", "state"),
)

certificates = Table(
    "pmi_certificates",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("grant_id", String(36), nullable=False),
    Column("kind", String(16), nullable=False),  # grant | delegation
    Column("state", String(16), nullable=False),  # intended | issued | held | revoked | abandoned
    Column("holder_form", String(16), nullable=False),
    Column("holder_sha256", String(64), nullable=False),  # of the identity certificate
    Column("key_sha256", String(64), nullable=False),  # of its SubjectPublicKeyInfo
    Column("holder_name", String(512), nullable=False),
    Column("entity", String(128), nullable=False),  # canonical id of the holder
    Column("info_der", LargeBinary, nullable=False),  # what is or may have been signed
    Column("certificate_der", LargeBinary, nullable=True),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("intended_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=True),
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("reason", String(32), nullable=True),
    Column("revoked_by", String(256), nullable=True),
    Column("short_lived", Boolean, nullable=False),
    Column("under", String(40), nullable=True),  # serial of the delegation that let its authority give it
    Column("replaced_by", String(40), nullable=True),  # by renewal or rebinding
    Index("pmi_certificates_by_holder", "holder_sha256"),
    Index("pmi_certificates_by_key", "key_sha256"),
    Index("pmi_certificates_by_under", "under"),
    # Lists are read by these from key to key (repository/search.py): the last column once for each row.
    Index("pmi_certificates_by_end", "state", "not_after", "serial"),
    Index("pmi_certificates_by_entity", "entity", "intended_at", "serial"),
    Index("pmi_certificates_by_state", "authority", "state", "not_after", "serial"),
    Index("pmi_certificates_by_time", "intended_at", "serial"),
    Index("pmi_certificates_by_kind", "authority", "kind", "state", "intended_at", "serial"),
    Index("pmi_certificates_by_grant", "grant_id"),
)

# What people and ``who_can`` search by. A value is text; a structured one its canonical JSON, and
# ``sha256:<hex>`` of it when that is longer than the column.
certificate_attributes = Table(
    "pmi_certificate_attributes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(512), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Index("pmi_certificate_attributes_by_serial", "serial"),
)

holds = Table(
    "pmi_holds",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("held_at", UtcDateTime, primary_key=True),
    Column("held_by", String(256), nullable=False),
    Column("released_at", UtcDateTime, nullable=True),
    Column("released_by", String(256), nullable=True),
)

# Certificates of holders that our verifier has accepted: who each of them says its holder is.
holders = Table(
    "pmi_holders",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key_sha256", String(64), nullable=False),
    Column("entity", String(128), nullable=False),
    Column("person", String(128), nullable=False),  # empty: the entity itself
    Column("name", String(512), nullable=False),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime, nullable=True),  # whether it renews another: null for not yet looked at
    Index("pmi_holders_by_identity", "entity", "person"),
    Index("pmi_holders_by_person", "person"),
    Index("pmi_holders_by_key", "key_sha256"),
    Index("pmi_holders_unchecked", "checked_at", "seen_at"),
)

# Each ending of each holder's name, cut to eight characters: any part of a name begins one of them.
holder_names = Table(
    "pmi_holder_names",
    metadata,
    Column("part", String(8).with_variant(String(8, collation="C"), "postgresql"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
)

# Live certificates whose holder has a newer certificate; an officer confirms that they follow it.
rebindings = Table(
    "pmi_rebindings",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("holder_sha256", String(64), nullable=False),  # of the newer certificate
    Column("proposed_at", UtcDateTime, nullable=False),
    Index("pmi_rebindings_by_time", "proposed_at", "serial"),
)

# End of office: what somebody held, shown, confirmed and revoked, now or at a time that was set.
departures = Table(
    "pmi_departures",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("who_kind", String(16), nullable=False),  # certificate | entity | person
    Column("who", String(128), nullable=False),
    Column("name", String(512), nullable=False),
    Column("state", String(16), nullable=False),  # scheduled | done | withdrawn
    Column("content_sha256", String(64), nullable=False),  # of what was shown
    Column("effective_at", UtcDateTime, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime, nullable=True),
    Column("receipt", Text, nullable=False),  # JSON: what was revoked and refused
    Index("pmi_departures_by_state", "state", "effective_at"),
    Index("pmi_departures_by_content", "content_sha256"),
)

# OCSP answers as they were signed; good while the status is that of the certificate.
ocsp_answers = Table(
    "pmi_ocsp_answers",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("hash_name", String(8), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("status", String(96), nullable=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("response_der", LargeBinary, nullable=False),
    Index("pmi_ocsp_answers_by_age", "next_update"),
)

batches = Table(
    "pmi_batches",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # waiting | approved | done | refused
    Column("content_sha256", String(64), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("approved_by", String(64), nullable=True),
    Column("approved_at", UtcDateTime, nullable=True),
    Column("finished_at", UtcDateTime, nullable=True),
    Index("pmi_batches_by_state", "state", "requested_at"),
)

acrls = Table(
    "pmi_acrls",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),  # of the key that signs it
    Column("status_version", BigInteger, nullable=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("tbs_der", LargeBinary, nullable=False),  # on record before the key is used
    Column("acrl_der", LargeBinary, nullable=True),
)

policies = Table(
    "pmi_policies",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),  # signed, never changed
    Column("active", Boolean, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(256), nullable=False),
    Index("pmi_policies_active", "active", "name", "version", "sha256"),
)
