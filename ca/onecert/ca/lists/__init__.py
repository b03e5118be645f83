"""Revocation lists: their entries, what the next one says, and how they are published."""
