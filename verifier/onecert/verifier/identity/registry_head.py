"""``registry.json``: the signed head of a snapshot of the register of legal entities.

Signed by the role ``registry`` of the trust root. It names ``registry.jsonl`` by digest, size and number of
entries, and is itself named by the trust timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onecert.verifier.arguments import check_aware
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.identity.registry_index import DataFile
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.roles import CLOCK_SKEW, COUNTER_MAX, Role, RoleKeys
from onecert.verifier.trust_list.signed_part import SignedPart, read_sha256, read_validity, sha256_of
from onecert.verifier.trust_list.state import Seen, TrustState

__all__ = [
    "DATA_FILE",
    "HEAD_FILE",
    "HEAD_MAX_BYTES",
    "TYP",
    "SnapshotHead",
    "check_begun",
    "check_not_over",
    "load_head",
    "parse_head",
    "read_head",
]

TYP = "onecert-registry-snapshot+json"
HEAD_FILE = "registry.json"
DATA_FILE = "registry.jsonl"
HEAD_MAX_BYTES = 64 * 1024
DATA_MAX_BYTES = 4 * 1024**3 - 1
ENTRIES_MAX = 20_000_000
MAX_VALIDITY = timedelta(days=190)
_PART = SignedPart(
    typ=TYP,
    max_bytes=HEAD_MAX_BYTES,
    malformed=lambda detail: MalformedError("REGISTRY_MALFORMED", detail=detail),
    unsigned=lambda detail: RefusedError("REGISTRY_SIGNATURE", detail=detail),
)


@dataclass(frozen=True, kw_only=True)
class SnapshotHead:
    """What ``registry.json`` says; ``sha256`` is the digest of its payload, which the timestamp names."""

    epoch: int
    number: int
    issued_at: datetime
    next_update: datetime
    data: DataFile
    sha256: str

    @property
    def seen(self) -> Seen:
        """What a memory keeps of it."""
        return Seen(epoch=self.epoch, number=self.number, sha256=self.sha256)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "issued_at": format_time(self.issued_at),
            "next_update": format_time(self.next_update),
            "entries": self.data.entries,
            "bytes": self.data.size,
            "sha256": self.sha256,
        }


def load_head(data: bytes, *, keys: RoleKeys, at: datetime, state: TrustState | None = None) -> SnapshotHead:
    """Check and read ``registry.json``.

    Args:
        data: the signed document, at most 64 KiB.
        keys: of the role ``registry``.
        state: what was seen before. Without it an old snapshot that is not over is accepted.

    Raises:
        RefusedError: REGISTRY_SIGNATURE, REGISTRY_ROLLBACK, REGISTRY_FORK.
        MalformedError: REGISTRY_MALFORMED.
        CouldNotCheckError: REGISTRY_EXPIRED, REGISTRY_FUTURE, TRUST_LIST_STATE.
    """
    # 1. Enough keys of the role signed these very bytes, and they say what a snapshot must say.
    head = read_head(data, keys)
    # 2. It is current, and not older than what was seen here.
    check_not_over(head, at)
    check_begun(head, at)
    if state is not None:
        state.advance({Role.REGISTRY: head.seen})
    return head


def read_head(data: bytes, keys: RoleKeys) -> SnapshotHead:
    """Check who signed ``registry.json`` and read it; its time is *not* checked.

    Raises:
        RefusedError: REGISTRY_SIGNATURE.
        MalformedError: REGISTRY_MALFORMED.
    """
    return parse_head(_PART.check(data, keys), epoch=keys.epoch)


def check_not_over(head: SnapshotHead, at: datetime) -> None:
    """Refuse a snapshot after its end.

    Raises:
        CouldNotCheckError: REGISTRY_EXPIRED.
    """
    check_aware(at)
    if at >= head.next_update:
        raise CouldNotCheckError("REGISTRY_EXPIRED", number=head.number, next_update=head.next_update)


def check_begun(head: SnapshotHead, at: datetime) -> None:
    """Refuse a snapshot from the future.

    Raises:
        CouldNotCheckError: REGISTRY_FUTURE.
    """
    if at < head.issued_at - CLOCK_SKEW:
        raise CouldNotCheckError("REGISTRY_FUTURE", number=head.number, issued_at=head.issued_at)


def parse_head(payload: bytes, *, epoch: int) -> SnapshotHead:
    """Read what was signed; *no* signature is checked here.

    Raises:
        MalformedError: REGISTRY_MALFORMED.
    """
    with _PART.reading(payload) as node:
        number = node.integer("number", low=1, high=COUNTER_MAX)
        issued_at, next_update = read_validity(node, "issued_at", "next_update", longest=MAX_VALIDITY)
        with node.node("file") as file:
            file.choice("name", {DATA_FILE})
            data = DataFile(
                sha256=read_sha256(file),
                size=file.integer("bytes", low=0, high=DATA_MAX_BYTES),
                entries=file.integer("entries", low=0, high=ENTRIES_MAX),
            )
    return SnapshotHead(
        epoch=epoch,
        number=number,
        issued_at=issued_at,
        next_update=next_update,
        data=data,
        sha256=sha256_of(payload),
    )
