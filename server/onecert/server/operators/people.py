"""The natural person behind an account, as an HMAC of the identity document number.

The number itself is never stored or logged. The HMAC key is a file of this service that only its owner
reads, so a stolen database cannot be tried against the (few) numbers a person can have.

Leaves out: knowing that a passport and an identity card belong to one person.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import unicodedata
from pathlib import Path

from onecert.server.operators.errors import PersonNumberError
from onecert.verifier.files import make_once
from onecert.verifier.identity.check_digits import check_idcard
from onecert.verifier.identity.errors import InvalidIdError

__all__ = ["People", "normalise_number"]

SECRET_OCTETS = 32
_OTHER_DOCUMENT = re.compile(r"[A-Z][A-Z0-9]{4,23}")


class People:
    """Turns an identity number into the opaque id of a person, the same for the same person."""

    def __init__(self, secret_file: Path) -> None:
        self._secret = _load_or_make_secret(secret_file)

    def person(self, number: str) -> str:
        """The opaque id (64 hex characters) of the person with this number.

        Raises:
            PersonNumberError: the number is not one of a document that we know.
        """
        return hmac.new(self._secret, normalise_number(number).encode(), hashlib.sha256).hexdigest()


def normalise_number(number: str) -> str:
    """One spelling for one document: half-width, upper case, 18 digits. Raises PersonNumberError."""
    with contextlib.suppress(InvalidIdError):
        return check_idcard(number, test_ids=True)
    # Passports, permits for residents of Hong Kong, Macao and Taiwan, permanent residents: a letter comes
    # first. A mistyped identity card has none, so it cannot slip through here and hide that two accounts are
    # one person.
    plain = unicodedata.normalize("NFKC", number).strip().upper()
    if _OTHER_DOCUMENT.fullmatch(plain):
        return plain
    raise PersonNumberError


def _load_or_make_secret(path: Path) -> bytes:
    try:
        return _load_secret(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_once(path, secrets.token_bytes(SECRET_OCTETS))
    return _load_secret(path)


def _load_secret(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} can be read by others; run: chmod 600 {path}")
    secret = path.read_bytes()
    if len(secret) < SECRET_OCTETS:
        raise ValueError(f"{path} is too short for a secret")
    return secret
