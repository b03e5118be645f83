"""Previews of a draft's effect: worked out beside the requests, kept as long as draft and collection stay.

10,000 certificates take some ten seconds of one processor, so a page asks, waits a moment, and says how far
it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from onecert.supervision import known, records
from onecert.supervision.draft import Draft
from onecert.supervision.editor import Editor
from onecert.supervision.effect import Effect, PointedLists, find_effect, samples_of
from onecert.supervision.errors import NoDraftError
from onecert.supervision.known import Known

__all__ = ["EffectDesk", "Preview"]

_KEPT = 4
_PATIENCE_S = 2.0


@dataclass
class Preview:
    """One effect, ready or on its way."""

    total: int = 0
    done: int = 0
    effect: Effect | None = None
    failed: Exception | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: int) -> None:
        """So many are done."""
        self.done = done


class EffectDesk:
    """Finds effects, one at a time; safe for all threads of a service."""

    def __init__(self, editor: Editor, pointed: PointedLists | None = None) -> None:
        self._editor = editor
        self._pointed = pointed
        self._kept: OrderedDict[tuple[object, ...], Preview] = OrderedDict()
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def ask(self, at: datetime, *, patience_s: float = _PATIENCE_S) -> Preview:
        """The effect of the open draft at this moment; waits a little for it.

        Raises:
            NoDraftError: there is nothing to preview. DraftRefusedError: the draft makes no list.
        """
        with self._editor.database.reading() as connection:
            record = records.find_open_draft(connection)
            if record is None:
                raise NoDraftError
            published = records.find_publication(connection)
            key = (published and published.sequence, record.stamp, known.known_version(connection), at)
            with self._lock:
                preview = self._kept.get(key)
                if preview is not None:
                    self._kept.move_to_end(key)
            certificates = known.known_list(connection) if preview is None else []
        if preview is None:
            old = published.draft if published else None
            preview = self._start(key, old, record.draft, certificates, at)
        preview.ready.wait(patience_s)
        if preview.failed is not None:
            raise preview.failed
        return preview

    def _start(
        self,
        key: tuple[object, ...],
        old: Draft | None,
        new: Draft,
        certificates: list[Known],
        at: datetime,
    ) -> Preview:
        everything = [*samples_of(old, new), *certificates]
        with self._lock:
            other = self._kept.get(key)
            if other is not None:  # another request was faster
                return other
            preview = self._kept[key] = Preview(total=len(everything))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

        def work() -> None:
            try:
                with self._one_at_a_time:
                    preview.effect = find_effect(
                        old, new, everything, at=at, pointed=self._pointed, progress=preview.tell
                    )
            except Exception as exc:
                # Whoever asks is told; the next one who asks tries again.
                preview.failed = exc
                with self._lock:
                    self._kept.pop(key, None)
            finally:
                preview.ready.set()

        threading.Thread(target=work, name="trust-list-effect", daemon=True).start()
        return preview
