"""Processes of our own that do one kind of work: how one begins, and how it ends with its parent."""

from __future__ import annotations

import gc
import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess

__all__ = ["begin_worker"]


def begin_worker() -> None:
    """Begin as a worker: what ends us is our parent, by its word or by its death.

    For the initializer of a pool with the start method "spawn"; forked threads would take their locks with
    them, and a token's login.
    """
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
