"""OpenSSH: what ``AuthorizedKeysCommand`` and ``AuthorizedPrincipalsCommand`` print, and the key PAM is told.

Sources: sshd(8), AUTHORIZED_KEYS FILE FORMAT; sshd_config(5); RFC 4253, section 6.6; RFC 5656, section 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from onecert.verifier.enforce.accounts import Allowed
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, spki_der

__all__ = ["key_lines", "principal_lines", "proved_key", "read_key"]

_MAX_CHARACTERS = 32_768
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._@+=/-]{0,254}")
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


def key_lines(allowed: Iterable[Allowed], *, options: str = "restrict,pty") -> list[str]:
    """The public keys that open an account now, as lines of an ``authorized_keys`` file.

    Each line ends by itself when what it rests on ends (``expiry-time``), should sshd keep it for longer.
    Keys of kinds that OpenSSH does not have, such as SM2, are left out.
    """
    lines = []
    for each in allowed:
        if each.person is None or each.person.proved is None:
            continue
        key = _as_ssh(each.person.certificate.spki_der)
        if key is not None:
            expires = f'expiry-time="{each.person.proved.until.astimezone(UTC):%Y%m%d%H%M%SZ}"'
            lines.append(f"{','.join(filter(None, (options, expires)))} {key} {_comment(each)}")
    return lines


def principal_lines(allowed: Iterable[Allowed]) -> list[str]:
    """The names that a certificate of the department's own SSH CA must have one of, to open an account now:
    canonical ids. One that cannot stand in such a file is left out."""
    names = [each.person.identity for each in allowed if each.person is not None]
    return sorted({name for name in names if name is not None and _PRINCIPAL.fullmatch(name)})


def proved_key(auth_info: str) -> bytes | None:
    """The key in sshd's ``SSH_AUTH_INFO_0``: its SubjectPublicKeyInfo, DER; ``None`` when no key was used.

    Of several methods, the last one with a key counts. Of an SSH certificate it is the key that it certifies.
    """
    found = None
    for line in auth_info[:_MAX_CHARACTERS].splitlines():
        method, _, key = line.strip().partition(" ")
        if method == "publickey":
            found = read_key(key)
    return found


def read_key(text: str) -> bytes | None:
    """The SubjectPublicKeyInfo (DER) of a key or certificate in OpenSSH's form; ``None`` when it is none."""
    try:
        identity = load_ssh_public_identity(text.encode("ascii"))
        key = identity.public_key() if isinstance(identity, SSHCertificate) else identity
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _as_ssh(der: bytes) -> str | None:
    try:
        key = load_public_key(der)
    except VerifyError:
        return None
    usual = isinstance(key, (rsa.RSAPublicKey, ed25519.Ed25519PublicKey)) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not usual or spki_der(key) != der:
        return None
    assert isinstance(key, (rsa.RSAPublicKey, ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey))  # noqa: S101
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def _comment(allowed: Allowed) -> str:
    assert allowed.person is not None  # noqa: S101  the caller has looked
    # Who it is stays in the log; the file of keys names the certificate only.
    return f"onecert:{allowed.person.certificate.serial:x}"
