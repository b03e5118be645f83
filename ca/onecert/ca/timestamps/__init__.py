"""Timestamps (RFC 3161)."""
