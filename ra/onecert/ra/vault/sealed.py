"""Personal data at rest: sealed under the token, found again through a keyed hash.

    vault.seal_json("application:<id>", {...}) -> bytes        vault.idcard_hmac("4403…") -> hex

The hash key is random, drawn once for a database and kept there sealed, so a stolen database can neither be
read nor tried against the few numbers that a person can have.
"""

import hashlib
import hmac
import json
import secrets as random
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from onecert.ra.content.canonical import canonical_json
from onecert.ra.models import secrets
from onecert.ra.vault.keys import Keys
from onecert.server.database import Database

__all__ = ["Vault"]

_SEARCH_KEY = "idcard-search"


class Vault:
    """Seals and unseals, and knows the key of the search hash."""

    def __init__(self, keys: Keys, database: Database) -> None:
        self._keys = keys
        self._database = database
        self._search_key: bytes | None = None
        self._lock = threading.Lock()

    def seal_json(self, place: str, value: Mapping[str, Any]) -> bytes:
        """Seal a JSON object; `place` names where it is kept, so that it cannot be moved elsewhere."""
        return self._keys.seal(canonical_json(dict(value)), place.encode())

    def unseal_json(self, place: str, sealed: bytes) -> dict[str, Any]:
        """Return what `seal_json` sealed for the same place."""
        value: dict[str, Any] = json.loads(self._keys.unseal(sealed, place.encode()))
        return value

    def seal(self, place: str, value: bytes) -> bytes:
        """Seal octets."""
        return self._keys.seal(value, place.encode())

    def unseal(self, place: str, sealed: bytes) -> bytes:
        """Return what `seal` sealed for the same place."""
        return self._keys.unseal(sealed, place.encode())

    def idcard_hmac(self, number: str) -> str:
        """HMAC-SHA-256 of an id-card number, hex; needs the token once after start.

        Must not be called inside a transaction: the first use may write the key.
        """
        return hmac.new(self._key(), number.encode(), hashlib.sha256).hexdigest()

    def search_hmac(self, text: str) -> str:
        """HMAC-SHA-256 of another sealed value by which a record is found, hex; see `search/terms.py`."""
        return hmac.new(
            self._key(), b"search\0" + text.encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()

    def content_hmac(self, text: str) -> str:
        """HMAC-SHA-256 of what a request said, hex; tells whether another one said the same."""
        return hmac.new(
            self._key(), b"content\0" + text.encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()

    def _key(self) -> bytes:
        with self._lock:
            if self._search_key is None:
                self._search_key = self._load() or self._make()
            return self._search_key

    def _load(self) -> bytes | None:
        with self._database.reading() as connection:
            sealed = connection.scalar(select(secrets.c.sealed).where(secrets.c.name == _SEARCH_KEY))
        return None if sealed is None else self.unseal(_SEARCH_KEY, sealed)

    def _make(self) -> bytes:
        key = random.token_bytes(32)
        sealed = self.seal(_SEARCH_KEY, key)
        try:
            with self._database.transaction() as connection:
                connection.execute(insert(secrets).values(name=_SEARCH_KEY, sealed=sealed))
        except IntegrityError:
            # Another process was first; its key counts.
            found = self._load()
            if found is None:
                raise
            return found
        return key
