"""Rules of RFC 5280, section 5, for any revocation list, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography import x509

from onecert.ca import der
from onecert.ca.linting.certificate import Signed
from onecert.ca.linting.fields import (
    READING_ERRORS,
    name_faults,
    raw_extensions,
    short_oid,
    time_faults,
    weak_digest,
)
from onecert.ca.linting.rules import Finding

__all__ = ["crl_faults"]

_KEY_ID, _NUMBER, _DELTA, _SCOPE, _FRESHEST = "2.5.29.35", "2.5.29.20", "2.5.29.27", "2.5.29.28", "2.5.29.46"
_CRITICAL = {_KEY_ID: False, _NUMBER: False, _DELTA: True, _SCOPE: True, _FRESHEST: False}
_TIMES = {der.UTC_TIME, der.GENERALIZED_TIME}
# After so many entries with one fault the next ones would tell nothing new.
ENTRY_FAULTS_MAX = 20


def crl_faults(content: bytes) -> Iterator[Finding]:
    """Name every rule that a list breaks by itself.

    Raises:
        ValueError: it cannot be read at all.
    """
    signed = Signed.of(content)
    crl = x509.load_der_x509_crl(content)
    reader = der.Reader(der.content_of(signed.content))
    has_version = reader.peek() == der.INTEGER
    if not has_version or reader.element()[1] != b"\x01":
        yield Finding("crl-version")
    if reader.element()[2] != signed.algorithm:
        yield Finding("signed-algorithms-differ")
    yield from weak_digest(short_oid(der.elements(der.content_of(signed.algorithm))[0][2]))
    _tag, names, issuer = reader.element()
    if not names:
        yield Finding("name-empty")
    yield from name_faults(issuer)
    while reader.peek() in _TIMES:
        yield from time_faults(*reader.element()[:2])
    if crl.next_update_utc is None or crl.next_update_utc <= crl.last_update_utc:
        yield Finding("crl-next-update")
    if reader.peek() == der.SEQUENCE and not reader.element()[1]:
        yield Finding("crl-empty-entries")
    listed: dict[str, bool] = {}
    if reader.peek() == 0xA0:
        pairs, faults = raw_extensions(reader.take(0xA0))
        yield from faults
        listed = dict(pairs)
    try:
        found = {each.oid.dotted_string: each.value for each in crl.extensions}
    except READING_ERRORS as exc:
        yield Finding("extension-unreadable", str(exc)[:200])
        return
    yield from _extension_faults(listed, found)
    yield from _entry_faults(crl, is_delta=_DELTA in listed)


def _extension_faults(listed: dict[str, bool], found: dict[str, Any]) -> Iterator[Finding]:
    for oid, critical in listed.items():
        if _CRITICAL.get(oid, critical) != critical:
            yield Finding("extension-not-critical" if critical else "extension-critical", oid)
    for oid in (_KEY_ID, _NUMBER):
        if oid not in listed:
            yield Finding("extension-absent", oid)
    if _NUMBER in found:
        number = found[_NUMBER].crl_number
        if not 0 <= number < 1 << 159:
            yield Finding("crl-number")
        if _DELTA in found and found[_DELTA].crl_number >= number:
            yield Finding("crl-delta-base")
    if _DELTA in listed and _FRESHEST in listed:
        yield Finding("crl-delta-freshest")
    if _SCOPE in found:
        scope: x509.IssuingDistributionPoint = found[_SCOPE]
        limits = (
            scope.only_contains_user_certs,
            scope.only_contains_ca_certs,
            scope.only_contains_attribute_certs,
        )
        says_something = (
            scope.full_name or scope.relative_name or scope.indirect_crl or scope.only_some_reasons
        )
        if sum(limits) > 1 or not (any(limits) or says_something):
            yield Finding("crl-scope")


def _entry_faults(crl: x509.CertificateRevocationList, *, is_delta: bool) -> Iterator[Finding]:
    seen: set[tuple[object, int]] = set()
    issuer: object = None  # of an indirect list: the one named last (5.3.3)
    told = 0
    for entry in crl:
        try:
            extensions = list(entry.extensions)
        except READING_ERRORS as exc:
            faults = [Finding("crl-entry-unreadable", f"{entry.serial_number:x}: {str(exc)[:100]}")]
        else:
            values = [each.value for each in extensions]
            issuer = next(
                (tuple(each) for each in values if isinstance(each, x509.CertificateIssuer)), issuer
            )
            reason = next((each.reason for each in values if isinstance(each, x509.CRLReason)), None)
            faults = _reason_faults(reason, f"{entry.serial_number:x}", is_delta=is_delta)
        if (issuer, entry.serial_number) in seen:
            faults.append(Finding("crl-entry-twice", f"{entry.serial_number:x}"))
        seen.add((issuer, entry.serial_number))
        yield from faults
        told += len(faults)
        if told >= ENTRY_FAULTS_MAX:
            return


def _reason_faults(reason: x509.ReasonFlags | None, serial: str, *, is_delta: bool) -> list[Finding]:
    if reason is x509.ReasonFlags.unspecified:
        return [Finding("crl-entry-unspecified", serial)]
    if reason is x509.ReasonFlags.remove_from_crl and not is_delta:
        return [Finding("crl-entry-removed", serial)]
    return []
