"""Checks an exported audit trail offline, with nothing but the file and the public keys that sign heads.

Found, and named by the number of the entry: an entry that was changed, removed, added or moved; entries cut
off the end; a chain that was written anew from some point on. Not found without an earlier export to compare:
a trail that was cut back to an earlier signed head, together with everything after it. The report therefore
says when the newest head was signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.server.audit.canonical import FIRST_PREVIOUS, canonical_json, entry_hash
from onecert.server.audit.errors import (
    AuditChangedError,
    AuditKeyMissingError,
    AuditMalformedError,
    AuditShortenedError,
    AuditUnsignedError,
)
from onecert.server.audit.export import EXPORT_VERSION
from onecert.server.audit.heads import HEAD_TYPE
from onecert.server.errors import AuditError
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["AuditReport", "SignedHead", "export_service", "verify_export"]

_LINE_MAX_BYTES = 1024 * 1024
_ENTRY_KEYS = {"actor", "at", "details", "event", "hash", "previous", "seq", "service", "subject"}


@dataclass(frozen=True)
class SignedHead:
    """How far the chain had come, as a key outside the database says."""

    seq: int
    hash: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """An export that is whole. Entries after the newest signed head are chained but not yet signed."""

    service: str
    entries: int
    last_hash: str
    head: SignedHead
    heads: int

    @property
    def unsigned_entries(self) -> int:
        """How many entries are newer than the newest signed head."""
        return self.entries - self.head.seq


def export_service(path: Path) -> str:
    """Return the service that an export says it is of; nothing is checked."""
    with path.open("rb") as file:
        return _header(_parse(file.readline(_LINE_MAX_BYTES), 1))


def verify_export(
    path: Path, *, keys: Mapping[str, PublicKey], earlier: SignedHead | None = None
) -> AuditReport:
    """Check a whole export.

    Args:
        keys: ``key_id(key)`` -> key: whose signed heads count.
        earlier: newest head of an earlier export of the same trail; this one must continue it.

    Raises:
        AuditChangedError: names the first entry that is not as it was written.
        AuditShortenedError: entries are missing at the end.
        AuditMalformedError: a line is not of this format.
        AuditUnsignedError, AuditKeyMissingError: it could not be checked.
    """
    if not keys:
        raise AuditKeyMissingError
    state = _State(keys=keys, earlier=earlier)
    ended = False
    for number, line in _lines(path):
        value = _parse(line, number)
        if number == 1:
            state.service = _header(value)
        elif ended:
            raise AuditMalformedError(number)
        elif value.keys() == {"head"}:
            state.check_head(value["head"], number)
        elif value.keys() == {"end"}:
            state.check_end(value["end"], number)
            ended = True
        else:
            state.check_entry(value, number)
    if not ended:
        raise AuditShortenedError(state.seq)
    return state.report()


@dataclass
class _State:
    keys: Mapping[str, PublicKey]
    earlier: SignedHead | None
    service: str = ""
    seq: int = 0
    hash: str = FIRST_PREVIOUS
    head: SignedHead | None = None
    heads: int = field(default=0)

    def check_entry(self, entry: dict[str, Any], number: int) -> None:
        expected = self.seq + 1
        if entry.keys() != _ENTRY_KEYS:
            raise AuditChangedError(expected, number)
        own_hash = entry.pop("hash")
        if (
            entry["seq"] != expected
            or entry["service"] != self.service
            or entry_hash(canonical_json(entry)) != own_hash
        ):
            raise AuditChangedError(expected, number)
        if entry["previous"] != self.hash:
            # This entry is as its own hash says, so it is the one before it that was written anew.
            raise AuditChangedError(max(self.seq, 1), number)
        self.seq, self.hash = expected, own_hash
        earlier = self.earlier
        if earlier is not None and earlier.seq == self.seq and earlier.hash != self.hash:
            raise AuditChangedError(self.seq, number)

    def check_head(self, document: object, number: int) -> None:
        head = self._read_head(document, number)
        if head.seq > self.seq:
            raise AuditShortenedError(self.seq)
        # Heads follow the entry that they cover; whoever wrote the chain anew fails here at the latest.
        if head.seq != self.seq or head.hash != self.hash:
            raise AuditChangedError(self.head.seq + 1 if self.head else 1, number)
        self.head = head
        self.heads += 1

    def check_end(self, end: object, number: int) -> None:
        if not isinstance(end, dict) or end.keys() != {"hash", "seq"} or not isinstance(end["seq"], int):
            raise AuditMalformedError(number)
        if end["seq"] > self.seq:
            raise AuditShortenedError(self.seq)
        if end["seq"] != self.seq or end["hash"] != self.hash:
            raise AuditChangedError(max(self.seq, 1), number)
        if self.earlier is not None and self.earlier.seq > self.seq:
            raise AuditShortenedError(self.seq)

    def report(self) -> AuditReport:
        if self.head is None:
            raise AuditUnsignedError
        return AuditReport(
            service=self.service,
            entries=self.seq,
            last_hash=self.hash,
            head=self.head,
            heads=self.heads,
        )

    def _read_head(self, document: object, number: int) -> SignedHead:
        try:
            payload = verify_document(
                canonical_json(document).encode(),
                typ=HEAD_TYPE,
                keys=self.keys,
                max_bytes=_LINE_MAX_BYTES,
            )
        except VerifyError as exc:
            if exc.code == "DOCUMENT_THRESHOLD":
                raise AuditKeyMissingError from exc
            raise AuditMalformedError(number) from exc
        try:
            if payload["service"] != self.service:
                raise AuditMalformedError(number)
            return SignedHead(
                int(payload["seq"]), str(payload["hash"]), datetime.fromisoformat(payload["at"])
            )
        except (KeyError, ValueError, TypeError) as exc:
            raise AuditMalformedError(number) from exc


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LINE_MAX_BYTES):
            number += 1
            yield number, line


def _parse(line: bytes, number: int) -> dict[str, Any]:
    """Read one line; only the one spelling is accepted, so that any changed byte is a changed line."""
    try:
        text = line.decode("utf-8")
        value = json.loads(text)
        is_canonical = isinstance(value, dict) and canonical_json(value) + "\n" == text
    except (ValueError, RecursionError, AuditError) as exc:
        raise AuditMalformedError(number) from exc
    if not is_canonical:
        raise AuditMalformedError(number)
    return dict(value)


def _header(value: Mapping[str, Any]) -> str:
    if value.keys() != {"audit_export", "service"} or value["audit_export"] != EXPORT_VERSION:
        raise AuditMalformedError(1)
    return str(value["service"])
