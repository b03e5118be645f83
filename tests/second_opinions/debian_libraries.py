"""The very library that a command of Debian's packages calls, loaded into this process.

Starting a program for each of thousands of lists and answers takes a hundred times longer than judging them.
Which file it is says the dynamic linker of the command itself, so that no other copy (Python's own, or one
inside a package) can be meant.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["declare", "library_of"]

_LINE = re.compile(r"^\s*(\S+) => (/\S+) ", re.MULTILINE)


@cache
def library_of(command: str, name: str) -> ctypes.CDLL:
    """The library whose file name begins with `name` that a command is linked with.

    Raises:
        RuntimeError: the command is missing, or is not linked with such a library.
    """
    program = shutil.which(command)
    if program is None:
        raise RuntimeError(f"{command} is not installed")
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True, timeout=60).stdout
    for library, path in _LINE.findall(listed):
        if library.startswith(name):
            # The full path: by its bare name another copy that is loaded already could be found.
            return ctypes.CDLL(str(Path(path)))
    raise RuntimeError(f"{command} is not linked with {name}")


def declare(library: ctypes.CDLL, functions: Mapping[str, tuple[Any, Sequence[Any]]]) -> None:
    """Tell ctypes what each function returns and takes."""
    for name, (returned, taken) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = returned, list(taken)
