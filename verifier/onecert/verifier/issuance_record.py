"""The head of the record of issued certificates: what the supervision signs, and the parts it names.

A record of ten million certificates is too large for one file, and each certificate changes it. So it is a
tree of three levels, and a department fetches a path through it, some 480 KB for the largest CA:

- ``issuance-record.json``, typ ``onecert-issuance-record+json``, signed by the role ``timestamp``:
  ``{"number": 4, "issued_at": "…", "next_update": "…", "services": {"pearl": {"entries": 70000, "digits": 2,
  "index": "<SHA-256>"}}}``;
- the index of a service: one line for each value of the first so many hexadecimal ``digits`` of a
  certificate's SHA-256, in order: the SHA-256 of that shard, or ``-`` where there is no certificate;
- a shard: one line for each certificate, its SHA-256, a space and the time on record, in order.

Index and shards lie in ``issuance-record/`` under the name of their SHA-256, so that they never change and a
reader never sees two versions mixed. A service that is not named has no record here, which is something else
than a certificate that is not on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list.roles import CLOCK_SKEW, COUNTER_MAX, Role
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.signed_part import SignedPart, read_sha256, read_validity

__all__ = [
    "DIGITS_MAX",
    "RECORD_FILE",
    "RECORD_MAX_BYTES",
    "RECORD_TYP",
    "SERVICES_MAX",
    "IssuanceRecord",
    "IssuanceRecordError",
    "NamedIndex",
    "load_issuance_record",
]

RECORD_TYP = "onecert-issuance-record+json"
RECORD_FILE = "issuance-record.json"
RECORD_MAX_BYTES = 512 * 1024
SERVICES_MAX = 500
# 65536 shards, for 268 million certificates of 4096 in each.
DIGITS_MAX = 4
_ENTRIES_MAX = 10**9
_VALIDITY_MAX = timedelta(days=31)
_SERVICE_ID = re.compile(r"[a-z][a-z0-9/-]{0,94}", re.ASCII)


class IssuanceRecordError(CouldNotCheckError):
    """The record cannot be had or relied upon: nobody can tell when a certificate was issued."""


_PART = SignedPart(
    typ=RECORD_TYP,
    max_bytes=RECORD_MAX_BYTES,
    malformed=lambda detail: IssuanceRecordError("ISSUANCE_RECORD_MALFORMED", detail=detail),
    unsigned=lambda detail: IssuanceRecordError("ISSUANCE_RECORD_SIGNATURE", detail=detail),
)


@dataclass(frozen=True, kw_only=True)
class NamedIndex:
    """The index of one service.

    Args:
        entries: how many certificates it has, for who watches it.
        digits: how many hexadecimal digits choose the shard, at most four.
        sha256: of the index.
    """

    entries: int
    digits: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class IssuanceRecord:
    """A head whose signatures were checked. Its dates are checked at each use.

    Args:
        epoch: of the role that signed it; numbers of different epochs do not compare.
    """

    number: int
    epoch: int
    made_at: datetime
    next_update: datetime
    services: Mapping[str, NamedIndex]

    def index_of(self, service_id: str, *, at: datetime) -> NamedIndex:
        """The index of a service, as long as the record may be used.

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
        index = self.services.get(service_id)
        if index is None:
            raise IssuanceRecordError("ISSUANCE_RECORD_SERVICE", number=self.number, service=service_id)
        return index

    def check_follows(self, seen: IssuanceRecord | None) -> None:
        """An old record lacks certificates, and so refuses too many.

        Raises:
            IssuanceRecordError: ISSUANCE_RECORD_ROLLBACK.
        """
        if seen is not None and (self.epoch, self.number) < (seen.epoch, seen.number):
            raise IssuanceRecordError("ISSUANCE_RECORD_ROLLBACK", number=self.number, seen=seen.number)


def load_issuance_record(data: bytes, *, root: TrustRoot) -> IssuanceRecord:
    """Check and read a signed head, at most 512 KiB. Its dates are *not* checked here.

    Raises:
        IssuanceRecordError: ISSUANCE_RECORD_MALFORMED, ISSUANCE_RECORD_SIGNATURE.
    """
    check_kind(root, TrustRoot, "root")
    keys = root.roles[Role.TIMESTAMP]
    with _PART.reading(_PART.check(data, keys)) as node:
        issued_at, next_update = read_validity(node, "issued_at", "next_update", longest=_VALIDITY_MAX)
        return IssuanceRecord(
            number=node.integer("number", low=1, high=COUNTER_MAX),
            epoch=keys.epoch,
            made_at=issued_at,
            next_update=next_update,
            services=_services(node.node("services").raw),
        )


def _services(value: Mapping[str, object]) -> dict[str, NamedIndex]:
    if len(value) > SERVICES_MAX:
        raise StrictJsonError("services", f"more than {SERVICES_MAX}")
    return {service_id: _index(item, service_id) for service_id, item in value.items()}


def _index(value: object, service_id: str) -> NamedIndex:
    where = f"services.{service_id[:95]}"
    if _SERVICE_ID.fullmatch(service_id) is None:
        raise StrictJsonError(where, "not the id of a service")
    with Node(value, where) as node:
        sha256 = read_sha256(node, "index")
        return NamedIndex(
            entries=node.integer("entries", low=0, high=_ENTRIES_MAX),
            digits=node.integer("digits", low=0, high=DIGITS_MAX),
            sha256=sha256,
        )
