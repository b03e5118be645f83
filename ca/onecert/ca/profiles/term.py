"""How long a certificate is valid, exact to the second.

notAfter is inclusive (RFC 5280, section 4.1.2.5): a certificate of 365 days has its last second 365 days less
one second after its first. (Let's Encrypt issued one second too much for years, found in 2021.) Months and
years are those of the calendar in UTC; where the month has no such day, its last day counts, so that a term
is never longer than the profile says.
"""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta

from onecert.ca.errors import CertificateTermError, IssuerExpiresError
from onecert.ca.profiles.data import Profile

__all__ = ["certificate_term", "first_second", "is_longer", "is_whole_term", "last_second"]

SECOND = timedelta(seconds=1)


def first_second(profile: Profile, at: datetime) -> datetime:
    """Tell the first second of what is issued at this moment, whenever its issuer began."""
    return at.replace(microsecond=0) - timedelta(minutes=profile.backdate_minutes)


def last_second(profile: Profile, not_before: datetime) -> datetime:
    """Tell the last second of a whole term.

    Raises:
        OverflowError: it lies after the year 9999.
    """
    if profile.validity_months:
        return _months_later(not_before, profile.validity_months) - SECOND
    return not_before + timedelta(days=profile.validity_days) - SECOND


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    if year > datetime.max.year:
        raise OverflowError(year)
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


def certificate_term(
    profile: Profile,
    *,
    issuer: str,
    issuer_not_before: datetime,
    issuer_not_after: datetime,
    at: datetime,
    asked: datetime | None = None,
) -> tuple[datetime, datetime]:
    """Choose notBefore and notAfter of one certificate.

    Args:
        issuer: its name, for the error.
        at: the moment of issue; notBefore lies before it by what the profile says, never before the issuer's.
        asked: an end before the profile's, when the order asks for one.

    Raises:
        IssuerExpiresError: it would outlive its issuer, and the profile does not let it end with it.
        CertificateTermError: the order asks for an end that the profile does not allow.
    """
    not_before = max(first_second(profile, at), issuer_not_before)
    try:
        not_after = last_second(profile, not_before)
    except OverflowError as exc:
        raise IssuerExpiresError(issuer, issuer_not_after.isoformat()) from exc
    if asked is not None:
        if not not_before < asked <= not_after or asked.microsecond:
            raise CertificateTermError(asked.isoformat(), not_after.isoformat())
        not_after = asked
    if not_after > issuer_not_after:
        # An end that was asked for by name is given or refused, never changed.
        if not profile.clip_to_issuer or asked is not None or not_before >= issuer_not_after:
            raise IssuerExpiresError(issuer, issuer_not_after.isoformat())
        not_after = issuer_not_after
    return not_before, not_after


# For the lint, written apart from what the draft is made with.


def is_whole_term(profile: Profile, not_before: datetime, not_after: datetime) -> bool:
    """Tell whether these are the first and the last second of a whole term."""
    end = not_after + SECOND
    if not profile.validity_months:
        return end - not_before == timedelta(days=profile.validity_days)
    is_last_day = end.day < not_before.day and (end + timedelta(days=1)).day == 1
    is_day = (end.day == not_before.day or is_last_day) and end.time() == not_before.time()
    return is_day and _months(not_before, end) == profile.validity_months


def is_longer(profile: Profile, not_before: datetime, not_after: datetime) -> bool:
    """Tell whether these are further apart than a whole term."""
    end = not_after + SECOND
    if not profile.validity_months:
        return end - not_before > timedelta(days=profile.validity_days)
    months = _months(not_before, end)
    if months != profile.validity_months:
        return months > profile.validity_months
    day = min(not_before.day, calendar.monthrange(end.year, end.month)[1])
    return (end.day, end.time()) > (day, not_before.time())


def _months(start: datetime, end: datetime) -> int:
    return (end.year - start.year) * 12 + end.month - start.month
