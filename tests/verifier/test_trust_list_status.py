"""The rule table of service states (module service_status), every cell.

The history used: granted from G, the state under test from X, a second grant (where there is one) from Y.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from onecert.verifier.errors import RefusedError
from onecert.verifier.service_status import Moments, ServiceVerdict, check_service
from onecert.verifier.trust_list.model import Contact, LocalText, StatusEntry, TrustedService
from onecert.verifier.trust_list.vocabulary import SERVICE_TYPE_CA, Status

DAY = timedelta(days=1)
G = datetime(2025, 1, 1, tzinfo=UTC)
X = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
Y = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE, DURING, LATER = X - 30 * DAY, X + 10 * DAY, Y + 10 * DAY


def service(*entries: StatusEntry, log: bool = False) -> TrustedService:
    granted = StatusEntry(status=Status.GRANTED, start=G)
    return TrustedService(
        id="pearl",
        service_type=SERVICE_TYPE_CA,
        name=LocalText("珠江CA", "Pearl CA"),
        entity=LocalText("珠江公司", "Pearl Ltd"),
        certificates=(),
        history=(granted, *entries),
        issuance_log_required=log,
        contact=Contact(hotline="0755-1"),
    )


GRANTED = service()
SUSPENDED = service(StatusEntry(status=Status.SUSPENDED, start=X))
SUSPENDED_KIND = service(StatusEntry(status=Status.SUSPENDED, start=X, accept_existing=True))
WITHDRAWN = service(StatusEntry(status=Status.WITHDRAWN, start=X))
WITHDRAWN_UNTIL = service(StatusEntry(status=Status.WITHDRAWN, start=X, existing_until=UNTIL))
TERMINATED = service(StatusEntry(status=Status.TERMINATED, start=X))
TERMINATED_UNTIL = service(
    StatusEntry(status=Status.TERMINATED, start=X, existing_until=UNTIL, taken_over_by="harbour")
)
COMPROMISED = service(StatusEntry(status=Status.KEY_COMPROMISED, start=X))
REGRANTED = service(
    StatusEntry(status=Status.WITHDRAWN, start=X), StatusEntry(status=Status.GRANTED, start=Y)
)
WITHDRAWN_THEN_COMPROMISED = service(
    StatusEntry(status=Status.WITHDRAWN, start=X, existing_until=LATER),
    StatusEntry(status=Status.KEY_COMPROMISED, start=Y),
)


def login(issued: datetime, at: datetime, **more: bool) -> Moments:
    return Moments(issued=issued, used=at, checked=at, **more)


def signature(issued: datetime, used: datetime, checked: datetime, **more: bool) -> Moments:
    return Moments(issued=issued, used=used, checked=checked, time_proved=True, **more)


ACCEPTED = [
    # granted / granted
    (GRANTED, login(G, BEFORE), ()),
    (GRANTED, signature(G, BEFORE, LATER), ()),
    # granted at issue and use, whatever came later
    (SUSPENDED, signature(G, BEFORE, LATER), ()),
    (WITHDRAWN, signature(G, BEFORE, LATER), ()),
    (TERMINATED, signature(G, BEFORE, LATER), ()),
    (REGRANTED, signature(G, BEFORE, LATER), ()),
    # suspended, existing accepted
    (SUSPENDED_KIND, login(BEFORE, DURING), ("CA_SUSPENDED_EXISTING_ACCEPTED",)),
    (SUSPENDED_KIND, signature(BEFORE, DURING, LATER), ("CA_SUSPENDED_EXISTING_ACCEPTED",)),
    # withdrawn and terminated, before existing_until
    (WITHDRAWN_UNTIL, login(BEFORE, DURING), ("CA_WITHDRAWN_EXISTING_ACCEPTED",)),
    (WITHDRAWN_UNTIL, login(BEFORE, UNTIL - timedelta(seconds=1)), ("CA_WITHDRAWN_EXISTING_ACCEPTED",)),
    (WITHDRAWN_UNTIL, signature(BEFORE, DURING, LATER), ("CA_WITHDRAWN_EXISTING_ACCEPTED",)),
    (TERMINATED_UNTIL, login(BEFORE, DURING), ("CA_TERMINATED_EXISTING_ACCEPTED",)),
    (TERMINATED_UNTIL, signature(BEFORE, DURING, LATER), ("CA_TERMINATED_EXISTING_ACCEPTED",)),
    # a second grant
    (REGRANTED, login(Y, LATER), ()),
    (REGRANTED, login(BEFORE, LATER), ()),
    # compromised: a timestamp proves the signature older
    (COMPROMISED, signature(G, BEFORE, LATER), ()),
    (WITHDRAWN_THEN_COMPROMISED, signature(G, DURING, LATER), ("CA_WITHDRAWN_EXISTING_ACCEPTED",)),
    # the compromise begins after the check
    (COMPROMISED, login(G, BEFORE), ()),
]

REFUSED = [
    # issued before there was any grant
    (GRANTED, login(G - DAY, BEFORE), "CA_NOT_GRANTED_AT_ISSUE"),
    # not granted at issue: suspended, withdrawn, terminated; whatever the state at use
    (SUSPENDED, login(DURING, DURING + DAY), "CA_NOT_GRANTED_AT_ISSUE"),
    (SUSPENDED_KIND, login(DURING, DURING + DAY), "CA_NOT_GRANTED_AT_ISSUE"),
    (WITHDRAWN, login(DURING, DURING + DAY), "CA_NOT_GRANTED_AT_ISSUE"),
    (WITHDRAWN_UNTIL, login(DURING, DURING + DAY), "CA_NOT_GRANTED_AT_ISSUE"),
    (WITHDRAWN_UNTIL, signature(DURING, DURING + DAY, LATER), "CA_NOT_GRANTED_AT_ISSUE"),
    (TERMINATED_UNTIL, login(X, DURING), "CA_NOT_GRANTED_AT_ISSUE"),  # the interval includes its start
    (REGRANTED, login(DURING, LATER), "CA_NOT_GRANTED_AT_ISSUE"),  # a new grant heals nothing
    # suspended
    (SUSPENDED, login(BEFORE, DURING), "CA_SUSPENDED"),
    (SUSPENDED, login(BEFORE, X), "CA_SUSPENDED"),
    (SUSPENDED, signature(BEFORE, DURING, LATER), "CA_SUSPENDED"),
    # withdrawn and terminated
    (WITHDRAWN, login(BEFORE, DURING), "CA_WITHDRAWN"),
    (WITHDRAWN, signature(BEFORE, DURING, LATER), "CA_WITHDRAWN"),
    (WITHDRAWN_UNTIL, login(BEFORE, UNTIL), "CA_WITHDRAWN"),  # the end is excluded
    (WITHDRAWN_UNTIL, signature(BEFORE, UNTIL, LATER), "CA_WITHDRAWN"),
    (WITHDRAWN_UNTIL, login(BEFORE, DURING, status_answered=False), "CA_WITHDRAWN"),
    (TERMINATED, login(BEFORE, DURING), "CA_TERMINATED"),
    (TERMINATED_UNTIL, login(BEFORE, UNTIL), "CA_TERMINATED"),
    (TERMINATED_UNTIL, login(BEFORE, DURING, status_answered=False), "CA_TERMINATED"),
    # key compromised: logins always, signatures without an older timestamp
    (COMPROMISED, login(G, DURING), "CA_KEY_COMPROMISED"),
    (COMPROMISED, login(G, X), "CA_KEY_COMPROMISED"),
    (COMPROMISED, signature(G, X, LATER), "CA_KEY_COMPROMISED"),
    (COMPROMISED, signature(DURING, DURING + DAY, LATER), "CA_KEY_COMPROMISED"),
    (
        COMPROMISED,
        Moments(issued=G, used=BEFORE, checked=DURING),
        "CA_KEY_COMPROMISED",
    ),  # S not proved: S = C
    (WITHDRAWN_THEN_COMPROMISED, login(G, LATER), "CA_KEY_COMPROMISED"),
    # a signature without proved time is judged at the check
    (WITHDRAWN, Moments(issued=G, used=BEFORE, checked=DURING), "CA_WITHDRAWN"),
    # times that make no sense
    (GRANTED, login(BEFORE, BEFORE - DAY), "CA_USED_BEFORE_ISSUE"),
    (GRANTED, signature(BEFORE, LATER, DURING), "CA_USED_IN_FUTURE"),
]


@pytest.mark.parametrize(("ca", "moments", "warnings"), ACCEPTED)
def test_accepted(ca: TrustedService, moments: Moments, warnings: tuple[str, ...]) -> None:
    verdict = check_service(ca, moments)
    assert verdict.warnings == warnings
    assert verdict.issue_time == "claimed"
    assert verdict.at_issue is Status.GRANTED


@pytest.mark.parametrize(("ca", "moments", "code"), REFUSED)
def test_refused(ca: TrustedService, moments: Moments, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_service(ca, moments)
    assert caught.value.code == code
    if code != "CA_USED_IN_FUTURE" and code != "CA_USED_BEFORE_ISSUE":
        assert "珠江CA" in caught.value.text("zh")
        assert "Pearl CA" in caught.value.text("en")


def test_issuance_record() -> None:
    """A service that must record what it issues: without the record the time of issue is unknown."""
    logged = service(log=True)
    verdict = check_service(logged, login(G, BEFORE, recorded=True))
    assert verdict == ServiceVerdict(at_issue=Status.GRANTED, at_use=Status.GRANTED, issue_time="recorded")
    with pytest.raises(RefusedError) as caught:
        check_service(logged, login(G, BEFORE))
    assert caught.value.code == "CA_ISSUE_TIME_UNKNOWN"


def test_every_login_over_time_changes_only_at_the_borders() -> None:
    """Walk through a year in days: the verdict of one certificate changes exactly where the history says."""
    ca = service(
        StatusEntry(status=Status.SUSPENDED, start=X),
        StatusEntry(status=Status.GRANTED, start=UNTIL),
        StatusEntry(status=Status.WITHDRAWN, start=Y),
    )
    verdicts: list[tuple[datetime, str]] = []
    for day in range(600):
        at = G + day * DAY
        try:
            check_service(ca, login(G, at))
            verdicts.append((at, "accepted"))
        except RefusedError as error:
            verdicts.append((at, error.code))
    changes = [(b[0], b[1]) for a, b in pairwise(verdicts) if a[1] != b[1]]
    assert changes == [(X, "CA_SUSPENDED"), (UNTIL, "accepted"), (Y, "CA_WITHDRAWN")]
