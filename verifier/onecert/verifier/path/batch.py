"""Many certificates at once, over threads: results in the order of the targets, in bounded memory.

Each thread validates whole certificates. While one of them checks a signature, which ``cryptography`` does
without the interpreter's lock, another one does the rest of its work. Handing that lock over costs about as
much as a signature check with RSA-2048 or P-256, so that two threads gain nothing there (`verifier.batch` in
the benchmarks); they gain where a check takes longer, as with P-384. One thread is therefore the default.
"""

from __future__ import annotations

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
_ISSUERS_MAX = 4096


def map_in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int = 1
) -> Iterator[Result]:
    """``work`` of each item, in order. Items are taken from ``items`` in the caller's thread only.

    Some hundred items are taken ahead of the results. What ``work`` or ``items`` raises ends the iteration.

    Args:
        threads: how many work at a time.
    """
    if threads < 2:
        yield from map(work, items)
        return
    source = iter(items)
    pending: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="onecert-validate") as pool:
        try:
            while chunk := list(islice(source, _CHUNK)):
                pending.append(pool.submit(_work_on, work, chunk))
                if len(pending) >= threads * _CHUNKS_PER_THREAD:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _work_on(work: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [work(item) for item in chunk]


def answer_each(
    judge: Callable[[ParsedCertificate], Result],
    targets: Iterable[AnyCertificate],
    *,
    threads: int = 1,
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
