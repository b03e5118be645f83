"""Whether a time daemon keeps this machine's clock, as the kernel knows it (ntp_gettime(3))."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["KernelClock", "kernel_clock"]

_TIME_ERROR = 5


@dataclass(frozen=True, kw_only=True)
class KernelClock:
    """What the kernel says about its clock."""

    is_kept: bool
    max_error: timedelta


class _NtpTime(ctypes.Structure):
    """struct ntptimeval."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("max_error_us", ctypes.c_long),
        ("estimated_error_us", ctypes.c_long),
        ("tai", ctypes.c_long),
        ("reserved", ctypes.c_long * 4),
    )


def kernel_clock() -> KernelClock | None:
    """Ask the kernel; None where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        ask = ctypes.CDLL(None).ntp_gettimex
    except (OSError, AttributeError):
        return None
    answer = _NtpTime()
    state = ask(ctypes.byref(answer))
    if state < 0:
        return None
    return KernelClock(is_kept=state != _TIME_ERROR, max_error=timedelta(microseconds=answer.max_error_us))
