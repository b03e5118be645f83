"""What a TimeStampToken says; nothing of it is believed here. RFC 3161, section 2.4.2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from onecert.verifier.arguments import as_octets
from onecert.verifier.der import GENERALIZED_TIME, OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.general_names import parse_general_name
from onecert.verifier.signed_form.cms import SignedData, load_signed_data
from onecert.verifier.signed_form.digests import read_digest_algorithm
from onecert.verifier.times import read_generalized_time

__all__ = ["TOKEN_MAX_BYTES", "TimestampToken", "load_timestamp"]

TOKEN_MAX_BYTES = 256 * 1024
_TST_INFO = "1.2.840.113549.1.9.16.1.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampToken:
    """What a token says; nothing of it has been verified.

    ``accuracy`` is zero when the authority states none. ``extensions`` are the OIDs of critical ones.
    """

    message: SignedData
    policy: str
    hash_algorithm: str
    imprint: bytes
    serial: int
    time: datetime
    accuracy: timedelta
    ordering: bool
    nonce: int | None
    critical_extensions: frozenset[str]


def load_timestamp(data: bytes) -> TimestampToken:
    """Load a TimeStampToken, DER, BER or PEM, at most 256 KiB. Nothing is verified here.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_PEM``, ``CMS_MALFORMED``, ``TIMESTAMP_MALFORMED``.
        RefusedError: ``TIMESTAMP_TYPE`` when it is another kind of message.
    """
    data = as_octets(data, "a timestamp")
    if len(data) > TOKEN_MAX_BYTES:
        raise MalformedError("TOO_LARGE", kind="timestamp", max=TOKEN_MAX_BYTES)
    message = load_signed_data(data)
    if message.content_type != _TST_INFO or message.content is None:
        raise RefusedError("TIMESTAMP_TYPE", source="RFC 3161, section 2.4.2", found=message.content_type)
    if len(message.signers) != 1:
        _malformed("it has several signers")
    try:
        return _token(message, message.content)
    except DerError as exc:
        raise MalformedError(
            "TIMESTAMP_MALFORMED", source="RFC 3161, section 2.4.2", detail=str(exc)
        ) from exc


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("TIMESTAMP_MALFORMED", source="RFC 3161, section 2.4.2", detail=detail)


def _token(message: SignedData, info_der: bytes) -> TimestampToken:
    outer = Reader(info_der)
    info = outer.enter(SEQUENCE)
    outer.done()
    if info.integer() != 1:
        _malformed("version")
    policy = info.oid()
    imprint = info.enter(SEQUENCE)
    hash_algorithm = read_digest_algorithm(imprint)
    hashed = imprint.contents(OCTET_STRING)
    imprint.done()
    serial = info.integer()
    time = _time(info)
    accuracy = _accuracy(info.enter(SEQUENCE)) if info.peek() == SEQUENCE else timedelta(0)
    ordering = info.default_false()
    nonce = info.integer() if info.peek() == 0x02 else None
    if info.peek() == 0xA0:
        name = info.enter(0xA0)
        parse_general_name(name)
        name.done()
    critical: set[str] = set()
    if info.peek() == 0xA1:
        extensions = info.enter(0xA1)
        while extensions:
            extension = extensions.enter(SEQUENCE)
            oid = extension.oid()
            if extension.default_false():
                critical.add(oid)
            extension.contents(OCTET_STRING)
            extension.done()
    info.done()
    return TimestampToken(
        message=message,
        policy=policy,
        hash_algorithm=hash_algorithm,
        imprint=hashed,
        serial=serial,
        time=time,
        accuracy=accuracy,
        ordering=ordering,
        nonce=nonce,
        critical_extensions=frozenset(critical),
    )


def _time(reader: Reader) -> datetime:
    """A GeneralizedTime that may have a fraction (RFC 3161: no trailing zeros, so that there is one form)."""
    contents = reader.contents(GENERALIZED_TIME)
    whole, point, fraction = contents[:-1].partition(b".")
    if contents[-1:] != b"Z" or (point and (not fraction.isdigit() or fraction.endswith(b"0"))):
        raise DerError("time")
    if len(fraction) > 9:
        raise DerError("time")
    whole_der = bytes((GENERALIZED_TIME, len(whole) + 1)) + whole + b"Z"
    microseconds = int(fraction.ljust(9, b"0")) // 1000 if fraction else 0
    return read_generalized_time(Reader(whole_der)) + timedelta(microseconds=microseconds)


def _accuracy(reader: Reader) -> timedelta:
    seconds = reader.integer() if reader.peek() == 0x02 else 0
    millis = reader.integer(0x80) if reader.peek() == 0x80 else 0
    micros = reader.integer(0x81) if reader.peek() == 0x81 else 0
    reader.done()
    if not 0 <= seconds <= 1 << 31 or not 0 <= millis <= 999 or not 0 <= micros <= 999:
        raise DerError("accuracy")
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)
