"""Migrations of the tables that every service has: audit, jobs, operators, sessions.

A member has a folder like this one with ``versions/*.py`` only; `run.py` runs all of them.
"""
