"""Times of certificates, lists and answers: the two forms that RFC 5280, section 4.1.2.5, allows."""

from __future__ import annotations

from datetime import UTC, datetime

from onecert.verifier.der import GENERALIZED_TIME, UTC_TIME, DerError, Reader

__all__ = ["read_generalized_time", "read_time"]

_YYMMDDHHMMSS, _YYYYMMDDHHMMSS = 13, 15


def read_time(reader: Reader) -> datetime:
    """A ``Time``: UTCTime or GeneralizedTime, with seconds, without fraction, in UTC."""
    tag, contents = reader.any()
    if tag == UTC_TIME and len(contents) == _YYMMDDHHMMSS:
        century = b"20" if contents < b"50" else b"19"
        return _parse(century + contents)
    if tag == GENERALIZED_TIME:
        return _parse(contents)
    raise DerError("time")


def read_generalized_time(reader: Reader, tag: int = GENERALIZED_TIME) -> datetime:
    """A GeneralizedTime."""
    return _parse(reader.contents(tag))


def _parse(text: bytes) -> datetime:
    if len(text) != _YYYYMMDDHHMMSS or text[-1:] != b"Z" or not text[:-1].isdigit():
        raise DerError("time")
    try:
        return datetime(
            int(text[:4]),
            int(text[4:6]),
            int(text[6:8]),
            int(text[8:10]),
            int(text[10:12]),
            int(text[12:14]),
            tzinfo=UTC,
        )
    except ValueError as exc:
        raise DerError("time") from exc
