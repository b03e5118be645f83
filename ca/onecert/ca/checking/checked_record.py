"""One certificate against everything that is on record about it: what the checker asks of each.

The certificate is read anew and compared with its row, its order, its profile at the version that the order
was frozen to, and its issuer's key. Nothing here trusts what was checked when it was issued: the lint runs
again, over the bytes that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from onecert.ca import der
from onecert.ca.authorities.authorities import Authority
from onecert.ca.authorities.terms import terms_from_json
from onecert.ca.certificates.csr import CheckedKey, load_request
from onecert.ca.certificates.draft import CheckedRequest, Draft, Issuer, raw_subject
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.certificates.names import checked_subject, read_subject, subject_text
from onecert.ca.errors import CaError, LintError
from onecert.ca.issuing.ledger import ABANDONED, GOOD, INTENDED, ISSUED, REVOKED, CertificateRecord
from onecert.ca.issuing.order_documents import payload_of
from onecert.ca.issuing.orders import content_sha256
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.term import is_whole_term
from onecert.ca.signatures.algorithms import is_signature_valid, spki_der
from onecert.ca.signatures.public_keys import load_key
from onecert.server.languages import _

__all__ = ["RULES", "Evidence", "Finding", "find_faults", "is_about_list"]

# An intent without a result is resolved within minutes; what is older than this was forgotten.
UNFINISHED_MAX = timedelta(hours=2)
FACTS_MAX_CHARACTERS = 1000

# What can be wrong, by its stable name; the facts of a finding come behind it.
RULES: Mapping[str, str] = {
    "certificate-missing": _("the record says issued, but the certificate is not there"),
    "certificate-unreadable": _("the certificate cannot be read"),
    "unfinished": _("an intent was never resolved"),
    "abandoned-not-revoked": _("an intent was given up, but its serial is not revoked"),
    "signature": _("the signature is not one of this authority's key"),
    "differs-from-record": _("certificate and record do not agree"),
    "lint": _("the certificate breaks a rule"),
    "profile-missing": _("the version of the profile is not on record, or not with this hash"),
    "profile-unsigned": _("nobody entitled has approved this version of the profile as it is on record"),
    "order-missing": _("the order is not on record, or names another certificate"),
    "order-altered": _("the order does not have the content it was recorded with"),
    "differs-from-order": _("the certificate says something else than its order"),
    "key-holder": _("the key is on record for another holder, or for none"),
    "audit-missing": _("the audit trail does not know that it was issued"),
    "issued-unrecorded": _("the audit trail knows a certificate that is not on record"),
    "serial-reused": _("its serial is the one of an archived certificate"),
    "entry-missing": _("it is revoked, but not among the entries of the next list"),
    "entry-surplus": _("it is among the entries of the next list, but not revoked"),
    "list-missing": _("there is no published list"),
    "list-unreadable": _("the published list cannot be read"),
    "list-signature": _("the signature of the published list is not one of this authority's key"),
    "list-differs": _("the published list is not the newest one on record"),
    "list-overdue": _("the published list is past its next update"),
    "list-future": _("the published list is from the future"),
    "list-incomplete": _("a certificate was revoked before the list was made and is not on it"),
    "list-surplus": _("a certificate is on the list and is not revoked"),
    "number-went-back": _("a later list has a lower number or an earlier time"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where. `rule` is a key of `RULES`."""

    rule: str
    authority: str
    serial: str = ""  # of the certificate; empty when a list is meant
    facts: str = ""

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "authority": self.authority, "serial": self.serial, "facts": self.facts}


def is_about_list(finding: Finding) -> bool:
    """Tell whether a finding is about a published list, not about what is on record."""
    return finding.rule.startswith("list-") or finding.rule == "number-went-back"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the record has about one certificate besides its own row; None or False: it is not there."""

    authority: Authority
    profile: Profile | None
    order: Mapping[str, Any] | None  # id, authority, serial, content_sha256, document
    key_entity: str | None
    key_number: int | None
    has_audit_entry: bool
    has_list_entry: bool


@dataclass(frozen=True, kw_only=True)
class _RecordedDraft(Draft):
    """The draft as it must have been; its partition is the one on record, whatever is in force today."""

    recorded_partition: int

    @property
    def crl_partition(self) -> int:
        return self.recorded_partition


def find_faults(record: CertificateRecord, evidence: Evidence, at: datetime) -> Iterator[Finding]:
    """Name everything that is wrong with one certificate.

    Args:
        at: now; a young intent may still be in somebody's hands.
    """

    def finding(rule: str, facts: object = "") -> Finding:
        text = str(facts)[:FACTS_MAX_CHARACTERS]
        return Finding(rule=rule, authority=record.authority, serial=record.serial, facts=text)

    if record.state == INTENDED:
        if at - record.not_before > UNFINISHED_MAX:
            yield finding("unfinished", record.not_before.isoformat())
        return
    if evidence.has_list_entry and record.status == GOOD:
        yield finding("entry-surplus")
    if record.status != GOOD and not evidence.has_list_entry and record.not_after >= at:
        yield finding("entry-missing", record.status)
    if record.state == ABANDONED:
        if record.status != REVOKED:
            yield finding("abandoned-not-revoked")
        return
    if record.state != ISSUED or record.certificate_der is None:
        yield finding("certificate-missing", record.state)
        return
    if not evidence.has_audit_entry:
        yield finding("audit-missing")
    if evidence.key_entity != record.entity:
        yield finding("key-holder", evidence.key_entity or "-")
    try:
        yield from _read_faults(record, record.certificate_der, evidence, finding)
    except (ValueError, x509.DuplicateExtension) as exc:
        yield finding("certificate-unreadable", exc)


def _read_faults(
    record: CertificateRecord, certificate_der: bytes, evidence: Evidence, finding: Callable[..., Finding]
) -> Iterator[Finding]:
    certificate = x509.load_der_x509_certificate(certificate_der)
    tbs_der = certificate.tbs_certificate_bytes
    issuer = evidence.authority.issuer
    if not is_signature_valid(issuer.public_key, certificate.signature, tbs_der):
        yield finding("signature")
    key = _key_of(tbs_der)
    subject = {field: value for field, _tag, value in read_subject(raw_subject(tbs_der))}
    said = {
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "key_sha256": key.sha256,
        "subject": subject_text(subject),
    }
    differing = [name for name, value in said.items() if value != getattr(record, name)]
    if differing:
        yield finding("differs-from-record", ", ".join(differing))
    ordered, faults = _ordered(record, evidence, key)
    yield from (finding(rule, facts) for rule, facts in faults)
    if evidence.profile is None:
        yield finding("profile-missing", f"{record.profile} {record.profile_version}")
    for fault in _lint(certificate, record, evidence, key, ordered):
        yield finding("lint", fault)


def _lint(
    certificate: x509.Certificate,
    record: CertificateRecord,
    evidence: Evidence,
    key: CheckedKey,
    ordered: Mapping[str, Any],
) -> tuple[str, ...]:
    """Lint as at issue, against what the order says; acts of the system itself have no such order."""
    tbs_der, profile = certificate.tbs_certificate_bytes, evidence.profile
    if profile is None:
        return ()
    try:
        subject = (
            checked_subject(ordered["subject"], profile.subject)
            if "subject" in ordered
            else {field: value for field, _tag, value in read_subject(raw_subject(tbs_der))}
        )
        draft = _RecordedDraft(
            request=CheckedRequest(
                profile=profile,
                key=key,
                subject=subject,
                entity=record.entity,
                identity=ordered.get("identity", {}),
                dns_names=tuple(_names(certificate, x509.DNSName)),
                addresses=tuple(map(str, _names(certificate, x509.IPAddress))),
                not_after=None
                if is_whole_term(profile, record.not_before, record.not_after)
                else record.not_after,
                terms=terms_from_json(ordered["terms"]) if "terms" in ordered else None,
            ),
            issuer=_issuer_of_then(certificate, evidence.authority.issuer),
            serial=int(record.serial, 16),
            key_number=evidence.key_number or 1,
            not_before=record.not_before,
            not_after=record.not_after,
            tbs_der=tbs_der,
            recorded_partition=record.crl_partition,
        )
        check_certificate(record.certificate_der or b"", draft)
    except LintError as exc:
        return exc.findings
    except CaError as exc:
        return (str(exc),)
    return ()


def _issuer_of_then(certificate: x509.Certificate, issuer: Issuer) -> Issuer:
    """The issuer as it stands in the certificate: the address of the status service may have been another."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return issuer
    address = next((str(name.value) for point in points for name in point.full_name or ()), issuer.crl_url)
    then, now = address.rpartition("/")[0], issuer.crl_url.rpartition("/")[0]
    if then == now or not then.startswith("http://"):
        return issuer
    moved = {
        name: then + url.removeprefix(now)
        for name in ("crl_url", "certificate_url", "ocsp_url", "bundle_url")
        if (url := getattr(issuer, name)).startswith(f"{now}/")
    }
    return replace(issuer, **moved)


def _ordered(
    record: CertificateRecord, evidence: Evidence, key: CheckedKey
) -> tuple[Mapping[str, Any], list[tuple[str, str]]]:
    """What the order of a registration authority or a command says, and what is wrong with it."""
    order = evidence.order
    if order is None or (order["authority"], order["serial"]) != (record.authority, record.serial):
        return {}, [("order-missing", record.order_id)]
    payload = payload_of(order["document"])
    is_from_outside = order["ordered_by"].startswith("ra:")
    if "subject" not in payload:
        # A ceremony's order says what was reviewed of another authority, or of a key that is rolled over.
        terms = {key: payload[key] for key in ("terms",) if key in payload and not is_from_outside}
        return terms, [("order-altered", record.order_id)] if is_from_outside else []
    faults = []
    if is_from_outside and content_sha256(payload) != order["content_sha256"]:
        faults.append(("order-altered", record.order_id))
    said = {
        # Orders name the line; see `authority_lines`.
        "authority": payload.get("authority") in {record.authority, evidence.authority.line},
        "profile": payload.get("profile") == record.profile,
        "profile_version": payload.get("profile_version", record.profile_version) == record.profile_version,
        "csr_pem": _is_key_of(str(payload.get("csr_pem", "")), key),
        "not_after": payload.get("not_after") is None
        or datetime.fromisoformat(payload["not_after"]) == record.not_after,
    }
    different = [name for name, agrees in said.items() if not agrees]
    if different:
        faults.append(("differs-from-order", ", ".join(different)))
    return payload, faults


def _is_key_of(csr_pem: str, key: CheckedKey) -> bool:
    try:
        asked: Any = load_request(csr_pem).public_key
        return spki_der(asked) == key.spki_der
    except CaError:
        return False


def _key_of(tbs_der: bytes) -> CheckedKey:
    spki: bytes = der.elements(der.content_of(tbs_der))[6][2]
    return CheckedKey(load_key(spki), spki)


def _names(certificate: x509.Certificate, kind: type[Any]) -> list[Any]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value.get_values_for_type(kind))
