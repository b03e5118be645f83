"""How long certificates are valid: exact to the second, for every profile and every moment of issue."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ca_profiles import profile_text
from hypothesis import given
from hypothesis import strategies as st

from onecert.ca.errors import CertificateTermError, IssuerExpiresError
from onecert.ca.profiles.file import profile_from_text
from onecert.ca.profiles.term import certificate_term, is_longer, is_whole_term, last_second

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PROFILE = profile_from_text(profile_text())
FAR = datetime(9999, 12, 31, tzinfo=UTC)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=0)
)


def days(number: int, **changes: Any) -> Any:
    return replace(PROFILE, validity_days=number, validity_months=0, **changes)


def months(number: int, **changes: Any) -> Any:
    return replace(PROFILE, validity_days=0, validity_months=number, **changes)


def term(profile: Any, at: datetime = T, **changes: Any) -> tuple[datetime, datetime]:
    facts = {"issuer": "x", "issuer_not_before": T - 3650 * DAY, "issuer_not_after": FAR}
    return certificate_term(profile, at=at, **(facts | changes))


@given(moments, st.integers(1, 36525))
def test_days_have_no_extra_second(start: datetime, number: int) -> None:
    """Both ends count: from first to last second there are exactly so many days of 86,400 seconds."""
    end = last_second(days(number), start)
    assert (end - start) // SECOND + 1 == number * 86400
    assert is_whole_term(days(number), start, end)
    for wrong in (end - SECOND, end + SECOND):
        assert not is_whole_term(days(number), start, wrong)
    assert is_longer(days(number), start, end + SECOND)
    assert not is_longer(days(number), start, end)


@given(moments, st.integers(1, 1200))
def test_months_end_on_the_same_day_or_the_last_of_the_month(start: datetime, number: int) -> None:
    end = last_second(months(number), start) + SECOND
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == number
    assert end.day == min(start.day, calendar.monthrange(end.year, end.month)[1])
    assert end.time() == start.time()
    assert is_whole_term(months(number), start, end - SECOND)
    for wrong in (end, end - 2 * SECOND, end - DAY, end + DAY):
        assert not is_whole_term(months(number), start, wrong)
    assert is_longer(months(number), start, end)
    assert not is_longer(months(number), start, end - SECOND)


@pytest.mark.parametrize(
    ("start", "number", "end"),
    [
        ("2024-02-29T12:00:00", 12, "2025-02-28T11:59:59"),
        ("2024-02-29T12:00:00", 48, "2028-02-29T11:59:59"),
        ("2023-02-28T00:00:00", 12, "2024-02-27T23:59:59"),
        ("2026-01-31T08:00:00", 1, "2026-02-28T07:59:59"),
        ("2026-12-31T23:59:59", 2, "2027-02-28T23:59:58"),
        ("2096-02-29T00:00:00", 48, "2100-02-27T23:59:59"),
    ],
)
def test_leap_years_and_short_months(start: str, number: int, end: str) -> None:
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert last_second(months(number), first) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@given(moments, st.integers(0, 30))
def test_backdating_is_bounded_and_takes_nothing_from_the_rule(at: datetime, minutes: int) -> None:
    """The term counts from notBefore, so that a backdated certificate lives no longer."""
    profile = days(30, backdate_minutes=minutes)
    start, end = term(profile, at, issuer_not_before=datetime(1990, 1, 1, tzinfo=UTC))
    assert at - start == timedelta(minutes=minutes) <= timedelta(minutes=30)
    assert end - start == 30 * DAY - SECOND


def test_never_before_its_issuer() -> None:
    start, _end = term(days(30, backdate_minutes=30), issuer_not_before=T - SECOND)
    assert start == T - SECOND


def test_ends_with_its_issuer_only_when_the_profile_says_so() -> None:
    with pytest.raises(IssuerExpiresError):
        term(days(30), issuer_not_after=T + 10 * DAY)
    assert term(days(30, clip_to_issuer=True), issuer_not_after=T + 10 * DAY) == (T, T + 10 * DAY)
    assert term(days(30, clip_to_issuer=True)) == (T, T + 30 * DAY - SECOND)
    # Its last second belongs to the issuer, too; after it there is nothing to give.
    with pytest.raises(IssuerExpiresError):
        term(days(30, clip_to_issuer=True), issuer_not_after=T)


def test_an_end_that_is_asked_for_is_given_or_refused() -> None:
    assert term(days(30), asked=T + DAY) == (T, T + DAY)
    for asked in (T, T - DAY, T + 30 * DAY, T + timedelta(microseconds=5)):
        with pytest.raises(CertificateTermError):
            term(days(30), asked=asked)
    with pytest.raises(IssuerExpiresError):
        term(days(30, clip_to_issuer=True), asked=T + 20 * DAY, issuer_not_after=T + 10 * DAY)


def test_beyond_the_year_9999_is_refused() -> None:
    with pytest.raises(IssuerExpiresError):
        term(months(1200), datetime(9950, 1, 1, tzinfo=UTC))
    with pytest.raises(IssuerExpiresError):
        term(days(36525), datetime(9950, 1, 1, tzinfo=UTC))
