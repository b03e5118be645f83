"""When the world was first seen to refuse a certificate: one row for each source of a change of status."""

from sqlalchemy import Column, String, Table, Text

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["first_sightings"]

first_sightings = Table(
    "ra_first_sightings",
    metadata,
    Column("revocation_id", String(36), primary_key=True),
    Column("source", String(16), primary_key=True),  # ocsp | crl | verifier
    Column("state", String(16), nullable=False),  # what it says: revoked | hold | good
    Column("at", UtcDateTime, nullable=False),  # when we asked
    Column("since", UtcDateTime, nullable=True),  # the moment that the source itself names
    Column("detail", Text, nullable=False),
)
