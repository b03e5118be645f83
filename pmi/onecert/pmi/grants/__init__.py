"""Grants: asked for, approved, refused."""
