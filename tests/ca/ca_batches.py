"""What a registration authority does with batches, for tests."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from onecert.ca.batches.documents import BATCH_TYPE, CANCELLATION_TYPE, RESULTS_TYPE
from onecert.server.documents import sign_document

__all__ = ["Sender", "part"]


class Sender:
    """A registration authority that sends batches to a world's CA."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def signed(self, typ: str, *, key: Any = None, **payload: Any) -> bytes:
        content = {"registration_authority": "ra", "created_at": self.world.clock.now().isoformat()}
        return sign_document(content | payload, typ=typ, keys=[key or self.world.ra_key])

    def head(self, contents: Sequence[bytes], **changes: Any) -> tuple[str, bytes]:
        batch = changes.pop("batch", str(uuid.uuid4()))
        parts = [
            {"lines": each.count(b"\n"), "sha256": hashlib.sha256(each).hexdigest()} for each in contents
        ]
        return batch, self.signed(BATCH_TYPE, **({"batch": batch, "parts": parts} | changes))

    def send(self, *orders: dict[str, Any] | bytes) -> str:
        content = part(*orders)
        batch, head = self.head([content])
        self.world.parts.batches.open(head)
        assert self.world.parts.batches.add_part(batch, 1, content).state == "accepted"
        return batch

    def results(self, batch: str) -> list[dict[str, Any]]:
        """All lines, asked for with signed questions until the end."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            question = self.signed(RESULTS_TYPE, batch=batch, after=after)
            *lines, last = map(json.loads, self.world.parts.batches.results_as_asked(question))
            found += lines
            after = last["after"]
            if not lines:
                return found

    def cancel(self, batch: str) -> Any:
        return self.world.parts.batches.cancel_as_ordered(self.signed(CANCELLATION_TYPE, batch=batch))


def part(*orders: dict[str, Any] | bytes) -> bytes:
    lines = [
        each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode() for each in orders
    ]
    return b"".join(line + b"\n" for line in lines)
