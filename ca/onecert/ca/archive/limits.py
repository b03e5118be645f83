"""From when on records must be kept, counted in whole months."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["begin_of_kept"]


def begin_of_kept(at: datetime, keep_years: int) -> datetime:
    """The begin of the first month that must be kept whole."""
    now = at.astimezone(UTC)
    return datetime(now.year - keep_years, now.month, 1, tzinfo=UTC)
