"""Checks that what the token has signed was signed with the authority's key, in a process of its own.

A check holds the interpreter as long as a signature takes; in another process it costs a batch nothing but
the octets that go there. Without such a process, or when it was ended from outside, it is done here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context

from onecert.server.workers import begin_worker
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import PublicKey, load_public_key, spki_der, verify_signature

__all__ = ["SignatureChecks"]

log = logging.getLogger(__name__)


class SignatureChecks:
    """Safe to share between threads.

    Args:
        workers: processes; 0: everything is done in this one.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def are_good(
        self,
        public_key: PublicKey,
        algorithm_der: bytes,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
    ) -> bool:
        """Tell whether every one of these signatures is right."""
        work = (spki_der(public_key), algorithm_der, list(signatures), list(contents))
        if not self._workers:
            return _check(*work)
        pool = self._open()
        try:
            return pool.submit(_check, *work).result()
        except BrokenProcessPool:
            log.warning("a process that checks signatures ended")
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            return _check(*work)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._workers, get_context("spawn"), initializer=begin_worker
                )
            return self._pool


def _check(spki: bytes, algorithm_der: bytes, signatures: Sequence[bytes], contents: Sequence[bytes]) -> bool:
    public_key = _load(spki)
    try:
        for signature, content in zip(signatures, contents, strict=True):
            verify_signature(public_key, algorithm_der, signature, content)
    except VerifyError:
        return False
    return True


@lru_cache(maxsize=64)
def _load(spki: bytes) -> PublicKey:
    return load_public_key(spki)
