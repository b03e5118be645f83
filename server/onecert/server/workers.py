"""Processes of our own beside a service: how they begin, do a piece of work, and end with their parent."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

__all__ = ["WorkerPool", "begin_worker"]

T = TypeVar("T")

log = logging.getLogger(__name__)


class WorkerPool:
    """Processes that are started when there is work. Safe to share between threads.

    Args:
        workers: how many; 0: the work is done in this process.
        what: what they do, for the log: "prepares batches".
        initializer: how each begins; ``begin_worker`` at least.
    """

    def __init__(
        self,
        workers: int,
        *,
        what: str,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        self._workers, self._what = workers, what
        self._initializer, self._initargs = initializer or begin_worker, initargs
        self._lock = threading.Lock()
        self.pool: ProcessPoolExecutor | None = None

    def submit(self, work: Callable[..., T], *arguments: Any, instead: Callable[[], T]) -> Callable[[], T]:
        """Begin a piece of work; return what waits for its result.

        Args:
            work, arguments: must travel to another process.
            instead: does the same here: without processes, or when one was ended from outside. The next piece
                gets a new pool.
        """
        if not self._workers:
            return instead
        pool = self._open()
        try:
            future = pool.submit(work, *arguments)
        except BrokenProcessPool:
            self._forget(pool)
            return instead

        def result() -> T:
            try:
                return future.result()
            except BrokenProcessPool:
                self._forget(pool)
                return instead()

        return result

    def close(self, *, wait: bool = True) -> None:
        """End the processes; more work starts others."""
        with self._lock:
            pool, self.pool = self.pool, None
        if pool is not None:
            pool.shutdown(wait=wait, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        with self._lock:
            if self.pool is None:
                # Forked threads would take their locks with them, and a token's login.
                self.pool = ProcessPoolExecutor(
                    self._workers,
                    get_context("spawn"),
                    initializer=self._initializer,
                    initargs=self._initargs,
                )
            return self.pool

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        log.warning("a process that %s ended", self._what)
        with self._lock:
            if self.pool is pool:
                self.pool = None


def begin_worker() -> None:
    """Begin as a worker: what ends us is our parent, by its word or by its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # A piece of work makes some ten thousand objects and no cycles: the collector need not look through what
    # was imported, and seldom through the piece.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)
