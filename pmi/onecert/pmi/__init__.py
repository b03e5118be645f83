"""Attribute authorities, roles as attribute certificates (RFC 5755), and decisions by them."""
