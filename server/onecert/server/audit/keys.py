"""The public keys that sign audit heads, left where `onecert audit verify` looks."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from onecert.server.documents import PrivateKey
from onecert.server.folders import make_private_folder, write_file
from onecert.verifier.jws import key_id

__all__ = ["AUDIT_KEYS_FOLDER", "publish_audit_key"]

AUDIT_KEYS_FOLDER = "audit-keys"


def publish_audit_key(folder: Path, key: PrivateKey) -> None:
    """Leave the public key in a service's folder; earlier keys stay for earlier exports."""
    public = key.public_key()
    file = make_private_folder(folder / AUDIT_KEYS_FOLDER) / f"{key_id(public)}.pem"
    if not file.exists():
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_file(file, pem, mode=0o644)
