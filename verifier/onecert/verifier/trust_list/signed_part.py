"""What all parts have in common that a role of the trust root signs: who signed, and how they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.jws import load_json, verify_payload
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list.roles import RoleKeys

__all__ = ["SignedPart", "read_sha256", "read_validity", "sha256_of"]

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class SignedPart:
    """One kind of signed document.

    Args:
        typ: what its signatures must be made for.
        malformed, unsigned: make the error of this kind from a detail in English.
    """

    typ: str
    max_bytes: int
    malformed: Callable[[str], VerifyError]
    unsigned: Callable[[str], VerifyError]

    def check(self, data: bytes, keys: RoleKeys) -> bytes:
        """The octets of the payload, which enough keys of the role have signed.

        Raises:
            VerifyError: ``malformed`` or ``unsigned``.
        """
        try:
            return verify_payload(
                data, typ=self.typ, keys=keys.keys, threshold=keys.threshold, max_bytes=self.max_bytes
            )
        except MalformedError as exc:
            raise self.malformed(exc.text("en")) from exc
        except VerifyError as exc:
            raise self.unsigned(exc.text("en")) from exc

    @contextmanager
    def reading(self, octets: bytes) -> Iterator[Node]:
        """The payload as a node; whatever is wrong with it inside the block is ``malformed``."""
        try:
            with Node(load_json(octets, max_bytes=self.max_bytes), "") as node:
                yield node
        except StrictJsonError as exc:
            raise self.malformed(str(exc)[:300]) from exc
        except MalformedError as exc:
            raise self.malformed(exc.text("en")) from exc


def sha256_of(octets: bytes) -> str:
    """How parts are named: the digest of the payload, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(octets).hexdigest()


def read_sha256(node: Node, key: str = "sha256") -> str:
    """The member ``key``, which names octets.

    Raises:
        StrictJsonError: it is no digest.
    """
    value = node.text(key, max_length=64)
    if len(value) != 64 or not _HEX.issuperset(value):
        raise StrictJsonError(node.place(key), "must be 64 lower-case hexadecimal digits")
    return value


def read_validity(node: Node, begin: str, end: str, *, longest: timedelta) -> tuple[datetime, datetime]:
    """Two times, the second later than the first by at most ``longest``.

    Raises:
        StrictJsonError: they are not.
    """
    first, last = node.time(begin), node.time(end)
    if not timedelta(0) < last - first <= longest:
        raise StrictJsonError(end, f"must lie after {begin}, by at most {longest.days} days")
    return first, last
