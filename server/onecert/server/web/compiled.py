"""Templates are compiled once for each process, not once for each service that shows them.

Every service's pages stand on the same frame, and `onecert up` runs several services in one process.
"""

from __future__ import annotations

from types import CodeType

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

__all__ = ["COMPILED"]


class _CompiledTemplates(BytecodeCache):
    """Code by file and content. Only for environments with the options and filters of `filters.install`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._known[bucket.key, bucket.checksum] = bucket.code


COMPILED = _CompiledTemplates()
