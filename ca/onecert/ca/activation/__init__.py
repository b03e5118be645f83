"""Tokens whose PIN nobody knows alone: shares, holders, and the door where they come."""
