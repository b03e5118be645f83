"""The share of one holder, as a file that only a passphrase opens (scrypt, RFC 7914; AES-256-GCM)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from onecert.ca.errors.activation import ActivationError, ShareError
from onecert.server.languages import _

__all__ = ["PASSPHRASE_MIN", "Share", "open_share", "seal_share", "splitting_of"]

PASSPHRASE_MIN = 12
FILE_MAX = 4096
# 2^16 blocks of 1 KiB: 64 MiB and a fifth of a second for each guess.
SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P = 16, 8, 1
_KEYS = {"format", "token", "split", "holder", "number", "log_n", "salt", "nonce", "sealed"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Share:
    """One holder's part of a PIN. Never shown: it has no text form."""

    token: str
    split: str  # which splitting it belongs to, hex
    holder: str
    number: int
    value: bytes


def seal_share(share: Share, passphrase: str) -> bytes:
    """Write the file of one holder.

    Raises:
        ActivationError: the passphrase has less than 12 characters.
    """
    if len(passphrase) < PASSPHRASE_MIN:
        raise ActivationError(_("A passphrase has %(count)s characters at least."), count=PASSPHRASE_MIN)
    head: dict[str, Any] = {
        "format": 1,
        "token": share.token,
        "split": share.split,
        "holder": share.holder,
        "number": share.number,
        "log_n": SCRYPT_LOG_N,
        "salt": secrets.token_hex(16),
        "nonce": secrets.token_hex(12),
    }
    sealed = _cipher(passphrase, head).encrypt(bytes.fromhex(head["nonce"]), share.value, _bound(head))
    return (json.dumps(head | {"sealed": sealed.hex()}, ensure_ascii=False, indent=1) + "\n").encode()


def splitting_of(content: bytes) -> tuple[str, str] | None:
    """The token and the splitting that a share file says it is of; None: it is no share file."""
    try:
        data = json.loads(content[: FILE_MAX + 1].decode())
        return (str(data["token"]), str(data["split"])) if set(data) == _KEYS else None
    except (ValueError, TypeError, RecursionError):
        return None


def open_share(content: bytes, passphrase: str) -> Share:
    """Open a share file.

    Raises:
        ShareError: not a share file, altered, or another passphrase.
    """
    try:
        data = json.loads(content[: FILE_MAX + 1].decode())
        if not isinstance(data, dict) or set(data) != _KEYS or len(content) > FILE_MAX:
            raise ValueError
        texts = [data[key] for key in ("token", "split", "holder", "salt", "nonce", "sealed")]
        numbers = [data[key] for key in ("format", "number", "log_n")]
        if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
            raise ValueError
        if data["format"] != 1 or not 1 <= data["number"] <= 255 or not 10 <= data["log_n"] <= 20:
            raise ValueError
        salt, nonce, sealed = (bytes.fromhex(data[key]) for key in ("salt", "nonce", "sealed"))
        if len(salt) != 16 or len(nonce) != 12 or len(sealed) > 1024:
            raise ValueError
    except (ValueError, RecursionError) as exc:
        raise ShareError("SHARE_MALFORMED", _("This is not a share file.")) from exc
    head = {key: value for key, value in data.items() if key != "sealed"}
    try:
        value = _cipher(passphrase, head).decrypt(nonce, sealed, _bound(head))
    except InvalidTag as exc:
        raise ShareError(
            "SHARE_PASSPHRASE", _("The passphrase is not that of this share, or the file was altered.")
        ) from exc
    return Share(
        token=data["token"], split=data["split"], holder=data["holder"], number=data["number"], value=value
    )


def _cipher(passphrase: str, head: dict[str, Any]) -> AESGCM:
    salt = bytes.fromhex(head["salt"])
    derived = Scrypt(salt=salt, length=32, n=1 << head["log_n"], r=SCRYPT_R, p=SCRYPT_P)
    return AESGCM(derived.derive(passphrase.encode()))


def _bound(head: dict[str, Any]) -> bytes:
    """What the seal vouches for beside the share."""
    return json.dumps(head, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
