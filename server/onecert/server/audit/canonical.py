"""One spelling for every entry: what is hashed is exactly what is stored, exported and checked.

Canonical JSON here: keys sorted, no spaces, UTF-8, whole numbers only. A reader that spells an entry again
must get the same bytes, so that a change that JSON would forgive (a space, an escape) is a change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from onecert.server.errors import AuditError

__all__ = ["FIRST_PREVIOUS", "Json", "canonical_json", "entry_hash", "entry_text", "time_text"]

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

# What the first entry names as the hash of the entry before it.
FIRST_PREVIOUS = "0" * 64

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_quote = json.encoder.encode_basestring


def canonical_json(value: object) -> str:
    """Spell a JSON value in the one way that we accept.

    Raises:
        AuditError: it is not JSON, holds a fraction (two programs print one differently), or is not Unicode.
    """
    try:
        text = _encode(_plain(value))
        text.encode()
    except (TypeError, ValueError) as exc:
        raise AuditError("the details are not JSON") from exc
    return text


def time_text(at: datetime) -> str:
    """Spell a moment: 2026-11-21T09:00:00.000000Z."""
    # The zone is cut off; a tenth of the cost of strftime.
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def entry_text(
    *, seq: int, at: str, service: str, event: str, actor: str, subject: str, details: str, previous: str
) -> str:
    """Spell one entry, without its own hash. `details` is already canonical JSON."""
    # By hand, because it is on the way of every act: the keys stand here in sorted order.
    return (
        f'{{"actor":{_quote(actor)},"at":"{at}","details":{details},"event":{_quote(event)},'
        f'"previous":"{previous}","seq":{seq},"service":{_quote(service)},"subject":{_quote(subject)}}}'
    )


def entry_hash(text: str) -> str:
    """Return the SHA-256 of an entry's text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """Return the value made of dicts and lists only, as the encoder wants it."""
    if isinstance(value, str | int) or value is None:  # bool is an int
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise AuditError("a name in the details is not a text")
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        raise AuditError("the details hold a fraction; give a whole number or a text")
    raise AuditError(f"the details hold a {type(value).__name__}; give JSON")
