"""Services in the very spelling in which lists are written, taken apart at once.

``sign_document`` sorts keys and puts no blanks between them, so that nearly every service of a long list is
matched by one pattern. What the pattern takes is JSON by its form; the extensions in its middle are decoded
on their own, and must be a whole value. So a match says what a decoder would have found, and the pattern is
narrower than the rules, never wider. Everything else, also every fault, is left to the reader of nodes.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import NamedTuple

from onecert.verifier.strict_json import StrictJsonError, parse_time
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.model import LocalText, StatusEntry, SupplyPoint

__all__ = ["UsualService", "find_usual"]

_TEXT_MAX_LENGTH = 200
_KINDS = {kind.value.encode(): kind for kind in v.SupplyKind}
# Strings without escapes. Whether they are UTF-8 is seen when they are decoded.
_TEXT = rb'"([^"\\\x00-\x1f]{1,800})"'
_URL = rb'"(https?://[!#-\[\]-~]{1,2000})"'
_POINT = rb'\{"ServiceType":"urn:onecert:supply-point:([a-z-]{1,20})","uriValue":' + _URL + rb"\}"
_POINTS = re.compile(_POINT)
_HEAD = re.compile(
    rb'\{(?:"ServiceHistory":\[\],)?"ServiceInformation":\{"ServiceDigitalIdentity":\{'
    rb'"OtherIds":\["([a-z][a-z0-9-]{0,62})"\],'
    rb'"X509Certificates":\[\{"val":"([A-Za-z0-9+/]{1,99990}={0,2})"\}\]\},'
)
_EXTENSIONS = b'"ServiceInformationExtensions":'
_NAME = b'"ServiceName":'
_TAIL = re.compile(
    _NAME + rb'\[\{"lang":"(en|zh)","value":' + _TEXT + rb'\},\{"lang":"(en|zh)","value":' + _TEXT + rb"\}\],"
    rb'"ServiceStatus":"urn:onecert:service-status:granted",'
    rb'(?:"ServiceSupplyPoints":\[((?:' + _POINT + rb"(?:,(?=\{)|(?=\]))){0,16})\],)?"
    rb'"ServiceTypeIdentifier":"(urn:onecert:service-type:(?:ca|tsa))",'
    rb'"StatusStartingTime":"([0-9TZ:-]{20})"\}\}'
)


class UsualService(NamedTuple):
    """What stands in a service that was granted once and never changed its state."""

    id: str
    service_type: str
    name: LocalText
    certificate_der: bytes
    extensions: bytes
    history: tuple[StatusEntry]
    supply_points: tuple[SupplyPoint, ...]


def find_usual(octets: bytes) -> UsualService | None:
    """Take the octets of one service apart; ``None`` if they are in any other form, also a wrong one.

    Nothing is checked of the extensions, whose octets are given as they are, empty for none.
    """
    head = _HEAD.match(octets)
    if head is None:
        return None
    begin, end = head.end(), octets.rfind(_NAME)
    tail = _TAIL.fullmatch(octets, end) if end >= begin else None
    if tail is None:
        return None
    extensions = b""
    if end > begin:
        if not octets.startswith(_EXTENSIONS, begin) or octets[end - 1 : end] != b",":
            return None
        extensions = octets[begin + len(_EXTENSIONS) : end - 1]
    service_id, certificate = head.groups()
    language, one, other, points, service_type, start = tail.group(1, 2, 4, 5, 8, 9)
    if language == tail[3]:
        return None
    zh, en = (one, other) if language == b"zh" else (other, one)
    try:
        return UsualService(
            service_id.decode(),
            service_type.decode(),
            LocalText(_text(zh), _text(en)),
            binascii.a2b_base64(certificate),
            extensions,
            _granted(start),
            tuple([SupplyPoint(kind=_KINDS[kind], url=url.decode()) for kind, url in _POINTS.findall(points)])
            if points
            else (),
        )
    except (KeyError, ValueError):
        # Also what is no UTF-8, no base64, no time and no kind: StrictJsonError is a ValueError.
        return None


@lru_cache(maxsize=1024)
def _granted(start: bytes) -> tuple[StatusEntry]:
    return (StatusEntry(status=v.Status.GRANTED, start=parse_time(start.decode(), "")),)


def _text(octets: bytes) -> str:
    text = octets.decode()
    if len(text) > _TEXT_MAX_LENGTH or not text.strip():
        raise StrictJsonError("", "too long, or blank")
    return text
