"""The parts of the published record of issued certificates: an index and shards for each service.

Their form is that of `onecert.verifier.issuance_record`. A part is named by its SHA-256 and written once; the
same rows make the same parts on every host. After new certificates, only the shards that they fall in and the
index are written anew.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from onecert.server.database import Database
from onecert.server.folders import make_private_folder, write_file
from onecert.supervision import issuance_rows
from onecert.supervision.issuance_rows import RecordRow
from onecert.verifier.issuance_parts import part_file
from onecert.verifier.issuance_record import DIGITS_MAX
from onecert.verifier.strict_json import format_time

__all__ = ["Shards", "digits_for"]

# So many certificates in a shard on average, 350 KB of them.
_ROWS = 4096
_EMPTY = "-"


def digits_for(entries: int) -> int:
    """How many hexadecimal digits choose the shard."""
    return next((digits for digits in range(DIGITS_MAX) if entries <= _ROWS * 16**digits), DIGITS_MAX)


class Shards:
    """Writes parts into the published folder."""

    def __init__(self, database: Database, published: Path) -> None:
        self._database = database
        self._published = published

    def build(self, service: str, upto: int, before: RecordRow | None) -> dict[str, Any]:
        """Write the parts of a service's record up to a position.

        Args:
            before: an older record, whose parts need not be made again where nothing has changed.

        Returns:
            what the head says of the service.
        """
        digits = digits_for(upto)
        lines = self._lines(service, digits, before)
        with self._database.reading() as connection:
            if lines is None:
                prefixes = [
                    format(number, "x").zfill(digits) if digits else "" for number in range(16**digits)
                ]
                lines = [self._write(self._all(connection, service, prefix, upto)) for prefix in prefixes]
            else:
                since = before.positions[service] if before is not None else 0
                for prefix, rows in _new_by_prefix(connection, service, digits, since, upto).items():
                    number = int(prefix or "0", 16)
                    known = self._rows_of(lines[number])
                    lines[number] = self._write(
                        self._all(connection, service, prefix, upto)
                        if known is None
                        else sorted({*known, *rows})
                    )
        index = self._write(lines)
        return {"entries": upto, "digits": digits, "index": index}

    def is_there(self, index: str) -> bool:
        """Whether the parts of an index are among the files; it is written after its shards."""
        return (self._published / part_file(index)).is_file()

    def sweep(self, records: list[RecordRow], *, at: datetime, older_than: timedelta) -> None:
        """Remove the parts that none of these records names and that were not written lately."""
        named: set[str] = set()
        for record in records:
            for found in record.payload["services"].values():
                named.add(found["index"])
                named.update(self._index(found["index"]) or ())
        for path in (self._published / part_file("0")).parent.glob("*.txt"):
            if path.stem not in named and path.stat().st_mtime < (at - older_than).timestamp():
                path.unlink(missing_ok=True)

    def _lines(self, service: str, digits: int, before: RecordRow | None) -> list[str] | None:
        """The index of before, when it has the same form and is here."""
        found = before.payload["services"].get(service) if before is not None else None
        return self._index(found["index"]) if found is not None and found["digits"] == digits else None

    def _index(self, sha256: str) -> list[str] | None:
        try:
            content = (self._published / part_file(sha256)).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            return None
        lines = content.decode("ascii").splitlines()
        is_whole = all(line == _EMPTY or self.is_there(line) for line in lines)
        return lines if is_whole else None

    def _rows_of(self, sha256: str) -> list[str] | None:
        """The rows of a shard that was written before; None when the file is not what it should be."""
        if sha256 == _EMPTY:
            return []
        content = (self._published / part_file(sha256)).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            return None
        return content.decode("ascii").splitlines()

    def _all(self, connection: Connection, service: str, prefix: str, upto: int) -> list[str]:
        return [_row(*row) for row in issuance_rows.shard_rows(connection, service, prefix, upto)]

    def _write(self, lines: list[str]) -> str:
        """Write a part of these lines; a part without lines is not written."""
        if not lines:
            return _EMPTY
        octets = "".join(f"{line}\n" for line in lines).encode("ascii")
        sha256 = hashlib.sha256(octets).hexdigest()
        path = self._published / part_file(sha256)
        if not path.is_file() or path.stat().st_size != len(octets):
            make_private_folder(path.parent)
            write_file(path, octets, mode=0o644)
        return sha256


def _row(sha256: str, at: datetime) -> str:
    return f"{sha256} {format_time(at)}"


def _new_by_prefix(
    connection: Connection, service: str, digits: int, since: int, upto: int
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for sha256, at in issuance_rows.new_rows(connection, service, since, upto):
        found.setdefault(sha256[:digits], []).append(_row(sha256, at))
    return found
