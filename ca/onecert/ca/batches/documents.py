"""What a registration authority signs about a batch: its head, the question for results, a cancellation.

A head names the parts of the lines by number of lines and SHA-256, so that one signature covers every line. A
part is JSON lines (UTF-8, each line ends with a line feed); a line says exactly what the payload of a single
order says, and an order is the same order whichever way it comes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from onecert.ca.errors import BatchMalformedError, BatchPartError
from onecert.ca.issuing.orders import OrderDesk, content_sha256

__all__ = [
    "BATCH_TYPE",
    "CANCELLATION_TYPE",
    "LINES_MAX",
    "PART_MAX_BYTES",
    "RESULTS_TYPE",
    "Head",
    "Part",
    "Question",
    "open_head",
    "open_question",
]

BATCH_TYPE = "onecert-batch+json"
RESULTS_TYPE = "onecert-batch-results+json"
CANCELLATION_TYPE = "onecert-batch-cancellation+json"
LINES_MAX = 100_000
PARTS_MAX = 400
PART_MAX_BYTES = 8 * 1024 * 1024
PART_MAX_LINES = 10_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some lines of a batch, as its signed head names them."""

    number: int  # from 1
    first_line: int  # from 1
    lines: int
    sha256: str

    def check(self, batch: str, content: bytes) -> list[bytes]:
        """Return the lines of a part that is exactly the one that was signed for.

        Raises:
            BatchPartError
        """
        lines = content.split(b"\n")
        if (
            len(content) > PART_MAX_BYTES
            or hashlib.sha256(content).hexdigest() != self.sha256
            or lines.pop() != b""
            or len(lines) != self.lines
        ):
            raise BatchPartError(batch, self.number)
        return lines


@dataclass(frozen=True, kw_only=True)
class Head:
    """A batch whose signature, signer and form are checked."""

    id: str
    registration_authority: str
    created_at: datetime
    parts: tuple[Part, ...]
    content_sha256: str
    document: bytes

    @property
    def lines(self) -> int:
        return sum(part.lines for part in self.parts)


def open_head(desk: OrderDesk, document: bytes) -> Head:
    """Check the head of a batch.

    Raises:
        OrderMalformedError, OrderSignatureError, OrderSignerError: as for orders.
        BatchMalformedError: a field is missing or one too many, or there are too many lines.
    """
    payload, signer = desk.open(document, BATCH_TYPE)
    return read_head(payload, signer.name, document)


def read_head(payload: Mapping[str, Any], registration_authority: str, document: bytes) -> Head:
    """Read the payload of a head whose signature was checked, now or before it was recorded."""
    _check_names(payload, {"batch", "registration_authority", "created_at", "parts"})
    parts = payload["parts"]
    if not isinstance(parts, list) or not 0 < len(parts) <= PARTS_MAX:
        raise BatchMalformedError("parts")
    for part in parts:
        if (
            not isinstance(part, dict)
            or part.keys() != {"lines", "sha256"}
            or type(part["lines"]) is not int
            or not 0 < part["lines"] <= PART_MAX_LINES
            or not isinstance(part["sha256"], str)
            or not _HASH.fullmatch(part["sha256"])
        ):
            raise BatchMalformedError("parts")
    starts = accumulate((part["lines"] for part in parts), initial=1)
    head = Head(
        id=_batch_id(payload),
        registration_authority=registration_authority,
        created_at=_moment(payload),
        parts=tuple(
            Part(number=number, first_line=start, lines=part["lines"], sha256=part["sha256"])
            for number, (start, part) in enumerate(zip(starts, parts, strict=False), start=1)
        ),
        content_sha256=content_sha256(payload),
        document=document,
    )
    if head.lines > LINES_MAX:
        raise BatchMalformedError("lines")
    return head


@dataclass(frozen=True, kw_only=True)
class Question:
    """A signed question about a batch, or the wish to cancel it."""

    batch: str
    registration_authority: str
    created_at: datetime
    after: int  # the last line that is known already


def open_question(desk: OrderDesk, document: bytes, typ: str) -> Question:
    """Check a question for results, or a cancellation.

    Raises:
        OrderMalformedError, OrderSignatureError, OrderSignerError, BatchMalformedError
    """
    payload, signer = desk.open(document, typ)
    names = {"batch", "registration_authority", "created_at"}
    after = 0
    if typ == RESULTS_TYPE:
        names |= {"after"}
        after = payload.get("after", 0)
        if type(after) is not int or not 0 <= after <= LINES_MAX:
            raise BatchMalformedError("after")
    _check_names({"after": 0} | payload if typ == RESULTS_TYPE else payload, names)
    return Question(
        batch=_batch_id(payload),
        registration_authority=signer.name,
        created_at=_moment(payload),
        after=after,
    )


def _check_names(payload: Mapping[str, Any], names: set[str]) -> None:
    for name in sorted(payload.keys() ^ names):
        raise BatchMalformedError(name[:64])


def _batch_id(payload: Mapping[str, Any]) -> str:
    value = payload["batch"]
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BatchMalformedError("batch")
    return value


def _moment(payload: Mapping[str, Any]) -> datetime:
    try:
        value = datetime.fromisoformat(payload["created_at"])
    except (ValueError, TypeError) as exc:
        raise BatchMalformedError("created_at") from exc
    if value.tzinfo is None:
        raise BatchMalformedError("created_at")
    return value
