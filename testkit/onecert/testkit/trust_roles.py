"""The holders of the four roles: they sign roots, timestamps and lists, right or wrong as a test wants.

What they sign and when is the caller's business; nothing here is checked. Formats:
docs/decisions/0006-trust-roles.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.testkit.documents import payload_octets, sign_document
from onecert.verifier.jws import key_id
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.root import ROOT_TYP
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP

__all__ = ["RoleHolders", "TrustHolders", "make_keys", "public_row"]

HolderKeys = tuple[ec.EllipticCurvePrivateKey, ...]


def make_keys(count: int) -> HolderKeys:
    """New P-256 keys."""
    return tuple(ec.generate_private_key(ec.SECP256R1()) for _ in range(count))


def public_row(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """``{"kid", "spki_pem"}`` of a key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key()
    return {
        "kid": key_id(public),
        "spki_pem": public.public_bytes(serialization.Encoding.PEM, form).decode("ascii"),
    }


@dataclass
class RoleHolders:
    """The keys of one role."""

    keys: HolderKeys
    threshold: int
    epoch: int = 1

    def row(self) -> dict[str, Any]:
        """The entry of the role in a trust root."""
        return {
            "threshold": self.threshold,
            "epoch": self.epoch,
            "keys": [public_row(key) for key in self.keys],
        }


@dataclass
class TrustHolders:
    """One city's holders; change a role and sign the next root."""

    root: RoleHolders = field(default_factory=lambda: RoleHolders(make_keys(2), 2))
    list: RoleHolders = field(default_factory=lambda: RoleHolders(make_keys(2), 2))
    timestamp: RoleHolders = field(default_factory=lambda: RoleHolders(make_keys(1), 1))
    registry: RoleHolders | None = None

    def root_payload(self, version: int, *, at: datetime, lasts: timedelta) -> dict[str, Any]:
        """A root that names the holders of now."""
        roles = {name: getattr(self, name).row() for name in ("root", "list", "timestamp")}
        if self.registry is not None:
            roles["registry"] = self.registry.row()
        del roles["root"]["epoch"]  # root versions are walked one by one; they never begin anew
        return {
            "version": version,
            "issued_at": format_time(at),
            "expires_at": format_time(at + lasts),
            "roles": roles,
        }

    def sign_root(
        self,
        version: int = 1,
        *,
        at: datetime,
        lasts: timedelta = timedelta(days=365),
        before: RoleHolders | None = None,
    ) -> bytes:
        """A signed root.

        Args:
            before: the root holders of the version before, when they are others; they sign too.
        """
        keys = dict.fromkeys([*(before.keys if before else ()), *self.root.keys])
        return sign_document(self.root_payload(version, at=at, lasts=lasts), typ=ROOT_TYP, keys=keys)

    def timestamp_payload(
        self,
        version: int,
        *,
        at: datetime,
        lasts: timedelta,
        root: bytes,
        trust_list: bytes,
        registry: bytes | None = None,
    ) -> dict[str, Any]:
        """A timestamp that names these signed documents."""
        named = {
            "root": _named(root, "version", lambda payload: payload["version"]),
            "list": _named(
                trust_list,
                "sequence",
                lambda payload: payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"],
            ),
        }
        if registry is not None:
            named["registry"] = _named(registry, "number", lambda payload: payload["number"])
        return {
            "version": version,
            "issued_at": format_time(at),
            "expires_at": format_time(at + lasts),
            **named,
        }

    def sign_timestamp(
        self,
        version: int = 1,
        *,
        at: datetime,
        lasts: timedelta = timedelta(days=1),
        root: bytes,
        trust_list: bytes,
        registry: bytes | None = None,
    ) -> bytes:
        """A signed timestamp over these signed documents."""
        payload = self.timestamp_payload(
            version, at=at, lasts=lasts, root=root, trust_list=trust_list, registry=registry
        )
        return sign_document(payload, typ=TIMESTAMP_TYP, keys=self.timestamp.keys)


def _named(document: bytes, counter: str, number: Callable[[Any], int]) -> dict[str, Any]:
    octets = payload_octets(document)
    return {counter: number(json.loads(octets)), "sha256": hashlib.sha256(octets).hexdigest()}
