"""Lists of keys that are known to be weak or in the wrong hands, imported by the security staff.

Two forms, one entry a line, `#` begins a comment:

- the SHA-256 of a SubjectPublicKeyInfo, 64 hex digits, as lists of compromised keys name them;
- `openssl-blacklist`, Debian's lists of its weak keys (CVE-2008-0166): 20 hex digits, the last of the SHA-1
  of "Modulus=", the modulus in upper-case hex, and a line feed.

The CA brings no such list with it: Debian has dropped its packages, and the keys could only be made again
with the faulty library. Whoever has the packages of 2008 imports their files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.asymmetric import rsa

from onecert.ca.errors.keys import KeyListError
from onecert.ca.models import blocked_keys, key_fingerprints
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import Act, insert_once

__all__ = ["DEBIAN", "KeyBlocklist", "debian_fingerprint"]

DEBIAN = "debian"
_SPKI, _MODULUS = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{20}")
_INSERT_KEY, _INSERT_FINGERPRINT = insert_once(blocked_keys), insert_once(key_fingerprints)
AT_ONCE = 5000


def debian_fingerprint(public_key: object) -> str:
    """Name an RSA key as Debian's lists do; empty for other keys."""
    if not isinstance(public_key, rsa.RSAPublicKey):
        return ""
    line = f"Modulus={public_key.public_numbers().n:X}\n"
    return hashlib.sha1(line.encode("ascii"), usedforsecurity=False).hexdigest()[20:]


class KeyBlocklist:
    """Adds to what is blocked; whether a key is, the record asks in the transaction of each intent."""

    def __init__(self, database: Database, audit: AuditTrail, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(self, lines: Iterable[str], *, reason: str, actor: str) -> int:
        """Block the keys of a list; those blocked already stay as they are. Tell how many are new.

        Raises:
            KeyListError: a line of neither form; nothing is imported from there on.
        """
        added = total = 0
        digest = hashlib.sha256()
        for part in _parts(_entries(lines)):
            at = self._clock.now()
            with self._database.transaction() as connection:
                act = Act(connection)
                for entry in part:
                    digest.update(f"{entry}\n".encode())
                    row = {"reason": reason[:128], "added_at": at}
                    if _SPKI.fullmatch(entry):
                        added += _INSERT_KEY.run(act, row | {"key_sha256": entry})
                    else:
                        added += _INSERT_FINGERPRINT.run(act, row | {"kind": DEBIAN, "fingerprint": entry})
            total += len(part)
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="key-blocklist.imported",
                actor=actor,
                subject=reason[:128],
                details={"entries": total, "new": added, "sha256": digest.hexdigest()},
            )
        return added


def _entries(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        entry = line.partition("#")[0].strip().lower()
        if not entry:
            continue
        if not (_SPKI.fullmatch(entry) or _MODULUS.fullmatch(entry)):
            raise KeyListError(number)
        yield entry


def _parts(entries: Iterator[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for entry in entries:
        part.append(entry)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part
