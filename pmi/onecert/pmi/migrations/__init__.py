"""Alembic revisions of the PMI's tables; run by `onecert.server.database.migrate`."""
