"""The city that makes bundles: role holders, the lists of the test kit, a small register."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.testkit.documents import payload_octets, sign_document
from onecert.testkit.identity_fields import FIRM
from onecert.testkit.kit import Kit
from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys
from onecert.verifier import ParsedCertificate, parse_certificate
from onecert.verifier.bundle import OfflineVerifier, open_offline_verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
POLICY = {"version": 1, "max_age": {"login": 7 * 86400, "otherwise": 86400}}
Members = dict[str, bytes]

_KINDS = {
    "trust-timestamp.json": "timestamp",
    "trust-list.json": "trust-list",
    "registry.json": "registry",
    "registry.jsonl": "registry-data",
    "policy.json": "policy",
}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def kind_of(name: str) -> str:
    return _KINDS.get(name) or ("trust-root" if name.startswith("trust-roots/") else "crl")


def write_zip(path: Path, members: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)


@dataclass
class City:
    """Signs everything right; ``bundle`` has a place to change each thing."""

    kit: Kit
    folder: Path
    holders: TrustHolders
    roots: Members
    trust_list: bytes
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def pki(self) -> Path:
        """The department's folder."""
        return self.folder / "pki"

    def leaf(self, name: str) -> ParsedCertificate:
        return parse_certificate(self.kit.certificate_pem(self.kit.case(name)))

    def register(self, number: int = 1) -> Members:
        data = b"".join(json.dumps(row).encode() + b"\n" for row in self.rows)
        head = {
            "number": number,
            "issued_at": stamp(T - DAY),
            "next_update": stamp(T + 60 * DAY),
            "file": {
                "name": "registry.jsonl",
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "entries": len(self.rows),
            },
        }
        assert self.holders.registry is not None
        signed = sign_document(head, typ="onecert-registry-snapshot+json", keys=self.holders.registry.keys)
        return {"registry.json": signed, "registry.jsonl": data}

    def members(
        self,
        made_at: datetime,
        *,
        version: int = 1,
        registry: bool = True,
        policy: Mapping[str, Any] | None = POLICY,
        crls: tuple[str, ...] | None = None,
    ) -> Members:
        found = dict(self.roots)
        register = self.register() if registry else {}
        found["trust-timestamp.json"] = self.holders.sign_timestamp(
            version,
            at=made_at - HOUR,
            root=list(self.roots.values())[-1],
            trust_list=self.trust_list,
            registry=register.get("registry.json"),
        )
        found["trust-list.json"] = self.trust_list
        for path in sorted((self.kit.folder / "site" / "crls").glob("*.crl")):
            if crls is None or path.stem in crls:
                found[f"crls/{path.name}"] = path.read_bytes()
        found |= register
        if policy is not None:
            found["policy.json"] = json.dumps(policy).encode()
        return found

    def manifest(self, members: Members, made_at: datetime, /, **changes: Any) -> dict[str, Any]:
        return {
            "made_at": stamp(made_at),
            "use_until": stamp(made_at + 30 * DAY),
            "members": [
                {
                    "name": name,
                    "kind": kind_of(name),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "bytes": len(data),
                }
                for name, data in members.items()
            ],
            **changes,
        }

    def bundle(
        self,
        path: Path | None = None,
        *,
        made_at: datetime = T,
        change: Callable[[Members], object] | None = None,
        change_after: Callable[[Members], object] | None = None,
        manifest: Mapping[str, Any] | None = None,
        signer: RoleHolders | None = None,
        typ: str = "onecert-bundle+json",
        **settings: Any,
    ) -> Path:
        """A bundle at ``path``, or where the department has it.

        Args:
            change: the members before they are named; ``change_after`` those that go into the file.
        """
        members = self.members(made_at, **settings)
        if change is not None:
            change(members)
        content = self.manifest(members, made_at, **(manifest or {}))
        signed = sign_document(content, typ=typ, keys=(signer or self.holders.timestamp).keys)
        packed = {"bundle.json": signed, **members}
        if change_after is not None:
            change_after(packed)
        path = path or self.pki / "bundle.zip"
        # As a copy arrives: under another name first, so that readers see another file.
        beside = path.with_suffix(".new")
        write_zip(beside, packed)
        beside.replace(path)
        return path

    def verifier(self, **settings: Any) -> OfflineVerifier:
        return open_offline_verifier(self.pki, application="tax", **settings)


def make_city(kit: Kit, folder: Path) -> City:
    holders = TrustHolders(registry=RoleHolders(make_keys(1), 1))
    payload = json.loads(payload_octets((kit.folder / "site" / "trust-list.json").read_bytes()))
    trust_list = sign_document(payload, typ="onecert-trust-list+json", keys=holders.list.keys)
    root = holders.sign_root(at=T - 30 * DAY)
    (folder / "pki").mkdir()
    (folder / "pki" / "trust-root.json").write_bytes(root)
    rows = [{"uscc": FIRM, "names": ["示例科技有限公司"], "state": "active"}]
    return City(kit, folder, holders, {"trust-roots/1.json": root}, trust_list, rows)
