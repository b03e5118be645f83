"""The status of one certificate by CRL: RFC 5280, section 6.3.3.

Full, partitioned, indirect and delta lists. Who may sign a list is asked of the path search, which holds the
certificates; here it is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import DerError
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.extensions import DistributionPoint, GeneralName
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.revocation.crl import Crl, IssuingDistributionPoint, RevokedEntry
from onecert.verifier.revocation.evidence import RevocationEvidence, RevocationPolicy

__all__ = ["CrlAnswer", "Subject", "check_by_crl", "full_scope_matches"]

_DIRECTORY_NAME = 4
# ReasonFlags without "unused": every reason for which a certificate can be revoked.
_ALL_REASONS = frozenset(range(1, 9))

# Raises unless somebody entitled has signed the list. Answers until when that is known: ``None`` when it
# was the issuer of the certificate itself, else the end of what was learned about the signer.
SignerCheck = Callable[[Crl], datetime | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """The certificate that is asked about; attribute certificates have one of these too."""

    serial: int
    issuer: CanonicalName
    issuer_der: bytes
    is_ca: bool
    points: tuple[DistributionPoint, ...]
    is_attribute: bool = False

    @classmethod
    def of(cls, certificate: ParsedCertificate) -> Subject:
        """For a public-key certificate."""
        return cls(
            certificate.serial,
            certificate.issuer,
            certificate.issuer_der,
            certificate.is_ca,
            certificate.distribution_points,
        )


@dataclass(frozen=True, slots=True)
class CrlAnswer:
    """``entry`` is ``None`` for a certificate that no list names.

    ``crls`` are the lists used, newest information first; ``signers_until`` bounds the trust in their
    signers and is ``None`` when the issuer of the certificate signed them all.
    """

    entry: RevokedEntry | None
    crls: tuple[Crl, ...]
    signers_until: datetime | None


def check_by_crl(
    subject: Subject,
    evidence: RevocationEvidence,
    policy: RevocationPolicy,
    at: datetime,
    check_signer: SignerCheck,
) -> CrlAnswer:
    """Find the status.

    Args:
        check_signer: raises unless somebody entitled has signed the list; see ``SignerCheck``.

    Raises:
        CouldNotCheckError: no lists, or they do not cover the certificate; the newest reason is named.
    """
    covered: frozenset[int] = frozenset()
    used: list[Crl] = []
    signers_until: datetime | None = None
    failures: list[VerifyError] = []
    for point, crl in _candidates(subject, evidence):
        try:
            reasons = _interim_reasons(subject, point, crl)
            if reasons <= covered:
                continue
            ends = [_check_usable(crl, policy, at, check_signer)]
        except VerifyError as exc:
            entry = _find_in_stale(subject, crl, exc, check_signer)
            if entry is not None:
                return CrlAnswer(entry, (crl,), None)
            failures.append(exc)
            continue
        delta = None
        if policy.use_deltas:
            delta, end = _find_delta(crl, evidence, policy, at, check_signer)
            ends.append(end)
        entry = _look_up(subject, crl, delta)
        used += [delta, crl] if delta is not None else [crl]
        signers_until = min((end for end in (signers_until, *ends) if end is not None), default=None)
        covered |= reasons
        if entry is not None or covered >= _ALL_REASONS:
            return CrlAnswer(entry, tuple(used), signers_until)
    if covered:
        raise CouldNotCheckError("CRL_REASONS", issuer=used[0].issuer_text)
    if failures:
        raise max(failures, key=_telling)
    raise CouldNotCheckError("NO_EVIDENCE", issuer=display_name(subject.issuer_der))


def _telling(failure: VerifyError) -> int:
    """A list that is the right one but stale says more than one that was about something else."""
    return 0 if failure.code == "CRL_SCOPE" else 1


def _candidates(
    subject: Subject, evidence: RevocationEvidence
) -> Iterator[tuple[DistributionPoint | None, Crl]]:
    for point in subject.points:
        for issuer in _crl_issuers(point, subject):
            for crl in evidence.crls_of(issuer):
                yield point, crl
    # Last paragraph of section 6.3.3: any other list of the certificate's issuer.
    for crl in evidence.crls_of(subject.issuer):
        yield None, crl


def _crl_issuers(point: DistributionPoint, subject: Subject) -> list[CanonicalName]:
    if not point.crl_issuer:
        return [subject.issuer]
    issuers = []
    for name in point.crl_issuer:
        if name.tag == _DIRECTORY_NAME:
            try:
                issuers.append(canonical_name(name.value))
            except DerError:
                continue
    return issuers


def _interim_reasons(subject: Subject, point: DistributionPoint | None, crl: Crl) -> frozenset[int]:
    """(b) and (d): refuse a list whose scope leaves the certificate out; else the reasons that it covers."""
    scope = crl.scope or IssuingDistributionPoint()
    # (b)(1): a list of another issuer must be named by the point, and be indirect.
    if crl.issuer != subject.issuer and not scope.indirect:
        _out_of_scope(crl)
    # (b)(2)(i)
    if scope.full_names or scope.relative_name is not None:
        if point is None:
            names: set[tuple[int, object]] = {(_DIRECTORY_NAME, subject.issuer)}
        elif point.full_names or point.relative_name is not None:
            names = _names(point.full_names, point.relative_name, crl.issuer)
        else:
            names = _names(point.crl_issuer, None, crl.issuer)
        if not names & _names(scope.full_names, scope.relative_name, crl.issuer):
            _out_of_scope(crl)
    # (b)(2)(ii) to (iv)
    if subject.is_attribute:
        outside = scope.only_user or scope.only_ca
    else:
        outside = scope.only_attribute or (scope.only_user if subject.is_ca else scope.only_ca)
    if outside:
        _out_of_scope(crl)
    reasons = _ALL_REASONS
    if point is not None and point.reasons is not None:
        reasons &= point.reasons
    if scope.only_reasons is not None:
        reasons &= scope.only_reasons
    return reasons


def full_scope_matches(crl: Crl, delta: Crl) -> bool:
    """(c): a delta list belongs to a complete one of the same issuer, scope and key identifier."""
    return (
        crl.issuer == delta.issuer
        and crl.scope_der == delta.scope_der
        and crl.authority_key_id == delta.authority_key_id
    )


def _out_of_scope(crl: Crl) -> None:
    raise CouldNotCheckError("CRL_SCOPE", source="RFC 5280, section 6.3.3 (b)", issuer=crl.issuer_text)


def _names(
    full_names: tuple[GeneralName, ...], relative_name: bytes | None, issuer: CanonicalName
) -> set[tuple[int, object]]:
    found: set[tuple[int, object]] = set()
    for name in full_names:
        if name.tag == _DIRECTORY_NAME:
            try:
                found.add((_DIRECTORY_NAME, canonical_name(name.value)))
            except DerError:
                continue
        else:
            found.add((name.tag, name.value))
    if relative_name is not None:
        # One RDN below the CRL issuer: dress it as a Name of its own to find its canonical form.
        rdn = _tlv(0x31, relative_name)
        with suppress(DerError):
            found.add((_DIRECTORY_NAME, issuer + canonical_name(_tlv(0x30, rdn))))
    return found


def _tlv(tag: int, contents: bytes) -> bytes:
    length = len(contents)
    if length < 0x80:
        return bytes((tag, length)) + contents
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents


def _check_usable(
    crl: Crl, policy: RevocationPolicy, at: datetime, check_signer: SignerCheck
) -> datetime | None:
    if crl.unknown_critical is not None:
        raise CouldNotCheckError(
            "CRL_CRITICAL_EXTENSION",
            source="RFC 5280, sections 5.2 and 5.3",
            issuer=crl.issuer_text,
            oid=crl.unknown_critical,
        )
    crl.check_fresh(at, grace=policy.crl_grace)
    return check_signer(crl)


def _find_in_stale(
    subject: Subject, crl: Crl, failure: VerifyError, check_signer: SignerCheck
) -> RevokedEntry | None:
    """An old list cannot say that a certificate is good; that it is revoked for good, it can."""
    if failure.code != "CRL_STALE":
        return None
    entry = crl.find(subject.serial, subject.issuer)
    if entry is None or entry.reason in {"certificateHold", "removeFromCRL"}:
        return None
    with suppress(VerifyError):
        check_signer(crl)
        return entry
    return None


def _look_up(subject: Subject, crl: Crl, delta: Crl | None) -> RevokedEntry | None:
    """(i) to (l): first the delta, then the complete list."""
    if delta is not None:
        entry = delta.find(subject.serial, subject.issuer)
        if entry is not None:
            return None if entry.reason == "removeFromCRL" else entry
    return crl.find(subject.serial, subject.issuer)


def _find_delta(
    crl: Crl, evidence: RevocationEvidence, policy: RevocationPolicy, at: datetime, check_signer: SignerCheck
) -> tuple[Crl | None, datetime | None]:
    for delta in evidence.deltas_of(crl.issuer):
        # (c): the complete list is at least as new as the base, and older than the delta.
        if (
            crl.number is None
            or delta.base_number is None
            or delta.number is None
            or not delta.base_number <= crl.number < delta.number
            or not full_scope_matches(crl, delta)
        ):
            continue
        with suppress(VerifyError):
            return delta, _check_usable(delta, _NO_GRACE, at, check_signer)
    return None, None


_NO_GRACE = RevocationPolicy(crl_grace=timedelta(0))
