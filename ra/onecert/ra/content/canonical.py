"""One byte string for one value: what hashes and seals of this member are made over."""

import json
from typing import Any

__all__ = ["canonical_json"]


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no blanks, UTF-8 (RFC 8785 for strings and objects)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
