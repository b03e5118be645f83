"""Names of the lists of one authority: `<authority>`, `<authority>-<n>`, and each with `-delta`.

They are the names of files and the last part of addresses, so no authority may have one of them.
"""

from __future__ import annotations

import re

__all__ = ["PARTITIONS_MAX", "delta_name", "list_name", "looks_like_list"]

# 10,000,000 certificates with a tenth revoked: lists of 1,000 entries.
PARTITIONS_MAX = 1024
_LIST = re.compile(r"[a-z0-9-]+?(-[1-9][0-9]*)?(-delta)?", re.ASCII)


def list_name(authority: str, partition: int = 0) -> str:
    """Name the list of a partition; 0 is the full list."""
    return f"{authority}-{partition}" if partition else authority


def delta_name(name: str) -> str:
    """Name the delta of a list."""
    return f"{name}-delta"


def looks_like_list(name: str, authority: str) -> bool:
    """Tell whether a name is that of a list of this authority."""
    rest = name.removeprefix(authority)
    match = _LIST.fullmatch("x" + rest) if name.startswith(f"{authority}-") else None
    return match is not None and match[0] == "x" + rest and bool(match[1] or match[2])
