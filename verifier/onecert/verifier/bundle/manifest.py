"""``bundle.json``: what a bundle holds, made when, good until when; signed by the role ``timestamp``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.strict_json import Node, format_time
from onecert.verifier.trust_list.roles import RoleKeys
from onecert.verifier.trust_list.signed_part import SignedPart, read_sha256, read_validity, sha256_of

__all__ = [
    "BUNDLE_TYP",
    "MANIFEST_MAX_BYTES",
    "MANIFEST_NAME",
    "Manifest",
    "MemberEntry",
    "MemberKind",
    "read_manifest",
]

BUNDLE_TYP = "onecert-bundle+json"
MANIFEST_NAME = "bundle.json"
MANIFEST_MAX_BYTES = 1024 * 1024
# A bundle says what was true when it was made. Nobody may promise that for longer.
VALIDITY_MAX = timedelta(days=190)
_PART = SignedPart(
    typ=BUNDLE_TYP,
    max_bytes=MANIFEST_MAX_BYTES,
    malformed=lambda detail: MalformedError("BUNDLE_MALFORMED", detail=detail),
    unsigned=lambda detail: RefusedError("BUNDLE_SIGNATURE", detail=detail),
)


class MemberKind(StrEnum):
    """What a member is."""

    TRUST_ROOT = "trust-root"
    TIMESTAMP = "timestamp"
    TRUST_LIST = "trust-list"
    CRL = "crl"
    REGISTRY = "registry"
    REGISTRY_DATA = "registry-data"
    POLICY = "policy"


@dataclass(frozen=True, kw_only=True)
class MemberEntry:
    """What the manifest says of a member; the dates are for people and are not relied upon."""

    name: str
    kind: MemberKind
    sha256: str
    size: int
    issued_at: datetime | None
    next_update: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as in the manifest."""
        found: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind.value,
            "sha256": self.sha256,
            "bytes": self.size,
        }
        for key, at in (("issued_at", self.issued_at), ("next_update", self.next_update)):
            if at is not None:
                found[key] = format_time(at)
        return found


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``bundle.json`` says; ``sha256`` is the digest of its payload."""

    made_at: datetime
    use_until: datetime
    members: Mapping[str, MemberEntry]
    sha256: str

    def of_kind(self, kind: MemberKind) -> list[MemberEntry]:
        """The members of one kind, in the order of the manifest."""
        return [entry for entry in self.members.values() if entry.kind is kind]


def read_manifest(data: bytes, keys: RoleKeys) -> Manifest:
    """Check who signed ``bundle.json`` and read it; its times are *not* checked.

    Raises:
        RefusedError: BUNDLE_SIGNATURE.
        MalformedError: BUNDLE_MALFORMED.
    """
    payload = _PART.check(data, keys)
    with _PART.reading(payload) as node:
        made_at, use_until = read_validity(node, "made_at", "use_until", longest=VALIDITY_MAX)
        entries = [_entry(item) for item in node.nodes("members", low=1, high=2000)]
    members = {entry.name: entry for entry in entries}
    if len(members) != len(entries) or MANIFEST_NAME in members:
        raise MalformedError("BUNDLE_MALFORMED", detail="a member is named twice, or names the manifest")
    return Manifest(made_at=made_at, use_until=use_until, members=members, sha256=sha256_of(payload))


def _entry(node: Node) -> MemberEntry:
    with node:
        sha256 = read_sha256(node)
        return MemberEntry(
            name=node.text("name", max_length=260),
            kind=MemberKind(node.choice("kind", [kind.value for kind in MemberKind])),
            sha256=sha256,
            size=node.integer("bytes", low=0, high=4 * 1024**3 - 1),
            issued_at=node.time("issued_at", default=None),
            next_update=node.time("next_update", default=None),
        )
