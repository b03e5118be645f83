"""When certificates were issued, by the supervision's record instead of the certificates' own word.

A thief of a CA's key writes any notBefore he likes. For a service whose CA must report what it issues (the
list's ``issuance-log``) only the time on record counts. The record is a document of type
``onecert-issuance-record+json``, signed by the keys of the role ``timestamp``:

    {"number": 4, "issued_at": "…", "next_update": "…",
     "services": {"pearl": {"<SHA-256 of the certificate, 64 hexadecimal digits>": "2026-11-21T09:00:00Z"}}}

Number and dates are those of the record. A service that is not named has no record here, which is something
else than a certificate that is not on it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.jws import load_json, verify_payload
from onecert.verifier.strict_json import Node, StrictJsonError, parse_time
from onecert.verifier.trust_list.roles import CLOCK_SKEW, COUNTER_MAX, Role
from onecert.verifier.trust_list.root import TrustRoot

__all__ = [
    "RECORD_MAX_BYTES",
    "RECORD_TYP",
    "IssuanceRecord",
    "IssuanceRecordError",
    "IssuanceRecordFile",
    "Issuances",
    "load_issuance_record",
]

RECORD_TYP = "onecert-issuance-record+json"
RECORD_MAX_BYTES = 64 * 1024 * 1024
_VALIDITY_MAX = timedelta(days=31)
_SERVICES_MAX = 500
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SERVICE_ID = re.compile(r"[a-z][a-z0-9/-]{0,94}", re.ASCII)


class IssuanceRecordError(CouldNotCheckError):
    """The record cannot be had or relied upon: nobody can tell when a certificate was issued."""


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


@dataclass(frozen=True, kw_only=True)
class IssuanceRecord:
    """A record whose signatures were checked. An ``Issuances``; its dates are checked at each use."""

    number: int
    made_at: datetime
    next_update: datetime
    services: Mapping[str, Mapping[str, datetime]]

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """See ``Issuances``.

        Raises:
            IssuanceRecordError: ISSUANCE_RECORD_EXPIRED, ISSUANCE_RECORD_FUTURE, ISSUANCE_RECORD_SERVICE.
        """
        check_aware(at)
        if at >= self.next_update:
            raise IssuanceRecordError(
                "ISSUANCE_RECORD_EXPIRED", number=self.number, next_update=self.next_update
            )
        if at < self.made_at - CLOCK_SKEW:
            raise IssuanceRecordError("ISSUANCE_RECORD_FUTURE", number=self.number, issued_at=self.made_at)
        known = self.services.get(service_id)
        if known is None:
            raise IssuanceRecordError("ISSUANCE_RECORD_SERVICE", number=self.number, service=service_id)
        return known.get(certificate_sha256)


def load_issuance_record(data: bytes, *, root: TrustRoot) -> IssuanceRecord:
    """Check and read a signed record, at most 64 MiB. Its dates are *not* checked here.

    Raises:
        IssuanceRecordError: ISSUANCE_RECORD_MALFORMED, ISSUANCE_RECORD_SIGNATURE.
    """
    check_kind(root, TrustRoot, "root")
    keys = root.roles[Role.TIMESTAMP]
    try:
        octets = verify_payload(
            data, typ=RECORD_TYP, keys=keys.keys, threshold=keys.threshold, max_bytes=RECORD_MAX_BYTES
        )
    except MalformedError as exc:
        raise IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=exc.text("en")) from exc
    except VerifyError as exc:
        raise IssuanceRecordError("ISSUANCE_RECORD_SIGNATURE", detail=exc.text("en")) from exc
    try:
        with Node(load_json(octets, max_bytes=RECORD_MAX_BYTES), "") as node:
            issued_at, next_update = node.time("issued_at"), node.time("next_update")
            if not timedelta(0) < next_update - issued_at <= _VALIDITY_MAX:
                raise StrictJsonError("next_update", "must lie after issued_at, by at most 31 days")
            return IssuanceRecord(
                number=node.integer("number", low=1, high=COUNTER_MAX),
                made_at=issued_at,
                next_update=next_update,
                services=_services(node.node("services").raw),
            )
    except StrictJsonError as exc:
        raise IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=str(exc)[:300]) from exc
    except MalformedError as exc:
        raise IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=exc.text("en")) from exc


def _services(value: Mapping[str, object]) -> dict[str, dict[str, datetime]]:
    if len(value) > _SERVICES_MAX:
        raise StrictJsonError("services", f"more than {_SERVICES_MAX}")
    return {service_id: _rows(rows, service_id) for service_id, rows in value.items()}


def _rows(value: object, service_id: str) -> dict[str, datetime]:
    where = f"services.{service_id[:95]}"
    if _SERVICE_ID.fullmatch(service_id) is None:
        raise StrictJsonError(where, "not the id of a service")
    found: dict[str, datetime] = {}
    for sha256, issued in Node(value, where).raw.items():
        if _SHA256.fullmatch(sha256) is None:
            raise StrictJsonError(where, "not a SHA-256 in lower-case hexadecimal digits")
        if not isinstance(issued, str):
            raise StrictJsonError(where, "a time must be text")
        found[sha256] = parse_time(issued, where)
    return found


class IssuanceRecordFile:
    """A record in a file that something else keeps fresh; read again when the file changes.

    An ``Issuances``; safe to share between threads. A record of a lower number than one seen before is not
    taken, for as long as this object lives; an old one lacks certificates and so refuses too many.

    Args:
        path: ``issuance-record.json``.
        root: the trust root in use, or what gives the newest one.
    """

    def __init__(self, path: Path | str, *, root: TrustRoot | Callable[[], TrustRoot]) -> None:
        self._path = Path(path)
        self._root = root
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[int, int, int, str], IssuanceRecord] | None = None

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """See ``Issuances``.

        Raises:
            IssuanceRecordError: ISSUANCE_RECORD_MISSING, ISSUANCE_RECORD_ROLLBACK, and those of
                ``load_issuance_record`` and ``IssuanceRecord.issued_at``.
        """
        return self._record().issued_at(service_id, certificate_sha256, at=at)

    def _record(self) -> IssuanceRecord:
        root = self._root if isinstance(self._root, TrustRoot) else self._root()
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino, root.sha256)
            with self._lock:
                if self._loaded is None or self._loaded[0] != stamp:
                    if stat.st_size > RECORD_MAX_BYTES:
                        raise IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail="too large")
                    self._loaded = (stamp, self._read(root))
                return self._loaded[1]
        except OSError as exc:
            raise IssuanceRecordError("ISSUANCE_RECORD_MISSING", detail=exc.strerror or str(exc)) from exc

    def _read(self, root: TrustRoot) -> IssuanceRecord:
        record = load_issuance_record(self._path.read_bytes(), root=root)
        if self._loaded is not None and record.number < self._loaded[1].number:
            raise IssuanceRecordError(
                "ISSUANCE_RECORD_ROLLBACK", number=record.number, seen=self._loaded[1].number
            )
        return record
