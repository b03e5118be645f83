"""The secrets of services in a backup: sealed with AES-256-GCM under a key that scrypt makes of a passphrase.

PINs open the tokens whose store is in the same file, so they are in it only when asked for. RFC 7914 for
scrypt; the parameters, 128 MiB and about half a second, are part of what is sealed.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from onecert.server.backup.errors import BackupPassphraseError
from onecert.server.languages import gettext

__all__ = ["open_secrets", "read_passphrase", "seal_secrets"]

_MAGIC = b"onecert secrets 1\n"
_SALT, _NONCE = 16, 12
_N, _R, _P = 1 << 17, 8, 1
_MIN_CHARACTERS = 12


def read_passphrase(path: Path) -> str:
    """Read the passphrase from the first line of a file that nobody else can read.

    Raises:
        BackupPassphraseError
    """
    try:
        if path.stat().st_mode & 0o077:
            raise BackupPassphraseError(gettext("%(path)s can be read by other users", path=path))
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise BackupPassphraseError(gettext("%(path)s cannot be read", path=path)) from exc
    if not lines or len(lines[0]) < _MIN_CHARACTERS:
        raise BackupPassphraseError(gettext("the passphrase is too short"))
    return lines[0]


def seal_secrets(files: Mapping[str, Path], passphrase: str) -> bytes:
    """Seal files, each under the name that it has in the data folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, path in files.items():
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, packed.getvalue(), _MAGIC + salt)
    return _MAGIC + salt + nonce + sealed


def open_secrets(sealed: bytes, passphrase: str) -> dict[str, bytes]:
    """Return name -> content.

    Raises:
        BackupPassphraseError: it is another passphrase, or another thing altogether.
    """
    begin = len(_MAGIC)
    salt = sealed[begin : begin + _SALT]
    nonce = sealed[begin + _SALT : begin + _SALT + _NONCE]
    try:
        packed = AESGCM(_key(passphrase, salt)).decrypt(
            nonce, sealed[begin + _SALT + _NONCE :], _MAGIC + salt
        )
    except (InvalidTag, ValueError) as exc:
        raise BackupPassphraseError(gettext("the passphrase is another one")) from exc
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is None or PurePosixPath(entry.name).is_absolute() or ".." in entry.name.split("/"):
                raise BackupPassphraseError(json.dumps(entry.name))
            found[entry.name] = file.read()
    return found


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode())
