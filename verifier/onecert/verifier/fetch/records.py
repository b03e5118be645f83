"""What is known of a document that was fetched, and of an address that failed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Failure", "Record", "read_failure", "read_record", "sha256_hex"]

_SAME_TIME = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Record:
    """When a document was fetched, or last confirmed by its server, and what the server said with it."""

    url: str
    kind: str
    fetched_at: datetime
    sha256: str
    etag: str = ""
    last_modified: str = ""
    max_age_s: int | None = None

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_s is None else timedelta(seconds=self.max_age_s)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An address, or a server, that failed ``count`` times in a row."""

    count: int
    failed_at: datetime
    retry_at: datetime
    detail: str

    def holds_at(self, at: datetime) -> bool:
        """Not asked again yet? A clock that was set back ends the wait; threads may differ a little."""
        return self.failed_at - _SAME_TIME <= at < self.retry_at


def sha256_hex(data: bytes) -> str:
    """The form of ``Record.sha256``."""
    return hashlib.sha256(data).hexdigest()


def read_record(fields: dict[str, object]) -> Record:
    """Read the fields of a record.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    max_age = fields["max_age_s"]
    if max_age is not None and not isinstance(max_age, int):
        raise TypeError("max_age_s")
    return Record(
        url=_text(fields["url"]),
        kind=_text(fields["kind"]),
        fetched_at=_time(fields["fetched_at"]),
        sha256=_text(fields["sha256"]),
        etag=_text(fields["etag"]),
        last_modified=_text(fields["last_modified"]),
        max_age_s=None if max_age is None else min(max(max_age, 0), 10**9),
    )


def read_failure(fields: dict[str, object]) -> Failure:
    """Read the fields of a failure.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    count = fields["count"]
    if not isinstance(count, int):
        raise TypeError("count")
    return Failure(
        count=min(max(count, 1), 1000),
        failed_at=_time(fields["failed_at"]),
        retry_at=_time(fields["retry_at"]),
        detail=_text(fields["detail"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _time(value: object) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError("a time without zone")
    return found
