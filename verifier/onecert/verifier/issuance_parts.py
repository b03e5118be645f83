"""Index and shards of the record of issued certificates, read strictly and looked up.

Both are ASCII and named by their SHA-256 in what is signed; see ``issuance_record.py`` for their form.
"""

from __future__ import annotations

import hashlib
import re
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from onecert.verifier.issuance_record import IssuanceRecord, IssuanceRecordError, NamedIndex
from onecert.verifier.strict_json import StrictJsonError, parse_time

__all__ = ["PART_MAX_BYTES", "GetPart", "PartsReader", "load_index", "load_shard", "part_file"]

# An index of 65536 lines has 4.3 MB; a shard of 100,000 certificates, many more than it should have, 8.6 MB.
PART_MAX_BYTES = 16 * 1024 * 1024
_EMPTY = "-"
_INDEX = re.compile(rb"(?:(?:[0-9a-f]{64}|-)\n)*", re.ASCII)
_ROW = re.compile(r"([0-9a-f]{64}) (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)", re.ASCII)
_ROW_BYTES = 64 + 1 + 20 + 1
_INDEXES_KEPT = 8
_SHARDS_KEPT = 64

# The octets of a part, by its SHA-256; IssuanceRecordError when it cannot be had.
GetPart = Callable[[str], bytes]
Shard = tuple[Sequence[str], Sequence[str]]


def part_file(sha256: str) -> str:
    """Where a part lies, relative to the head."""
    return f"issuance-record/{sha256}.txt"


class PartsReader:
    """Looks certificates up, and keeps the parts that were read last; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: OrderedDict[str, Sequence[str]] = OrderedDict()
        self._shards: OrderedDict[str, Shard] = OrderedDict()

    def issued_at(
        self, record: IssuanceRecord, service_id: str, certificate_sha256: str, *, at: datetime, get: GetPart
    ) -> datetime | None:
        """The time on record, or ``None`` for a certificate that is not on it.

        Raises:
            IssuanceRecordError: as ``IssuanceRecord.index_of``, ISSUANCE_RECORD_MALFORMED for a part, and
                what ``get`` raises.
        """
        named = record.index_of(service_id, at=at)
        index = self._index(named, get)
        prefix = certificate_sha256[: named.digits]
        shard = index[int(prefix or "0", 16)]
        if shard == _EMPTY:
            return None
        digests, times = self._shard(shard, prefix, get)
        place = bisect_left(digests, certificate_sha256)
        if place == len(digests) or digests[place] != certificate_sha256:
            return None
        try:
            return parse_time(times[place], "time")
        except StrictJsonError as exc:
            raise _malformed(shard, str(exc)) from exc

    def shards_of(self, record: IssuanceRecord) -> set[str]:
        """The parts that this record names, as far as its indexes are at hand."""
        named = {index.sha256 for index in record.services.values()}
        with self._lock:
            lines = [line for sha256 in named for line in self._indexes.get(sha256, ())]
        return named | (set(lines) - {_EMPTY})

    def _index(self, named: NamedIndex, get: GetPart) -> Sequence[str]:
        with self._lock:
            known = self._indexes.get(named.sha256)
        if known is None:
            known = load_index(get(named.sha256), named)
            with self._lock:
                self._indexes[named.sha256] = known
                while len(self._indexes) > _INDEXES_KEPT:
                    self._indexes.popitem(last=False)
        elif len(known) != 16**named.digits:
            raise _malformed(named.sha256, "an index of another length")
        return known

    def _shard(self, sha256: str, prefix: str, get: GetPart) -> Shard:
        with self._lock:
            known = self._shards.get(sha256)
        if known is None:
            known = load_shard(get(sha256), sha256, prefix)
            with self._lock:
                self._shards[sha256] = known
                while len(self._shards) > _SHARDS_KEPT:
                    self._shards.popitem(last=False)
        return known


def load_index(data: bytes, named: NamedIndex) -> Sequence[str]:
    """The SHA-256 of each shard, or ``-``.

    Raises:
        IssuanceRecordError: ISSUANCE_RECORD_MALFORMED.
    """
    _check_digest(data, named.sha256)
    if _INDEX.fullmatch(data) is None:
        raise _malformed(named.sha256, "a line that is no SHA-256")
    lines = data.decode("ascii").splitlines()
    if len(lines) != 16**named.digits:
        raise _malformed(named.sha256, "an index of another length")
    return lines


def load_shard(data: bytes, sha256: str, prefix: str) -> Shard:
    """Digests in order, and the time of each as it is written.

    Raises:
        IssuanceRecordError: ISSUANCE_RECORD_MALFORMED.
    """
    _check_digest(data, sha256)
    lines = data.decode("ascii", "replace").split("\n")
    if len(data) % _ROW_BYTES or lines.pop():
        raise _malformed(sha256, "a line of another length")
    digests, times = [], []
    before = ""
    for line in lines:
        row = _ROW.fullmatch(line)
        if row is None or not row[1].startswith(prefix) or row[1] <= before:
            raise _malformed(sha256, f"the line {line[:90]!r}")
        before = row[1]
        digests.append(row[1])
        times.append(row[2])
    return digests, times


def _check_digest(data: bytes, sha256: str) -> None:
    if len(data) > PART_MAX_BYTES or hashlib.sha256(data).hexdigest() != sha256:
        raise _malformed(sha256, "not what the record names")


def _malformed(sha256: str, problem: str) -> IssuanceRecordError:
    return IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=f"part {sha256[:16]}: {problem}")
