"""The four roles that keep the trust list, each with keys of its own (docs/decisions/0006-trust-roles.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from onecert.verifier.certificate import decode_pem
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.jws import algorithms_for
from onecert.verifier.signatures import PublicKey, check_key, key_id, load_public_key
from onecert.verifier.strict_json import Node, StrictJsonError

__all__ = ["CLOCK_SKEW", "COUNTER_MAX", "KEYS_MAX", "Role", "RoleKeys", "read_keys"]

KEYS_MAX = 32
# The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6).
COUNTER_MAX = 2**53 - 1
# A department's clock may be slow by this much before something new looks like something from the future.
CLOCK_SKEW = timedelta(minutes=5)


class Role(StrEnum):
    """Who may sign what."""

    ROOT = "root"
    LIST = "list"
    TIMESTAMP = "timestamp"
    REGISTRY = "registry"


@dataclass(frozen=True)
class RoleKeys:
    """The keys of one role and how many of them must sign.

    Args:
        keys: ``key_id(key)`` -> key.
        epoch: the role's counter began anew so often; what an earlier epoch counted says nothing any more.
    """

    threshold: int
    keys: Mapping[str, PublicKey]
    epoch: int = 1


def read_keys(node: Node) -> RoleKeys:
    """Read ``threshold`` and ``keys``, a list of ``{"kid", "spki_pem"}``; the caller reads ``epoch``.

    Raises:
        StrictJsonError: it is not so, or a key cannot sign documents.
    """
    keys: dict[str, PublicKey] = {}
    for item in node.nodes("keys", low=1, high=KEYS_MAX):
        with item:
            kid = item.text("kid", max_length=64)
            pem = item.text("spki_pem", max_length=16_384)
        try:
            key = load_public_key(decode_pem(pem.encode("utf-8", "replace"), "PUBLIC KEY"))
            check_key(key)
        except (MalformedError, RefusedError) as exc:
            raise StrictJsonError(item.place("spki_pem"), exc.text("en")) from exc
        if not algorithms_for(key):
            raise StrictJsonError(item.place("spki_pem"), "documents are not signed with keys of this kind")
        if key_id(key) != kid:
            raise StrictJsonError(item.place("kid"), "is not the id of this key")
        if kid in keys:
            raise StrictJsonError(item.where, "the key occurs twice")
        keys[kid] = key
    return RoleKeys(node.integer("threshold", low=1, high=len(keys)), keys)
