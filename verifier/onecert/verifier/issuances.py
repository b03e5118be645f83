"""When certificates were issued, by the supervision's record instead of the certificates' own word.

A thief of a CA's key writes any notBefore he likes. For a service whose CA must report what it issues (the
list's ``issuance-log``) only the time on record counts; ``issuance_record.py`` describes the record. It may
lie in a folder, as here, or be fetched: ``fetch/issuance_record_url.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from onecert.verifier.issuance_parts import PART_MAX_BYTES, PartsReader, part_file
from onecert.verifier.issuance_record import (
    RECORD_FILE,
    RECORD_MAX_BYTES,
    RECORD_TYP,
    IssuanceRecord,
    IssuanceRecordError,
    load_issuance_record,
)
from onecert.verifier.trust_list.root import TrustRoot

__all__ = [
    "RECORD_FILE",
    "RECORD_MAX_BYTES",
    "RECORD_TYP",
    "IssuanceRecord",
    "IssuanceRecordError",
    "IssuanceRecordFile",
    "Issuances",
    "load_issuance_record",
]


class Issuances(Protocol):
    """Knows when certificates were issued."""

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """The time on record, or ``None`` for a certificate that is not on it.

        Args:
            service_id: of the service on the trust list.
            certificate_sha256: of its DER, 64 lower-case hexadecimal digits.
            at: now.

        Raises:
            CouldNotCheckError: nobody can tell.
        """
        ...


class IssuanceRecordFile:
    """A record in a folder that something else keeps fresh; read again when the head changes.

    An ``Issuances``; safe to share between threads. A record of a lower number than one seen before is not
    taken, for as long as this object lives; an old one lacks certificates and so refuses too many.

    Args:
        path: ``issuance-record.json``; the folder ``issuance-record`` lies beside it.
        root: the trust root in use, or what gives the newest one.
    """

    def __init__(self, path: Path | str, *, root: TrustRoot | Callable[[], TrustRoot]) -> None:
        self._path = Path(path)
        self._root = root
        self._lock = threading.Lock()
        self._reader = PartsReader()
        self._loaded: tuple[tuple[int, int, int, str], IssuanceRecord] | None = None

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """See ``Issuances``.

        Raises:
            IssuanceRecordError: ISSUANCE_RECORD_MISSING, ISSUANCE_RECORD_ROLLBACK,
                ISSUANCE_RECORD_MALFORMED, ISSUANCE_RECORD_SIGNATURE, ISSUANCE_RECORD_EXPIRED,
                ISSUANCE_RECORD_FUTURE, ISSUANCE_RECORD_SERVICE.
        """
        return self._reader.issued_at(self._record(), service_id, certificate_sha256, at=at, get=self._part)

    def _part(self, sha256: str) -> bytes:
        return _read(self._path.parent / part_file(sha256), PART_MAX_BYTES)

    def _record(self) -> IssuanceRecord:
        root = self._root if isinstance(self._root, TrustRoot) else self._root()
        try:
            stat = self._path.stat()
        except OSError as exc:
            raise IssuanceRecordError("ISSUANCE_RECORD_MISSING", detail=exc.strerror or str(exc)) from exc
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino, root.sha256)
        with self._lock:
            if self._loaded is None or self._loaded[0] != stamp:
                record = load_issuance_record(_read(self._path, RECORD_MAX_BYTES), root=root)
                record.check_follows(None if self._loaded is None else self._loaded[1])
                self._loaded = (stamp, record)
            return self._loaded[1]


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as exc:
        detail = f"{path.name}: {exc.strerror or exc}"
        raise IssuanceRecordError("ISSUANCE_RECORD_MISSING", detail=detail) from exc
    if len(data) > max_bytes:
        raise IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=f"{path.name}: too large")
    return data
