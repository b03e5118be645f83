"""Policies, decisions by them, and their memory."""
