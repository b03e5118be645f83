"""Revocation lists: entries and lists written as DER, and the lint that reads a list back.

RFC 5280, section 5. One full list per authority, all reasons, no indirect entries: so neither an issuing
distribution point nor a delta. An entry is encoded once, when the certificate is revoked; a list is the
entries one after the other, a head and a signature, whatever its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from onecert.ca import der
from onecert.ca.draft import Issuer
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


@dataclass(frozen=True, kw_only=True)
class CrlDraft:
    """A to-be-signed list and what the lint must find in it."""

    issuer: Issuer
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    tbs_der: bytes


def draft_crl(
    issuer: Issuer, *, number: int, this_update: datetime, next_update: datetime, entries: Iterable[bytes]
) -> CrlDraft:
    """Write a list; `entries` are encoded entries, one for each revoked certificate."""
    encoded = list(entries)
    extensions = der.sequence(
        der.extension("2.5.29.35", der.sequence(der.implicit(0, issuer.key_id))),
        der.extension("2.5.29.20", der.integer(number)),
    )
    tbs_der = der.sequence(
        der.integer(1),
        issuer.algorithm.identifier_der,
        issuer.subject_der,
        der.time(this_update),
        der.time(next_update),
        der.sequence(*encoded) if encoded else b"",
        der.explicit(0, extensions),
    )
    return CrlDraft(
        issuer=issuer,
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=len(encoded),
        tbs_der=tbs_der,
    )


def check_crl(crl_der: bytes, draft: CrlDraft) -> x509.CertificateRevocationList:
    """Lint one list against its draft.

    Raises:
        LintError: with all findings.
    """
    try:
        crl = x509.load_der_x509_crl(crl_der)
        findings = list(_find_faults(crl, draft))
    except (ValueError, x509.DuplicateExtension) as exc:
        raise LintError([f"cannot be parsed: {exc}"]) from exc
    if findings:
        raise LintError(findings)
    return crl


def _find_faults(crl: x509.CertificateRevocationList, draft: CrlDraft) -> Iterator[str]:
    if crl.tbs_certlist_bytes != draft.tbs_der:
        yield "the list is not the one that was drafted"
    if crl.signature_algorithm_oid.dotted_string != draft.issuer.algorithm.oid:
        yield "5.1.1.2: signature algorithm is not the issuer's"
    reader = der.Reader(crl.tbs_certlist_bytes).enter()
    if reader.take_integer() != 1:
        yield "5.1.2.1: not version 2"
    if reader.element()[2] != draft.issuer.algorithm.identifier_der:
        yield "5.1.2.2: signature algorithm is not the issuer's"
    if reader.element()[2] != draft.issuer.subject_der:
        yield "5.1.2.3: issuer is not the authority"
    this_update, next_update = crl.last_update_utc, crl.next_update_utc
    if this_update != draft.this_update or next_update != draft.next_update:
        yield "5.1.2.4: times are not the drafted ones"
    if next_update is None or not this_update < next_update <= draft.issuer.not_after:
        yield "5.1.2.5: next update is missing, not after this update, or after the issuer's end"
    if len(crl) != draft.entries:
        yield "5.1.2.6: wrong number of entries"
    values = {extension.oid.dotted_string: extension for extension in crl.extensions}
    if set(values) != {"2.5.29.35", "2.5.29.20"} or any(found.critical for found in values.values()):
        yield "5.2: extensions are not exactly authority key identifier and number, both not critical"
    else:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        key_id = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        if number != draft.number or not 0 < number < 1 << 159:
            yield "5.2.3: number is not the reserved one"
        if key_id != draft.issuer.key_id:
            yield "5.2.1: key identifier is not the issuer's"


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
        raise LintError([f"5.1.2.6: entry cannot be parsed: {exc}"]) from exc
    if found != serial:
        raise LintError(["5.1.2.6: entry names another serial"])
