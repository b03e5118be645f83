"""May a certificate of this CA service be relied on: the rule table over the service's history.

A certificate was issued at I, used or signed at S, and is checked at C. A login has S = C; a signature has
S < C only when a trusted timestamp proves S. The service's state is read from the history of the signed list:

    state at I       state at S               verdict
    granted          granted                  accept, even if the service was withdrawn after S
    granted          suspended                refuse, unless this suspension accepts existing certificates
    granted          withdrawn, terminated    accept before existing_until if the status service answers
    anything else    any                      refuse: CA_NOT_GRANTED_AT_ISSUE
    key compromised from K on                 refuse, unless a timestamp proves S before K

Intervals include their start and exclude their end. Where rows disagree the refusing row wins. I is taken
from the issuance record when there is one; otherwise it is the certificate's own claim, which a thief of the
key could backdate: that is what ``issuance_log`` and ``key_compromised`` are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError, SignatureInvalidError, VerifyError
from onecert.verifier.trust_list.model import StatusEntry, TrustedService, TrustList
from onecert.verifier.trust_list.vocabulary import Status


class ServiceStatusError(RefusedError):
    """The state of the CA service forbids relying on this certificate."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """The three times that decide.

    Args:
        issued: I, from the issuance record, or notBefore.
        used: S; equal to ``checked`` unless ``time_proved``.
        checked: C.
        recorded: I comes from the issuance record, not from the certificate.
        time_proved: a trusted timestamp proves S.
        status_answered: the revocation check had a fresh answer about this certificate.
    """

    issued: datetime
    used: datetime
    checked: datetime
    recorded: bool = False
    time_proved: bool = False
    status_answered: bool = True


@dataclass(frozen=True, kw_only=True)
class ServiceVerdict:
    """Accepted: the states it was based on, and what the caller should show."""

    at_issue: Status
    at_use: Status
    issue_time: str  # "recorded" or "claimed"
    warnings: tuple[str, ...] = ()


def check_service(service: TrustedService, moments: Moments) -> ServiceVerdict:
    """Apply the rule table.

    Raises:
        ServiceStatusError: CA_ISSUE_TIME_UNKNOWN, CA_USED_BEFORE_ISSUE, CA_USED_IN_FUTURE,
            CA_KEY_COMPROMISED, CA_NOT_GRANTED_AT_ISSUE, CA_SUSPENDED, CA_WITHDRAWN, CA_TERMINATED.
    """
    name = service_facts(service)
    used = moments.used if moments.time_proved else moments.checked
    # 1. The times must make sense.
    if service.issuance_log_required and not moments.recorded:
        raise ServiceStatusError("CA_ISSUE_TIME_UNKNOWN", **name)
    if used > moments.checked:
        raise ServiceStatusError("CA_USED_IN_FUTURE", used=used, **name)
    if used < moments.issued:
        raise ServiceStatusError("CA_USED_BEFORE_ISSUE", used=used, issued=moments.issued, **name)
    # 2. After a compromise, the certificate's own dates prove nothing: whoever has the key writes them.
    compromised = _compromised_since(service)
    if compromised is not None and compromised <= moments.checked and used >= compromised:
        raise ServiceStatusError("CA_KEY_COMPROMISED", since=compromised, **name)
    # 3. Only certificates issued under a grant count.
    at_issue, at_use = service.status_at(moments.issued), service.status_at(used)
    if at_issue is None or at_use is None or at_issue.status is not Status.GRANTED:
        raise ServiceStatusError("CA_NOT_GRANTED_AT_ISSUE", issued=moments.issued, **name)
    # 4. The state at the moment of use.
    warnings = _check_use(at_use, used, moments, name)
    return ServiceVerdict(
        at_issue=at_issue.status,
        at_use=at_use.status,
        issue_time="recorded" if moments.recorded else "claimed",
        warnings=warnings,
    )


def service_facts(service: TrustedService) -> dict[str, Any]:
    """What every message about a service can name: it and whom to call."""
    return {
        "service": service.id,
        "ca": service.name.zh,
        "ca_en": service.name.en,
        "hotline": service.contact.hotline or service.contact.website or "-",
    }


def name_service(error: VerifyError, target: ParsedCertificate, trust_list: TrustList) -> None:
    """Add to a refusal whom to call: the service above the path that failed.

    A certificate that is refused before its signature is looked at is taken at its word about its issuer; one
    with a wrong signature is not.
    """
    if "ca" in error.facts or error.code == "ISSUER_UNKNOWN":
        return
    if isinstance(error, (SignatureInvalidError, CouldNotCheckError)):
        return
    labels = [each.anchor.label for each in error.attempts if each.error is error and each.anchor is not None]
    found = [service for label in labels if (service := trust_list.by_id.get(label)) is not None]
    if not error.attempts:
        services = trust_list.services
        found = [each for each in services if each.certificates[0].subject == target.issuer]
    if len({service.id for service in found}) == 1:
        error.facts = {**error.facts, **service_facts(found[0])}


def _check_use(entry: StatusEntry, used: datetime, moments: Moments, name: dict[str, Any]) -> tuple[str, ...]:
    if entry.status is Status.GRANTED:
        return ()
    if entry.status is Status.SUSPENDED:
        if entry.accept_existing:
            return ("CA_SUSPENDED_EXISTING_ACCEPTED",)
        raise ServiceStatusError("CA_SUSPENDED", since=entry.start, **name)
    code = "CA_WITHDRAWN" if entry.status is Status.WITHDRAWN else "CA_TERMINATED"
    until = entry.existing_until
    if until is not None and used < until and moments.status_answered:
        return (f"{code}_EXISTING_ACCEPTED",)
    raise ServiceStatusError(code, since=entry.start, **name)


def _compromised_since(service: TrustedService) -> datetime | None:
    starts = [entry.start for entry in service.history if entry.status is Status.KEY_COMPROMISED]
    return min(starts, default=None)
