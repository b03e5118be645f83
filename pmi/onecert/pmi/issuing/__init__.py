"""Attribute certificates: encoded, drafted, on record, signed, compared, kept."""
