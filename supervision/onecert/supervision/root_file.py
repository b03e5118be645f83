"""The two files of a root ceremony, and what an offline machine does with them.

A holder's public part (``HOLDER.root-key.json``) is a JWS that the key itself has signed: nobody brings a key
that is not theirs, or another name for it. The ceremony file travels between the holders: the new root with
the signatures so far, and the root before it, so that a machine without network can show what changes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.hsm import PrivateKey
from onecert.server.documents import add_signature, sign_document
from onecert.supervision.root_errors import (
    RootFileError,
    RootKeyUnknownError,
    RootSignedError,
)
from onecert.supervision.root_payload import (
    RootContent,
    build_root,
    payload_sha256,
    public_pem,
    read_root,
)
from onecert.verifier.certificate import decode_pem
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import decode_base64url, key_id, load_json, verify_document
from onecert.verifier.signatures import load_public_key
from onecert.verifier.strict_json import Node, StrictJsonError, format_time
from onecert.verifier.trust_list.roles import Role
from onecert.verifier.trust_list.root import ROOT_MAX_BYTES, ROOT_TYP

__all__ = [
    "Ceremony",
    "RootHolder",
    "holder_document",
    "new_ceremony",
    "read_ceremony",
    "read_holder",
    "sign_ceremony",
]

HOLDER_TYP = "onecert-root-holder+json"
CEREMONY_MAX_BYTES = 6 * ROOT_MAX_BYTES
HOLDER_NAME = re.compile(r"[a-z][a-z0-9.-]{0,23}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RootHolder:
    """A root holder's public key."""

    holder: str
    kid: str
    spki_pem: str


def holder_document(holder: str, key: PrivateKey, *, at: datetime) -> bytes:
    """The public part of a holder's key, signed by that key."""
    pem = public_pem(key.public_key())
    payload = {"holder": holder, "kid": key_id(key.public_key()), "spki_pem": pem, "made_at": format_time(at)}
    return sign_document(payload, typ=HOLDER_TYP, keys=[key])


def read_holder(data: bytes, *, file: str = "") -> RootHolder:
    """Read a holder's public part and check that its own key has signed it.

    Raises:
        RootFileError: it is not one, or was changed.
    """
    try:
        opened = load_json(data, max_bytes=ROOT_MAX_BYTES)
        payload = load_json(decode_base64url(opened["payload"]), max_bytes=ROOT_MAX_BYTES)
        with Node(payload, "") as node:
            holder, kid = node.text("holder", max_length=24), node.text("kid", max_length=64)
            pem = node.text("spki_pem", max_length=16_384)
            node.time("made_at")
        key = load_public_key(decode_pem(pem.encode("utf-8"), "PUBLIC KEY"))
        if key_id(key) != kid or HOLDER_NAME.fullmatch(holder) is None:
            raise StrictJsonError("", "the name or the key's id is wrong")
        verify_document(data, typ=HOLDER_TYP, keys={kid: key}, max_bytes=ROOT_MAX_BYTES)
    except VerifyError as exc:
        raise RootFileError(file, exc.text("en")) from exc
    except (StrictJsonError, TypeError, LookupError) as exc:
        raise RootFileError(file, str(exc)) from exc
    return RootHolder(holder=holder, kid=kid, spki_pem=public_pem(key))


@dataclass(frozen=True, kw_only=True)
class Ceremony:
    """A root on its way between its holders."""

    root: bytes  # the JWS with the signatures so far
    previous: bytes | None
    names: Mapping[str, str]  # id of a key -> who holds it, to show; nothing is decided by it

    @property
    def content(self) -> RootContent:
        """What is signed."""
        return read_root(self.root)

    @property
    def before(self) -> RootContent | None:
        """What it replaces."""
        return None if self.previous is None else read_root(self.previous)

    @property
    def sha256(self) -> str:
        """The fingerprint of the new root."""
        return payload_sha256(self.root)

    @property
    def signers(self) -> tuple[str, ...]:
        """Ids of the keys that stand on it, not checked."""
        entries = json.loads(self.root)["signatures"]
        return tuple(str(json.loads(decode_base64url(each["protected"]))["kid"]) for each in entries)

    def encode(self) -> bytes:
        """The file."""
        value = {
            "format": "onecert-root-ceremony",
            "root": json.loads(self.root),
            "previous": None if self.previous is None else json.loads(self.previous),
            "names": dict(self.names),
        }
        return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def new_ceremony(content: RootContent, *, previous: bytes | None, names: Mapping[str, str]) -> Ceremony:
    """A root that nobody has signed yet."""
    text = json.dumps(build_root(content), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    payload = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    root = json.dumps({"payload": payload, "signatures": []}, separators=(",", ":")).encode()
    return Ceremony(root=root, previous=previous, names=names)


def read_ceremony(data: bytes, *, file: str = "") -> Ceremony:
    """Read a ceremony file, or a root document by itself. Signatures are not checked here.

    Raises:
        RootFileError: it is neither.
    """
    try:
        value = load_json(data, max_bytes=CEREMONY_MAX_BYTES)
        if isinstance(value, dict) and "payload" in value:
            value = {"format": "onecert-root-ceremony", "root": value, "previous": None, "names": {}}
        with Node(value, "") as node:
            node.choice("format", {"onecert-root-ceremony"})
            root, previous, names = node.take("root"), node.take("previous"), node.take("names")
        ceremony = Ceremony(
            root=_compact(root),
            previous=None if previous is None else _compact(previous),
            names=_names(names),
        )
        _ = ceremony.content, ceremony.before, ceremony.signers
    except VerifyError as exc:
        raise RootFileError(file, exc.text("en")) from exc
    except (StrictJsonError, TypeError, LookupError, ValueError) as exc:
        raise RootFileError(file, str(exc)) from exc
    return ceremony


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _names(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise StrictJsonError("names", "must be texts")
    return value


def check_signer(ceremony: Ceremony, kid: str) -> None:
    """Refuse a key that has no say here, or has signed already.

    Raises:
        RootKeyUnknownError, RootSignedError
    """
    before = ceremony.before
    counting = {*ceremony.content.roles[Role.ROOT].keys, *(before.roles[Role.ROOT].keys if before else ())}
    if kid not in counting:
        raise RootKeyUnknownError(kid)
    if kid in ceremony.signers:
        raise RootSignedError(kid)


def sign_ceremony(ceremony: Ceremony, key: PrivateKey) -> Ceremony:
    """Add one holder's signature.

    Raises:
        RootKeyUnknownError: the key stands neither in this root nor in the one before.
        RootSignedError: it has signed already.
    """
    check_signer(ceremony, key_id(key.public_key()))
    return Ceremony(
        root=add_signature(ceremony.root, typ=ROOT_TYP, key=key),
        previous=ceremony.previous,
        names=ceremony.names,
    )
