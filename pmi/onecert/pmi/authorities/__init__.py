"""Attribute authorities: sources of authority, those they delegate to, and their states."""
