"""Bounds on memory and time of the process in which an uploaded file is read."""

import resource
from typing import Any

from onecert.ra.batches.reading import Table, read_table
from onecert.ra.errors.batches import BatchFileError

__all__ = ["read_bounded"]

MEMORY_OCTETS = 3 * 1024 * 1024 * 1024
SECONDS = 120


def read_bounded(data: bytes) -> Table | tuple[str, str, dict[str, Any]]:
    """Read untrusted octets; beyond the bounds this process ends, and only this one.

    For a process of its own: the bounds stay. A refusal comes back as text, hint and facts.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_OCTETS, MEMORY_OCTETS))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return read_table(data)
    except BatchFileError as refused:
        return str(refused.text), str(refused.hint), dict(refused.facts)
