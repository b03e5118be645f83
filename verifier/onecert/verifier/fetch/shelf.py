"""What is at hand: documents in memory, backed by the folder; the lists among them as evidence."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch.documents import (
    Document,
    Kind,
    Place,
    check_may_replace,
    load_document,
    next_update,
    size_of,
)
from onecert.verifier.fetch.fetched_evidence import FetchedEvidence
from onecert.verifier.fetch.folder import CacheFolder
from onecert.verifier.fetch.records import Record, sha256_hex
from onecert.verifier.fetch.rules import FetchRules
from onecert.verifier.limits import Limits
from onecert.verifier.revocation import Crl
from onecert.verifier.signatures import PublicKey

__all__ = ["Copy", "Held", "Shelf"]

# What goes first when there is no more room. Anybody can make us fetch certificates; lists and answers are
# fetched only for certificates below an anchor.
_WORTH = {Kind.CERTIFICATES: 1, Kind.OCSP: 2, Kind.CRL: 3}


@dataclass(frozen=True, slots=True)
class Copy:
    """A document and what is known of it."""

    document: Document
    record: Record

    def is_over_at(self, at: datetime) -> bool:
        """Past its next_update?"""
        end = next_update(self.document)
        return end is not None and at >= end


@dataclass
class Held:
    """One place; ``copy`` is replaced as a whole."""

    place: Place
    copy: Copy | None = None
    keys: Sequence[PublicKey] = ()

    @property
    def worth(self) -> int:
        return 0 if self.copy is None else _WORTH[self.place.kind]

    @property
    def size(self) -> int:
        return 0 if self.copy is None else size_of(self.copy.document)


class Shelf:
    """Safe to share between threads. ``evidence`` holds the lists."""

    def __init__(self, rules: FetchRules, folder: CacheFolder | None, limits: Limits) -> None:
        self.evidence = FetchedEvidence()
        self._rules = rules
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Held] = OrderedDict()  # used longest ago first

    def find(self, place: Place) -> Held:
        """The one of this place, from memory or from the folder; perhaps without a copy."""
        name = place.name
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
                return held
        held = Held(place)
        held.copy = self._load(held)
        with self._lock:
            held = self._held.setdefault(name, held)
        self._show(held)
        return held

    def lists(self) -> list[Held]:
        """All of kind CRL."""
        with self._lock:
            return [held for held in self._held.values() if held.place.kind is Kind.CRL]

    def forget(self, place: Place) -> None:
        """Hold it no longer; what the folder has stays there."""
        with self._lock:
            self._held.pop(place.name, None)
        self.evidence.put(place.name, None)

    def take_over(self, held: Held) -> None:
        """Another process may have fetched it."""
        copy = self._load(held)
        if copy is not None:
            held.copy = copy
            self._show(held)

    def keep(self, held: Held, copy: Copy, data: bytes | None) -> None:
        """A new copy, or the same one confirmed (``data`` is ``None`` then)."""
        held.copy = copy
        self._show(held)
        if self._folder is not None:
            self._folder.store(held.place.name, copy.record, data)

    def _load(self, held: Held) -> Copy | None:
        """What the folder has, if it is newer than what we have and may take its place."""
        if self._folder is None:
            return None
        place, known = held.place, held.copy
        record = self._folder.load_record(place.name)
        if record is None or record.kind != place.kind:
            return None
        if known is not None and record.fetched_at <= known.record.fetched_at:
            return None
        if known is not None and known.record.sha256 == record.sha256:
            return Copy(known.document, record)
        data = self._folder.load_data(place.name, place.kind, place.kind.max_bytes(self._limits))
        if data is None or sha256_hex(data) != record.sha256:
            return None
        try:
            document = load_document(place.kind, data, self._limits)
            before = None if known is None else known.document
            check_may_replace(document, before, keys=held.keys, at=record.fetched_at)
        except VerifyError:
            return None
        return Copy(document, record)

    def _show(self, held: Held) -> None:
        copy = held.copy
        if copy is not None and isinstance(copy.document, Crl):
            self.evidence.put(held.place.name, copy.document)
        self._make_room(held)

    def _make_room(self, keep: Held) -> None:
        dropped: list[Held] = []
        with self._lock:
            count, total = len(self._held), sum(held.size for held in self._held.values())
            if count > self._rules.max_documents or total > self._rules.max_bytes:
                for held in sorted(self._held.values(), key=lambda item: item.worth):
                    if held is keep:
                        continue
                    if count <= self._rules.max_documents and total <= self._rules.max_bytes:
                        break
                    count, total = count - 1, total - held.size
                    del self._held[held.place.name]
                    dropped.append(held)
        for held in dropped:
            self.evidence.put(held.place.name, None)
