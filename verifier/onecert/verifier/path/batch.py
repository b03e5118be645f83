"""Many certificates at once, over threads: results in the order of the targets, in bounded memory.

Each thread validates whole certificates. While one of them checks a signature, which ``cryptography`` does
without the interpreter's lock, another one does the rest of its work. So two threads are nearly twice as fast
as one where the signature costs about as much as the rest, and more threads than that hardly help.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Event, Lock
from typing import TypeVar

from cryptography import x509

from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import VerifyError

__all__ = ["AnyCertificate", "answer_each", "map_in_order"]

AnyCertificate = x509.Certificate | ParsedCertificate | bytes
Item = TypeVar("Item")
Result = TypeVar("Result")

# Handing over costs some 50 microseconds, as much as a signature: a chunk takes some milliseconds.
_CHUNK = 64
# More chunks than threads, so that nobody waits for the slowest one or for the caller.
_CHUNKS_PER_THREAD = 3
_THREADS_MAX = 4
_ISSUERS_MAX = 4096


def map_in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Result]:
    """``work`` of each item, in order. Items are taken from ``items`` in the caller's thread only.

    Some hundred items are taken ahead of the results. What ``work`` or ``items`` raises ends the iteration.

    Args:
        threads: how many work at a time; ``None`` for one per processor, up to four.
    """
    count = min(_processors(), _THREADS_MAX) if threads is None else threads
    if count < 2:
        yield from map(work, items)
        return
    source = iter(items)
    pending: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="onecert-validate") as pool:
        try:
            while chunk := list(islice(source, _CHUNK)):
                pending.append(pool.submit(_work_on, work, chunk))
                if len(pending) >= count * _CHUNKS_PER_THREAD:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _processors() -> int:
    # The processors that this process may use; where the system does not say, all there are.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work_on(work: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [work(item) for item in chunk]


def answer_each(
    judge: Callable[[ParsedCertificate], Result],
    targets: Iterable[AnyCertificate],
    *,
    threads: int | None = None,
) -> Iterator[Result | VerifyError]:
    """What ``judge`` returns or raises for each target, in order: a bad one does not stop the batch."""
    firsts = _FirstAlone()

    def answer(target: AnyCertificate) -> Result | VerifyError:
        try:
            parsed = as_parsed(target)
            gate = firsts.enter(parsed.issuer_der)
            try:
                return judge(parsed)
            finally:
                if gate is not None:
                    gate.set()
        except VerifyError as exc:
            # Who keeps the answers of a batch should not keep the frames that a traceback holds.
            return exc.with_traceback(None)

    return map_in_order(answer, targets, threads=threads)


class _FirstAlone:
    """Lets the first leaf of each issuer go first, so that its path is searched once and not once a thread.

    Whether a path was found does not matter: the others then go all at once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._gates: dict[bytes, Event] = {}

    def enter(self, issuer_der: bytes) -> Event | None:
        """Wait until the first of this issuer is through; or be it, and get what to ``set`` at the end."""
        gate = self._gates.get(issuer_der)
        if gate is None:
            with self._lock:
                gate = self._gates.get(issuer_der)
                if gate is None:
                    if len(self._gates) >= _ISSUERS_MAX:
                        self._gates.clear()  # whoever waits holds the gate itself
                    gate = self._gates[issuer_der] = Event()
                    return gate
        gate.wait()
        return None
