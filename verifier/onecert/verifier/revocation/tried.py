"""What was tried to learn a status, for who reads a refusal or a warning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from onecert.verifier.errors import VerifyError

__all__ = ["tell_tried"]

_TRIED_MAX = 16


class _Named(Protocol):
    @property
    def source_text(self) -> str: ...


def tell_tried(error: VerifyError, kind: str, failures: Iterable[tuple[_Named, VerifyError]]) -> VerifyError:
    """Add the fact ``tried``: lines such as ``crl of CN=Root: CRL_STALE``, in the order of the tries."""
    lines = dict.fromkeys(f"{kind} of {source.source_text}: {failure.code}" for source, failure in failures)
    tried = list(lines)[:_TRIED_MAX] or [f"{kind}: {error.code}"]
    error.facts = {**error.facts, "tried": tuple(tried)}
    return error
