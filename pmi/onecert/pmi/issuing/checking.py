"""Checks that what the token has signed was signed with the authority's key, in a process of its own.

A check holds the interpreter as long as a signature takes; in another process it costs a batch nothing but
the octets that go there. Without such a process, or when it was ended from outside, it is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from onecert.server.workers import WorkerPool
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import PublicKey, load_public_key, spki_der, verify_signature

__all__ = ["SignatureChecks"]


class SignatureChecks:
    """Safe to share between threads.

    Args:
        workers: processes; 0: everything is done in this one.
    """

    def __init__(self, workers: int) -> None:
        self._pool = WorkerPool(workers, what="checks signatures")

    def are_good(
        self,
        public_key: PublicKey,
        algorithm_der: bytes,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
    ) -> bool:
        """Tell whether every one of these signatures is right."""
        work = (spki_der(public_key), algorithm_der, list(signatures), list(contents))
        return self._pool.submit(_check, *work, instead=lambda: _check(*work))()

    def close(self) -> None:
        """End the processes."""
        self._pool.close()


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
