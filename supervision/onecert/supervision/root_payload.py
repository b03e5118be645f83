"""What a trust root says: which keys each role has and how many must sign (decision 0006).

Pure: building, reading what nobody has signed yet, comparing. Departments, and `roots.py`, read signed roots
with `onecert.verifier.trust_list.root`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.server.languages import _, format_datetime, gettext
from onecert.verifier.jws import decode_base64url, load_json
from onecert.verifier.signatures import PublicKey
from onecert.verifier.strict_json import Node, format_time
from onecert.verifier.trust_list.roles import COUNTER_MAX, Role, RoleKeys, read_keys
from onecert.verifier.trust_list.root import ROOT_MAX_BYTES

__all__ = [
    "RootChange",
    "RootContent",
    "build_root",
    "find_root_changes",
    "payload_octets",
    "payload_sha256",
    "public_pem",
    "read_root",
    "spoken_fingerprint",
]


@dataclass(frozen=True, kw_only=True)
class RootContent:
    """The payload of a trust root."""

    version: int
    issued_at: datetime
    expires_at: datetime
    roles: Mapping[Role, RoleKeys]


def build_root(content: RootContent) -> dict[str, Any]:
    """The payload as JSON."""
    roles: dict[str, Any] = {}
    for name, role in content.roles.items():
        keys = [{"kid": kid, "spki_pem": public_pem(key)} for kid, key in role.keys.items()]
        roles[name.value] = {"threshold": role.threshold, "keys": keys}
        if name is not Role.ROOT:
            roles[name.value]["epoch"] = role.epoch
    return {
        "version": content.version,
        "issued_at": format_time(content.issued_at),
        "expires_at": format_time(content.expires_at),
        "roles": roles,
    }


def read_root(document: bytes) -> RootContent:
    """Read a root document *without* asking who has signed it.

    Raises:
        MalformedError, StrictJsonError: not a trust root.
    """
    with Node(load_json(payload_octets(document), max_bytes=ROOT_MAX_BYTES), "") as node:
        version = node.integer("version", low=1, high=COUNTER_MAX)
        issued_at, expires_at = node.time("issued_at"), node.time("expires_at")
        roles: dict[Role, RoleKeys] = {}
        with node.node("roles") as inner:
            for role in Role:
                if role is not Role.REGISTRY or inner.has(role.value):
                    with inner.node(role.value) as each:
                        found = read_keys(each)
                        epoch = 1 if role is Role.ROOT else each.integer("epoch", low=1, high=COUNTER_MAX)
                    roles[role] = RoleKeys(found.threshold, found.keys, epoch)
    return RootContent(version=version, issued_at=issued_at, expires_at=expires_at, roles=roles)


def payload_octets(document: bytes) -> bytes:
    """The octets that are signed, of a document that may have no signatures yet.

    Raises:
        MalformedError, StrictJsonError: there are none.
    """
    with Node(load_json(document, max_bytes=2 * ROOT_MAX_BYTES), "") as node:
        node.items("signatures", high=32)
        return decode_base64url(node.text("payload", max_length=2 * ROOT_MAX_BYTES))


def payload_sha256(document: bytes) -> str:
    """The fingerprint that is printed and compared: of the payload, whoever has signed it so far."""
    return hashlib.sha256(payload_octets(document)).hexdigest()


def spoken_fingerprint(sha256: str) -> str:
    """In groups of four, for reading aloud; as verifiers show it."""
    return " ".join(sha256[place : place + 4] for place in range(0, len(sha256), 4))


def public_pem(key: PublicKey) -> str:
    """A public key as PEM, SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


@dataclass(frozen=True)
class RootChange:
    """One difference between two roots; ``text`` is marked, with facts."""

    text: str
    facts: tuple[tuple[str, object], ...] = ()

    def spoken(self) -> str:
        """In the current language."""
        facts = {
            name: format_datetime(value) if isinstance(value, datetime) else gettext(str(value))
            for name, value in self.facts
        }
        return gettext(self.text, **facts)


_ROLE_NAMES = {
    Role.ROOT: _("root holders"),
    Role.LIST: _("list officers"),
    Role.TIMESTAMP: _("timestamp"),
    Role.REGISTRY: _("register of legal entities"),
}
_NONE = RoleKeys(0, {}, 0)


def find_root_changes(
    old: RootContent | None, new: RootContent, names: Mapping[str, str]
) -> list[RootChange]:
    """What the new root changes, role by role.

    Args:
        names: id of a key -> who holds it, as far as that is known.
    """
    changes: list[RootChange] = []
    for role, name in _ROLE_NAMES.items():
        before = old.roles.get(role, _NONE) if old is not None else _NONE
        changes += _role_changes(name, before, new.roles.get(role, _NONE), names)
    changes.append(RootChange(_("counts until %(until)s"), (("until", new.expires_at),)))
    return changes


def _role_changes(role: str, before: RoleKeys, now: RoleKeys, names: Mapping[str, str]) -> list[RootChange]:
    said: list[RootChange] = []

    def say(text: str, **facts: object) -> None:
        said.append(RootChange(text, (("role", role), *facts.items())))

    for kid in (each for each in now.keys if each not in before.keys):
        say(_("%(role)s: new key %(kid)s (%(holder)s)"), kid=kid, holder=names.get(kid, "-"))
    for kid in (each for each in before.keys if each not in now.keys):
        say(_("%(role)s: key %(kid)s (%(holder)s) no longer counts"), kid=kid, holder=names.get(kid, "-"))
    if now.keys and (now.threshold, len(now.keys)) != (before.threshold, len(before.keys)):
        say(_("%(role)s: %(needed)s of %(keys)s must sign"), needed=now.threshold, keys=len(now.keys))
    if now.keys and before.keys and now.epoch != before.epoch:
        say(_("%(role)s: epoch %(epoch)s, counters begin anew"), epoch=now.epoch)
    return said
