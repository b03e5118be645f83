"""A register with few entities, and its signed snapshot in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server.documents import sign_document
from onecert.verifier.identity.check_digits import registration_number_check_digit
from onecert.verifier.identity.registry_snapshot import RegistrySnapshot
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list.roles import RoleKeys
from onecert.verifier.trust_list.state import MemoryState

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
FIRM, OTHER, THIRD = "91440300MA5DEM004J", "91440300MA5DEM0A63", "91440300K00000014K"
REGNO = "44030110309741" + registration_number_check_digit("44030110309741")
KEY = ec.generate_private_key(ec.SECP256R1())
TYP = "onecert-registry-snapshot+json"


def time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def row(uscc: str, name: str = "示例科技有限公司", **fields: Any) -> dict[str, Any]:
    return {"uscc": uscc, "names": [name], "state": "active", **fields}


def keys_of(*keys: ec.EllipticCurvePrivateKey, epoch: int = 1) -> RoleKeys:
    return RoleKeys(len(keys), {key_id(k.public_key()): k.public_key() for k in keys}, epoch)


@dataclass
class Register:
    """Writes ``registry.json`` and ``registry.jsonl``; a test changes one thing."""

    folder: Path
    state: MemoryState = field(default_factory=MemoryState)

    def write(
        self,
        rows: Sequence[Mapping[str, Any]] | None = None,
        *,
        number: int = 1,
        lines: bytes | None = None,
        head: Mapping[str, Any] | None = None,
        key: ec.EllipticCurvePrivateKey = KEY,
        typ: str = TYP,
    ) -> None:
        if lines is None:
            ordered = sorted(rows or [], key=lambda each: str(each["uscc"]))
            lines = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in ordered)
        payload = {
            "number": number,
            "issued_at": time(T - DAY),
            "next_update": time(T + 30 * DAY),
            "file": {
                "name": "registry.jsonl",
                "sha256": hashlib.sha256(lines).hexdigest(),
                "bytes": len(lines),
                "entries": lines.count(b"\n"),
            },
            **(head or {}),
        }
        (self.folder / "registry.jsonl").write_bytes(lines)
        (self.folder / "registry.json").write_bytes(sign_document(payload, typ=typ, keys=[key]))

    def snapshot(self, **settings: Any) -> RegistrySnapshot:
        return RegistrySnapshot(self.folder, **{"keys": keys_of(KEY), "state": self.state, **settings})
