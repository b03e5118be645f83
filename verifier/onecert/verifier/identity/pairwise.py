"""A natural person's id as one application sees it.

The citizen's number is needed by few. By default an application gets an HMAC of it under the department's
own secret key, so two applications cannot join their users, and a leaked table cannot be turned back by
trying all numbers without the key (个人信息保护法, data minimisation).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.files import make_once

KEY_OCTETS = 32


def pairwise_id(canonical: str, *, application: str, key: bytes) -> str:
    """``person:`` and 43 characters, stable for one person, application and key."""
    # The application comes first with its length, so that no two pairs give one message.
    name = application.encode("utf-8")
    message = b"onecert pairwise 1\0" + len(name).to_bytes(4, "big") + name + canonical.encode("utf-8")
    digest = hmac.digest(key, message, "sha256")
    return "person:" + base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def load_pairwise_key(path: Path | str, *, create: bool = False) -> bytes:
    """Read the department's key (32 octets); ``create`` makes it once, readable by its owner only.

    Losing this file changes the ids of all natural persons: keep it with the backups.

    Raises:
        CouldNotCheckError: PAIRWISE_KEY_MISSING when it cannot be read or has another size.
    """
    path = Path(path)
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_once(path, secrets.token_bytes(KEY_OCTETS))
    try:
        key = path.read_bytes()
    except OSError as exc:
        raise CouldNotCheckError("PAIRWISE_KEY_MISSING") from exc
    if len(key) != KEY_OCTETS:
        raise CouldNotCheckError("PAIRWISE_KEY_MISSING")
    return key
