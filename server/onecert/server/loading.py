"""Loading a member: the garbage collector waits while its modules are imported.

What modules make stays, and there is much of it: to look through it again and again was a fifth of the CPU of
every start.
"""

from __future__ import annotations

import gc
from importlib.metadata import EntryPoint
from typing import Any

__all__ = ["load"]


def load(point: EntryPoint) -> Any:
    """Import what an entry point names.

    Raises:
        ImportError
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        return point.load()
    finally:
        if is_enabled:
            gc.enable()
