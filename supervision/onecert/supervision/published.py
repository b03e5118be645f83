"""What the published files say: the record of departments, which no restored backup may contradict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onecert.supervision.root_payload import read_root
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import decode_base64url, load_json
from onecert.verifier.strict_json import StrictJsonError
from onecert.verifier.trust_list.roles import Role

__all__ = [
    "FLOOR_JUMP",
    "LIST_FILE",
    "ROOTS_FOLDER",
    "ROOT_FILE",
    "TIMESTAMP_FILE",
    "Published",
    "published_sequence",
    "read_published",
]

LIST_FILE = "trust-list.json"
ROOT_FILE = "trust-root.json"
ROOTS_FOLDER = "trust-roots"
TIMESTAMP_FILE = "trust-timestamp.json"
_MAX_BYTES = 64 * 1024 * 1024
# A file that is so far ahead of the record was not written by us: somebody drives the counter to its end.
FLOOR_JUMP = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Published:
    """The counters in the files; 0 where there is no file that can be read."""

    root_version: int
    list_epoch: int
    timestamp_epoch: int
    list_sequence: int
    timestamp_version: int


def read_published(folder: Path) -> Published:
    """Read the counters without checking signatures: our own files, and only to compare numbers.

    The epochs are those of ``trust-root.json``, which is written last. Without that file, the list and the
    timestamp count as of the first epoch.
    """
    try:
        root = read_root((folder / ROOT_FILE).read_bytes())
    except (OSError, VerifyError, StrictJsonError):
        root = None
    return Published(
        root_version=root.version if root else 0,
        list_epoch=root.roles[Role.LIST].epoch if root else 1,
        timestamp_epoch=root.roles[Role.TIMESTAMP].epoch if root else 1,
        list_sequence=published_sequence(folder / LIST_FILE),
        timestamp_version=_number(folder / TIMESTAMP_FILE, "version"),
    )


def published_sequence(path: Path) -> int:
    """The number of the list in a file; 0 when there is none that can be read."""
    return _number(path, "LoTE", "ListAndSchemeInformation", "LoTESequenceNumber")


def _number(path: Path, *keys: str) -> int:
    try:
        document = load_json(path.read_bytes(), max_bytes=_MAX_BYTES)
        value: Any = load_json(decode_base64url(document["payload"]), max_bytes=_MAX_BYTES)
        for key in keys:
            value = value[key]
        return int(value)
    except (OSError, VerifyError, LookupError, TypeError, ValueError):
        return 0
