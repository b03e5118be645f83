"""Revocation lists: entries and lists written as DER, and the lint that reads a list back.

RFC 5280, section 5. All reasons, no indirect entries. The full list of an authority has no issuing
distribution point; the list of a partition has one, critical, with the name that its certificates carry; a
delta has the one of its base. An entry is encoded once, when the certificate is revoked; a list is the
entries one after the other, a head and a signature, whatever its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from onecert.ca import der
from onecert.ca.certificates.draft import Issuer
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.errors import LintError

# RFC 5280, section 5.3.1. Value 7 is not used. removeFromCRL is only for delta lists; in an order it
# releases.
REASONS: Mapping[str, int] = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}
HOLD = "certificateHold"
RELEASE = "removeFromCRL"
REMOVED = 8

AUTHORITY_KEY_ID, NUMBER, DELTA_INDICATOR = "2.5.29.35", "2.5.29.20", "2.5.29.27"
DISTRIBUTION_POINT, FRESHEST = "2.5.29.28", "2.5.29.46"


def entry_der(serial: int, revoked_at: datetime, reason: str, invalidity_date: datetime | None) -> bytes:
    """Write one entry. The reason “unspecified” is left out, as section 5.3.1 asks."""
    extensions = []
    if REASONS[reason]:
        extensions.append(der.extension("2.5.29.21", der.tlv(der.ENUMERATED, bytes((REASONS[reason],)))))
    if invalidity_date is not None:
        extensions.append(der.extension("2.5.29.24", der.generalized_time(invalidity_date)))
    return der.sequence(
        der.integer(serial), der.time(revoked_at), der.sequence(*extensions) if extensions else b""
    )


def removal_der(serial: int, at: datetime) -> bytes:
    """Write the entry of a delta that takes a certificate off the list: released, or expired (5.3.1)."""
    reason = der.extension("2.5.29.21", der.tlv(der.ENUMERATED, bytes((REMOVED,))))
    return der.sequence(der.integer(serial), der.time(at), der.sequence(reason))


# The last list of an authority whose key is destroyed: no other follows. RFC 5280, section 4.1.2.5, has this
# value for what has no well-defined end; ETSI EN 319 411-1, CSS-6.3.9, asks for it in the last list.
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which certificates a list is for, and where its delta is.

    Args:
        url: of a partition, as its certificates name it; empty for the full list.
        delta_url: where a complete list says that its delta is; empty when there is none.
        base_number: the number of the complete list that a delta starts from; None for a complete list.
    """

    url: str = ""
    delta_url: str = ""
    base_number: int | None = None


FULL = Scope()


@dataclass(frozen=True, kw_only=True)
class CrlDraft:
    """A to-be-signed list and what the lint must find in it."""

    issuer: Issuer
    scope: Scope
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    tbs_parts: tuple[bytes, ...]

    @property
    def octets(self) -> int:
        return sum(map(len, self.tbs_parts))

    @property
    def tbs_der(self) -> bytes:
        """The whole in one piece: a copy, of whatever length."""
        return b"".join(self.tbs_parts)

    def signed_parts(self, signature: bytes) -> tuple[bytes, ...]:
        """Put the list together: its bytes in pieces, of which the long ones are those of the draft."""
        first, *middle, last = self.tbs_parts
        end = last + self.issuer.algorithm.identifier_der + der.bit_string(signature)
        size = len(first) + sum(map(len, middle)) + len(end)
        return der.head(der.SEQUENCE, size) + first, *middle, end


def draft_crl(
    issuer: Issuer,
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
    count: int | None = None,
    scope: Scope = FULL,
) -> CrlDraft:
    """Write a list.

    Args:
        entries: encoded entries, each part one or many of them, one after the other.
        count: how many entries that is; None: one in each part.
    """
    parts = list(entries)
    size = sum(map(len, parts))
    begin = b"".join(
        (
            der.integer(1),
            issuer.algorithm.identifier_der,
            issuer.subject_der,
            der.time(this_update),
            der.time(next_update),
            der.head(der.SEQUENCE, size) if size else b"",
        )
    )
    end = der.explicit(0, _extensions(issuer, number, scope))
    begin = der.head(der.SEQUENCE, len(begin) + size + len(end)) + begin
    return CrlDraft(
        issuer=issuer,
        scope=scope,
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=len(parts) if count is None else count,
        tbs_parts=(begin, *parts, end),
    )


def _extensions(issuer: Issuer, number: int, scope: Scope) -> bytes:
    extensions = [
        der.extension(AUTHORITY_KEY_ID, der.sequence(der.implicit(0, issuer.key_id))),
        der.extension(NUMBER, der.integer(number)),
    ]
    if scope.url:
        extensions.append(
            der.extension(DISTRIBUTION_POINT, der.sequence(_full_name(scope.url)), critical=True)
        )
    if scope.base_number is not None:
        extensions.append(der.extension(DELTA_INDICATOR, der.integer(scope.base_number), critical=True))
    if scope.delta_url:
        extensions.append(der.extension(FRESHEST, der.sequence(der.sequence(_full_name(scope.delta_url)))))
    return der.sequence(*extensions)


def _full_name(url: str) -> bytes:
    return der.explicit(0, der.explicit(0, der.implicit(6, url.encode("ascii"))))


def check_crl(crl_der: bytes, draft: CrlDraft) -> x509.CertificateRevocationList:
    """Lint one list against its draft.

    Raises:
        LintError: with all findings.
    """
    try:
        crl = x509.load_der_x509_crl(crl_der)
        findings = list(_find_faults(crl, signed_part(crl_der), draft))
    except (ValueError, x509.DuplicateExtension) as exc:
        raise LintError([fault("list-parse", exc)]) from exc
    if findings:
        raise LintError(findings)
    return crl


def signed_part(crl_der: bytes) -> bytes:
    """Cut the signed part out of a list, byte for byte; a library would encode all entries anew."""
    return der.element_at(der.content_of(crl_der), 0)[2]


def next_update_of(crl_der: bytes) -> datetime:
    """Read the end of a list's life from its head, whatever its length.

    Raises:
        DerError: not a list of ours.
    """
    reader = der.Reader(der.content_of(signed_part(crl_der)))
    for _field in ("version", "signature", "issuer", "this update"):
        reader.element()
    tag, digits, _whole = reader.element()
    form = {der.UTC_TIME: "%y%m%d%H%M%SZ", der.GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(tag, "")
    try:
        return datetime.strptime(digits.decode("ascii"), form).replace(tzinfo=UTC)
    except ValueError as exc:
        raise der.DerError("not a time") from exc


def _find_faults(crl: x509.CertificateRevocationList, tbs_der: bytes, draft: CrlDraft) -> Iterator[str]:
    if tbs_der != draft.tbs_der:
        yield fault("list-drafted")
    if crl.signature_algorithm_oid.dotted_string != draft.issuer.algorithm.oid:
        yield fault("list-outer-algorithm")
    reader = der.Reader(tbs_der).enter()
    if reader.take_integer() != 1:
        yield fault("list-version")
    if reader.element()[2] != draft.issuer.algorithm.identifier_der:
        yield fault("list-algorithm")
    if reader.element()[2] != draft.issuer.subject_der:
        yield fault("list-issuer")
    this_update, next_update = crl.last_update_utc, crl.next_update_utc
    if this_update != draft.this_update or next_update != draft.next_update:
        yield fault("list-times")
    latest = NEVER if next_update == NEVER else draft.issuer.not_after
    if next_update is None or not this_update < next_update <= latest:
        yield fault("list-next-update")
    if len(crl) != draft.entries:
        yield fault("list-entries")
    yield from _extension_faults(crl.extensions, draft)


def _extension_faults(found: x509.Extensions, draft: CrlDraft) -> Iterator[str]:
    scope = draft.scope
    expected = {AUTHORITY_KEY_ID: False, NUMBER: False}
    if scope.url:
        expected[DISTRIBUTION_POINT] = True
    if scope.base_number is not None:
        expected[DELTA_INDICATOR] = True
    if scope.delta_url:
        expected[FRESHEST] = False
    if {extension.oid.dotted_string: extension.critical for extension in found} != expected:
        yield fault("list-extensions")
        return
    number = found.get_extension_for_class(x509.CRLNumber).value.crl_number
    if number != draft.number or not 0 < number < 1 << 159:
        yield fault("list-number")
    if found.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier != draft.issuer.key_id:
        yield fault("list-key-identifier")
    yield from _scope_faults(found, draft)


def _scope_faults(found: x509.Extensions, draft: CrlDraft) -> Iterator[str]:
    scope = draft.scope
    if scope.base_number is not None:
        base = found.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
        if base != scope.base_number or not 0 < base < draft.number:
            yield fault("list-base-number")
        if scope.delta_url:
            yield fault("list-delta-freshest")
    if scope.url:
        point = found.get_extension_for_class(x509.IssuingDistributionPoint).value
        limits = (
            point.only_contains_user_certs,
            point.only_contains_ca_certs,
            point.only_contains_attribute_certs,
            point.indirect_crl,
            point.only_some_reasons,
        )
        if any(limits) or [name.value for name in point.full_name or ()] != [scope.url]:
            yield fault("list-distribution-point")
    if scope.delta_url:
        points = list(found.get_extension_for_class(x509.FreshestCRL).value)
        if len(points) != 1 or [name.value for name in points[0].full_name or ()] != [scope.delta_url]:
            yield fault("list-freshest")


def check_entry(encoded: bytes, serial: int) -> None:
    """Lint one entry before it is kept: it must name this serial and nothing may be left over.

    Raises:
        LintError: with the finding.
    """
    try:
        reader = der.Reader(encoded)
        entry = reader.enter()
        reader.end()
        found = entry.take_integer()
        entry.element()
        if entry.more():
            entry.enter()
        entry.end()
    except der.DerError as exc:
        raise LintError([fault("list-entry-parse", exc)]) from exc
    if found != serial:
        raise LintError([fault("list-entry-serial")])
