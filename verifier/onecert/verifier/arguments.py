"""What a program may pass by mistake, said in one clear line: a ``TypeError`` or a ``ValueError``.

Bytes from outside never end here: whatever they hold, they are judged and end in a ``VerifyError``.
"""

from __future__ import annotations

from datetime import datetime

__all__ = ["as_octets", "check_aware", "check_count", "check_kind", "check_offers"]


def as_octets(data: bytes | bytearray | memoryview, what: str) -> bytes:
    """Bytes, whichever buffer they came in.

    Raises:
        TypeError: it is no buffer; text must be encoded and a file must be read by the caller.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"{what} must be bytes, not {type(data).__name__}")


def check_aware(at: datetime, what: str = "at") -> None:
    """Check that a time names its zone.

    Raises:
        TypeError: it is no ``datetime``.
        ValueError: it has no zone, so that nobody knows which moment is meant.
    """
    if not isinstance(at, datetime):
        raise TypeError(f"{what} must be a datetime, not {type(at).__name__}")
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(f"{what} must be an aware datetime, such as datetime.now(UTC)")


def check_kind(value: object, kind: type, what: str) -> None:
    """Check that an argument is of the class that it must be of.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {kind.__name__}, not {type(value).__name__}")


def check_count(value: int, what: str) -> None:
    """Check that an argument counts something.

    Raises:
        TypeError: it is no integer; True and False count nothing.
        ValueError: it is negative.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} must be a count, 0 or more, not {value!r}")
    if value < 0:
        raise ValueError(f"{what} must not be negative")


def check_offers(value: object, methods: tuple[str, ...], what: str, kind: str) -> None:
    """Check that an argument can be asked what it will be asked.

    Args:
        kind: what belongs there, for the message.

    Raises:
        TypeError: it lacks a method, or is a class and no object.
    """
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise TypeError(f"{what} must be {kind}, not {type(value).__name__}")
