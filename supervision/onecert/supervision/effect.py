"""What a draft does to certificates that are known: the verdict under the published list and under the draft.

The verifier's own façade gives both verdicts, with path, state of the service, scope and identity. Revocation
is not asked: nobody here has the departments' evidence, and it does not depend on the list. Where a status
accepts existing certificates if their status service answers, it is taken to answer.

Only certificates of services that the draft changes are judged; for the others both verdicts are one.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from onecert.server.redaction import redact
from onecert.supervision.draft import Draft
from onecert.supervision.known import Known
from onecert.supervision.payload import build_payload, check_payload
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.profile import HolderClass
from onecert.verifier.messages import message
from onecert.verifier.names import CanonicalName
from onecert.verifier.revocation import RevocationMode, RevocationPolicy
from onecert.verifier.service_status import Moments, check_service
from onecert.verifier.trust_list import Status, TrustedService, TrustList
from onecert.verifier.trust_list.pointer import MissingList, Pointer
from onecert.verifier.trust_list.pointers import merge
from onecert.verifier.verifier import Verifier

__all__ = [
    "ACCEPTED",
    "Effect",
    "EffectRow",
    "PointedLists",
    "Verdict",
    "draft_list",
    "find_effect",
    "samples_of",
]

PointedLists = Callable[[Pointer], TrustList | VerifyError]

ACCEPTED = "ACCEPTED"
_ENDED = (Status.WITHDRAWN, Status.TERMINATED)
_ENDED_CODES = {"CA_WITHDRAWN", "CA_TERMINATED"}
# Ids of persons are pairwise: these mean something only within this process, and only when compared.
_PAIRWISE_KEY = os.urandom(32)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a department would answer. ``code`` is ACCEPTED or that of the refusal."""

    code: str
    holder: str = ""  # the id that a department would bind accounts to
    holder_class: str = ""
    warnings: tuple[str, ...] = ()
    refusal: VerifyError | None = None

    def text(self, language: str) -> str:
        """For a person, in ``zh`` or ``en``."""
        if self.refusal is not None:
            return self.refusal.text(language)
        codes = (f"CLASS_{HolderClass(self.holder_class).name}", *self.warnings)
        return "; ".join(message(code, language) for code in codes)


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """A certificate whose verdict changes."""

    sha256: str
    serial_hex: str
    subject: str
    service: str
    source: str
    before: Verdict
    after: Verdict


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What changes at a moment."""

    at: datetime
    known: int
    judged: int
    unreadable: int
    changed_services: tuple[str, ...]
    missing: tuple[MissingList, ...]  # lists pointed to that could not be read: nothing is said about them
    rows: tuple[EffectRow, ...]

    def counts(self) -> list[tuple[str, str, str, int]]:
        """Service, code before, code after, how many; most first."""
        counter = Counter((row.service, row.before.code, row.after.code) for row in self.rows)
        return [(*key, count) for key, count in counter.most_common()]


def draft_list(draft: Draft, *, at: datetime) -> TrustList:
    """The draft as verifiers would read it at this moment.

    Raises:
        DraftRefusedError: they would refuse it.
    """
    day = timedelta(days=1)
    return check_payload(build_payload(draft, sequence=1, issued_at=at - day, next_update=at + day))


def samples_of(*drafts: Draft | None) -> list[Known]:
    """The sample certificates in these drafts, as known certificates."""
    found = []
    for draft in drafts:
        for service in draft.services if draft else ():
            for number, sample in enumerate(service.samples, start=1):
                try:
                    parsed = parse_certificate(sample.certificate_pem.encode("ascii"))
                except VerifyError:
                    continue
                found.append(Known(_digest(parsed), parsed.der, f"{service.id} #{number}"))
    return found


def find_effect(
    old: Draft | None,
    new: Draft,
    known: Iterable[Known],
    *,
    at: datetime,
    pointed: PointedLists | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Effect:
    """Both verdicts of every known certificate that the draft may touch.

    Args:
        old: the published state; None when nothing is published yet, and then every verdict is new.
        known: a certificate that comes twice counts once.
        at: the moment of the logins that are compared.
        pointed: reads the lists that changed pointers point to; without it, nothing is said about them.
        progress: told now and then how many are done.

    Raises:
        DraftRefusedError: one of the lists cannot be made.
    """
    before = draft_list(old, at=at) if old is not None else None
    after = draft_list(new, at=at)
    before, after = _with_pointed(before, after, pointed)
    changed = _changed(before, after)
    names = _names(before, changed) | _names(after, changed)
    judges = (_Judge(before, at), _Judge(after, at))
    rows, judged, unreadable = [], 0, 0
    unique = {each.sha256: each for each in known}
    for number, each in enumerate(unique.values()):
        if number % 100 == 0:
            progress(number)
        try:
            parsed = parse_certificate(each.der)
        except VerifyError:
            unreadable += 1
            continue
        service = names.get(parsed.issuer)
        if service is None:
            continue
        judged += 1
        first, second = (judge.verdict(parsed) for judge in judges)
        if _differ(first, second):
            rows.append(
                EffectRow(
                    sha256=each.sha256,
                    serial_hex=f"{parsed.serial:x}",
                    subject=redact(parsed.subject_text),
                    service=service,
                    source=each.source,
                    before=first,
                    after=second,
                )
            )
    return Effect(
        at=at,
        known=len(unique),
        judged=judged,
        unreadable=unreadable,
        changed_services=tuple(sorted(changed)),
        missing=after.missing,
        rows=tuple(rows),
    )


def _with_pointed(
    before: TrustList | None, after: TrustList, pointed: PointedLists | None
) -> tuple[TrustList | None, TrustList]:
    """Both lists, with the services of those lists that they do not point to alike."""
    if pointed is None:
        return before, after
    sides = [each.pointers if each is not None else () for each in (before, after)]
    alike = [each for each in sides[0] if each in sides[1]]
    old, new = (
        [(each, pointed(each)) for each in side if each.terms is not None and each not in alike]
        for side in sides
    )
    return (None if before is None else merge(before, old)), merge(after, new)


class _Judge:
    """Gives verdicts by one list at one moment."""

    def __init__(self, trust_list: TrustList | None, at: datetime) -> None:
        self._list = trust_list
        self._at = at
        self._verifier = _verifier(trust_list) if trust_list is not None else None
        # Where existing certificates are accepted: as if their service had gone on.
        self._existing = _verifier(_continued(trust_list, at)) if trust_list is not None else None

    def verdict(self, certificate: ParsedCertificate) -> Verdict:
        if self._verifier is None:
            return _refused(VerifyError("ISSUER_UNKNOWN"))
        try:
            return self._ask(self._verifier, certificate, ())
        except VerifyError as exc:
            if exc.code not in _ENDED_CODES:
                return _refused(exc)
            try:
                return self._ask_existing(exc, certificate)
            except VerifyError as refusal:
                return _refused(refusal)

    def _ask_existing(self, refusal: VerifyError, certificate: ParsedCertificate) -> Verdict:
        assert self._list is not None and self._existing is not None  # noqa: S101, PT018  a list has refused
        service = self._list.by_id[str(refusal.facts["service"])]
        moments = Moments(
            issued=certificate.not_before, used=self._at, checked=self._at, status_answered=True
        )
        return self._ask(self._existing, certificate, check_service(service, moments).warnings)

    def _ask(self, verifier: Verifier, certificate: ParsedCertificate, more: tuple[str, ...]) -> Verdict:
        result = verifier.verify(certificate, at=self._at)
        identity, warnings = result.identity, tuple(dict.fromkeys((*more, *result.warnings)))
        return Verdict(
            code=ACCEPTED,
            holder=identity.id,
            holder_class=identity.holder_class.value,
            warnings=warnings,
        )


def _verifier(trust_list: TrustList) -> Verifier:
    return Verifier(
        trust_list=trust_list,
        application="onecert-supervision",
        pairwise_key=_PAIRWISE_KEY,
        revocation=RevocationPolicy(mode=RevocationMode.OFF),
    )


def _continued(trust_list: TrustList, at: datetime) -> TrustList:
    return replace(trust_list, services=tuple(_service_continued(each, at) for each in trust_list.services))


def _service_continued(service: TrustedService, at: datetime) -> TrustedService:
    kept = tuple(
        entry
        for entry in service.history
        if not (entry.status in _ENDED and entry.existing_until is not None and at < entry.existing_until)
    )
    return replace(service, history=kept or service.history)


def _refused(error: VerifyError) -> Verdict:
    error = error.with_traceback(None)
    error.__context__ = error.__cause__ = None  # tens of thousands of them are kept for a while
    return Verdict(code=error.code, refusal=error)


def _differ(one: Verdict, other: Verdict) -> bool:
    return (one.code, one.holder, one.holder_class, one.warnings) != (
        other.code,
        other.holder,
        other.holder_class,
        other.warnings,
    )


def _changed(before: TrustList | None, after: TrustList) -> set[str]:
    old = {service.id: _content(service) for service in before.services} if before else {}
    new = {service.id: _content(service) for service in after.services}
    return {service for service in {*old, *new} if old.get(service) != new.get(service)}


def _content(service: TrustedService) -> list[Any]:
    """What verdicts may depend on, comparable."""
    values = [getattr(service, each.name) for each in fields(service) if each.name != "certificates"]
    return [*values, [certificate.der for certificate in service.certificates]]


def _names(trust_list: TrustList | None, services: set[str]) -> dict[CanonicalName, str]:
    chosen = [each for each in trust_list.services if each.id in services] if trust_list else []
    return {certificate.subject: each.id for each in chosen for certificate in each.certificates}


def _digest(certificate: ParsedCertificate) -> str:
    return hashlib.sha256(certificate.der).hexdigest()
