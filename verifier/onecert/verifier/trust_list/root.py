"""The trust root: which keys the four roles have; the one file that comes on paper.

``load_trust_root`` reads the first one, whose fingerprint a person compares with the printed one;
``next_trust_root`` the one after it, which the keys before and its own keys must sign. How a client walks
from one to the next follows The Update Framework, section 5.3. Nobody needs an older root to be current: only
the newest is held against the clock (``check_root_current``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.errors import MalformedError
from onecert.verifier.jws import load_payload
from onecert.verifier.strict_json import Node, format_time
from onecert.verifier.trust_list.errors import (
    TrustListError,
    TrustListRollbackError,
    TrustListUnavailableError,
)
from onecert.verifier.trust_list.roles import CLOCK_SKEW, COUNTER_MAX, Role, RoleKeys, read_keys
from onecert.verifier.trust_list.signed_part import SignedPart, read_validity, sha256_of
from onecert.verifier.trust_list.state import Seen

__all__ = [
    "ROOT_MAX_BYTES",
    "ROOT_TYP",
    "TrustRoot",
    "check_root_current",
    "load_trust_root",
    "next_trust_root",
]

ROOT_TYP = "onecert-trust-root+json"
ROOT_MAX_BYTES = 1024 * 1024
_VALIDITY_MAX = timedelta(days=5 * 366)
_NEEDED = (Role.ROOT, Role.LIST, Role.TIMESTAMP)


@dataclass(frozen=True, kw_only=True)
class TrustRoot:
    """One version of the trust root, whose signatures were checked.

    Args:
        roles: root, list and timestamp, and registry where there is a snapshot of the register.
        sha256: digest of the payload, 64 lower-case hexadecimal digits; what is printed and compared.
    """

    version: int
    issued_at: datetime
    expires_at: datetime
    roles: Mapping[Role, RoleKeys]
    sha256: str

    @property
    def list_keys(self) -> RoleKeys:
        """The officers' keys."""
        return self.roles[Role.LIST]

    @cached_property
    def fingerprint(self) -> str:
        """``sha256`` in groups of four, for reading aloud."""
        return " ".join(self.sha256[place : place + 4] for place in range(0, 64, 4))

    @property
    def seen(self) -> Seen:
        """What a memory keeps of it."""
        return Seen(epoch=1, number=self.version, sha256=self.sha256)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "version": self.version,
            "issued_at": format_time(self.issued_at),
            "expires_at": format_time(self.expires_at),
            "sha256": self.sha256,
            "roles": {
                role.value: {"threshold": keys.threshold, "epoch": keys.epoch, "keys": list(keys.keys)}
                for role, keys in self.roles.items()
            },
        }


def load_trust_root(data: bytes) -> TrustRoot:
    """Read a root that a person has put here: ``trust-root.json``, at most 1 MiB.

    Its own root keys have signed it, which protects against accidents only. What it is worth comes from the
    person who has compared the fingerprint. Its dates are *not* checked: ``check_root_current``.

    Raises:
        TrustListError: TRUST_ROOT_MALFORMED, TRUST_ROOT_SIGNATURE or TRUST_ROOT_KEY_SHARED.
    """
    root = _read(data)
    _check_signed(data, root.roles[Role.ROOT], root)
    return root


def next_trust_root(current: TrustRoot, data: bytes) -> TrustRoot:
    """Read the root that follows ``current``; no version may be left out.

    Args:
        data: the signed document, at most 1 MiB.

    Raises:
        TrustListError: as ``load_trust_root``, and TRUST_ROOT_SKIPPED for a later version than the next,
            TRUST_ROOT_EPOCH for a role whose epoch goes back.
        TrustListRollbackError: TRUST_ROOT_ROLLBACK for an older version, TRUST_ROOT_FORK for another content
            under the same.
    """
    check_kind(current, TrustRoot, "current")
    root = _read(data)
    # Whoever signed it, and the keys of today need not have.
    if root.version < current.version:
        raise TrustListRollbackError("TRUST_ROOT_ROLLBACK", number=root.version, seen=current.version)
    # 1. Enough of the keys before, and enough of its own: who hands over, and who takes over.
    _check_signed(data, current.roles[Role.ROOT], root)
    _check_signed(data, root.roles[Role.ROOT], root)
    # 2. The very next version.
    if root.version == current.version:
        raise TrustListRollbackError("TRUST_ROOT_FORK", number=root.version)
    if root.version > current.version + 1:
        raise TrustListError("TRUST_ROOT_SKIPPED", version=root.version, expected=current.version + 1)
    # 3. Counters begin anew, but never go back to an epoch of before. A role that was given up keeps none.
    for role, keys in root.roles.items():
        before = current.roles.get(role)
        if before is not None and keys.epoch < before.epoch:
            raise TrustListError("TRUST_ROOT_EPOCH", role=role.value, epoch=keys.epoch, seen=before.epoch)
    return root


def check_root_current(root: TrustRoot, at: datetime) -> None:
    """Refuse to work with a root outside its time; asked of the newest one only.

    Raises:
        TrustListUnavailableError: TRUST_ROOT_EXPIRED or TRUST_ROOT_FUTURE.
    """
    check_aware(at)
    if at >= root.expires_at:
        raise TrustListUnavailableError(
            "TRUST_ROOT_EXPIRED", version=root.version, expires_at=root.expires_at
        )
    if at < root.issued_at - CLOCK_SKEW:
        raise TrustListUnavailableError("TRUST_ROOT_FUTURE", version=root.version, issued_at=root.issued_at)


def _read(data: bytes) -> TrustRoot:
    """What it says, before anybody has looked at who signed it."""
    try:
        octets = load_payload(data, max_bytes=ROOT_MAX_BYTES)
    except MalformedError as exc:
        raise _part().malformed(exc.text("en")) from exc
    with _part().reading(octets) as node:
        version = node.integer("version", low=1, high=COUNTER_MAX)
        issued_at, expires_at = read_validity(node, "issued_at", "expires_at", longest=_VALIDITY_MAX)
        roles: dict[Role, RoleKeys] = {}
        with node.node("roles") as inner:
            for role in Role:
                if role in _NEEDED or inner.has(role.value):
                    roles[role] = _read_role(inner.node(role.value), role)
    _check_disjoint(roles)
    return TrustRoot(
        version=version,
        issued_at=issued_at,
        expires_at=expires_at,
        roles=roles,
        sha256=sha256_of(octets),
    )


def _read_role(node: Node, role: Role) -> RoleKeys:
    with node:
        found = read_keys(node)
        # Versions of the root are walked one by one: nobody can drive that counter to its end.
        epoch = 1 if role is Role.ROOT else node.integer("epoch", low=1, high=COUNTER_MAX)
        return RoleKeys(found.threshold, found.keys, epoch)


def _check_disjoint(roles: Mapping[Role, RoleKeys]) -> None:
    owner: dict[str, Role] = {}
    for role, keys in roles.items():
        for kid in keys.keys:
            if owner.setdefault(kid, role) is not role:
                raise TrustListError(
                    "TRUST_ROOT_KEY_SHARED", kid=kid, role=role.value, other=owner[kid].value
                )


def _part(version: int = 0) -> SignedPart:
    return SignedPart(
        typ=ROOT_TYP,
        max_bytes=ROOT_MAX_BYTES,
        malformed=lambda detail: TrustListError("TRUST_ROOT_MALFORMED", detail=detail),
        unsigned=lambda detail: TrustListError("TRUST_ROOT_SIGNATURE", version=version, detail=detail),
    )


def _check_signed(data: bytes, keys: RoleKeys, root: TrustRoot) -> None:
    _part(root.version).check(data, keys)
