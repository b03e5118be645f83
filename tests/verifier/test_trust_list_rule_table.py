"""The rule table of service states, cell by cell: the state at issue by the state at use, and each column.

A history is granted from G, has the state at issue from X and the state at use from Y; I lies after X and S
after Y, except that a service may have issued before its first grant. ``test_every_cell_is_here`` makes sure
that no state, term or column was forgotten.
"""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from onecert.verifier.errors import RefusedError
from onecert.verifier.service_status import Moments, check_service
from onecert.verifier.trust_list.history import check_history
from onecert.verifier.trust_list.model import LocalText, StatusEntry, TrustedService
from onecert.verifier.trust_list.vocabulary import SERVICE_TYPE_CA, Status

DAY = timedelta(days=1)
G = datetime(2025, 1, 1, tzinfo=UTC)
X, Y, LATER = (G + days * DAY for days in (100, 200, 300))
I, S, UNTIL_OPEN, UNTIL_PAST, C = X + DAY, Y + 10 * DAY, Y + 20 * DAY, Y + 5 * DAY, LATER + DAY  # noqa: E741
BEFORE_G = G - DAY

GRANTED, SUSPENDED, WITHDRAWN = Status.GRANTED, Status.SUSPENDED, Status.WITHDRAWN
TERMINATED, COMPROMISED = Status.TERMINATED, Status.KEY_COMPROMISED

# What an officer wrote with the state at use, and whether the status service still answers.
TERMS: dict[Status, tuple[str, ...]] = {
    GRANTED: ("",),
    SUSPENDED: ("refuse", "accept_existing"),
    WITHDRAWN: ("", "until open", "until open, silent", "until past"),
    TERMINATED: ("", "until open", "until open, silent", "until past"),
    COMPROMISED: ("",),
}
# What happened between use and check; only a proved time keeps the verdict of S.
COLUMNS = (
    "login",
    "proved",
    "proved, withdrawn later",
    "proved, compromised later",
    "claimed, withdrawn later",
    "claimed, compromised later",
)
NOT_GRANTED = "CA_NOT_GRANTED_AT_ISSUE"
LOST = "CA_KEY_COMPROMISED"


def row(at_use: str, *, unproved: str = "CA_WITHDRAWN") -> tuple[str, ...]:
    """The cells of one row, from the verdict on the states at I and S."""
    return (at_use, at_use, at_use, at_use, unproved, LOST)


NEVER = row(NOT_GRANTED, unproved=NOT_GRANTED)
# Nothing can follow a lost key, so that the columns of what came later do not exist.
KEY_LOST = (LOST, LOST, "", "", "", "")

TABLE: dict[tuple[Status | None, Status, str], tuple[str, ...]] = {
    (GRANTED, GRANTED, ""): row("accepted"),
    (GRANTED, SUSPENDED, "refuse"): row("CA_SUSPENDED"),
    (GRANTED, SUSPENDED, "accept_existing"): row("CA_SUSPENDED_EXISTING_ACCEPTED"),
    (GRANTED, WITHDRAWN, ""): row("CA_WITHDRAWN"),
    (GRANTED, WITHDRAWN, "until open"): row("CA_WITHDRAWN_EXISTING_ACCEPTED"),
    (GRANTED, WITHDRAWN, "until open, silent"): row("CA_WITHDRAWN"),
    (GRANTED, WITHDRAWN, "until past"): row("CA_WITHDRAWN"),
    (GRANTED, TERMINATED, ""): row("CA_TERMINATED"),
    (GRANTED, TERMINATED, "until open"): row("CA_TERMINATED_EXISTING_ACCEPTED"),
    (GRANTED, TERMINATED, "until open, silent"): row("CA_TERMINATED"),
    (GRANTED, TERMINATED, "until past"): row("CA_TERMINATED"),
    (GRANTED, COMPROMISED, ""): KEY_LOST,
    (COMPROMISED, COMPROMISED, ""): KEY_LOST,
    # Whatever came after: what was issued without a grant is never accepted. None: before there was any.
    **{
        (at_issue, at_use, terms): KEY_LOST if at_use is COMPROMISED else NEVER
        for at_issue in (None, SUSPENDED, WITHDRAWN, TERMINATED)
        for at_use in Status
        for terms in TERMS[at_use]
    },
}


def entry(status: Status, start: datetime, terms: str = "") -> StatusEntry:
    until = {"until open": UNTIL_OPEN, "until open, silent": UNTIL_OPEN, "until past": UNTIL_PAST}.get(terms)
    taken_over_by = "harbour" if status is TERMINATED and until else None
    return StatusEntry(
        status=status,
        start=start,
        accept_existing=terms == "accept_existing",
        existing_until=until,
        taken_over_by=taken_over_by,
    )


def service(*entries: StatusEntry, log: bool = False) -> TrustedService:
    """With a history that a list may have."""
    check_history("pearl", list(entries))
    return TrustedService(
        id="pearl",
        service_type=SERVICE_TYPE_CA,
        name=LocalText("珠江CA", "Pearl CA"),
        entity=LocalText("珠江公司", "Pearl Ltd"),
        certificates=(),
        history=entries,
        issuance_log_required=log,
    )


CELLS = [
    (at_issue, at_use, terms, column, verdict)
    for (at_issue, at_use, terms), verdicts in TABLE.items()
    for column, verdict in zip(COLUMNS, verdicts, strict=True)
    if verdict
]


def judge(
    at_issue: Status | None,
    at_use: Status,
    terms: str,
    column: str,
    *,
    log: bool = False,
    recorded: bool = False,
) -> str:
    """The code of the refusal or of the warning, or ``accepted``."""
    entries = [entry(GRANTED, G)]
    if at_issue not in (None, COMPROMISED):
        assert at_issue is not None
        entries.append(entry(at_issue, X))
    entries.append(entry(at_use, X if at_issue is COMPROMISED else Y, terms))
    if "later" in column:
        entries.append(entry(WITHDRAWN if "withdrawn" in column else COMPROMISED, LATER))
    moments = Moments(
        issued=I if at_issue else BEFORE_G,
        used=S,
        checked=S if column == "login" else C,
        recorded=recorded,
        time_proved="proved" in column,
        status_answered="silent" not in terms,
    )
    return verdict_of(service(*entries, log=log), moments)


def verdict_of(ca: TrustedService, moments: Moments) -> str:
    try:
        verdict = check_service(ca, moments)
    except RefusedError as error:
        return error.code
    assert verdict.at_issue is GRANTED
    assert verdict.issue_time == ("recorded" if moments.recorded else "claimed")
    return verdict.warnings[0] if verdict.warnings else "accepted"


def test_every_cell_is_here() -> None:
    """Each state at issue meets each state at use with each of its terms; only a lost key stays lost."""
    rows = {
        (at_issue, at_use, terms)
        for at_issue, at_use in itertools.product([None, *Status], Status)
        for terms in TERMS[at_use]
        if at_issue is not COMPROMISED or at_use is COMPROMISED
    }
    assert set(TABLE) == rows
    assert len(CELLS) == 55 * len(COLUMNS) + 6 * 2


@pytest.mark.parametrize(("at_issue", "at_use", "terms", "column", "verdict"), CELLS)
def test_cell(at_issue: Status | None, at_use: Status, terms: str, column: str, verdict: str) -> None:
    assert judge(at_issue, at_use, terms, column) == verdict


@pytest.mark.parametrize(("at_issue", "at_use", "terms", "column", "verdict"), CELLS)
def test_cell_with_an_issuance_log(
    at_issue: Status | None, at_use: Status, terms: str, column: str, verdict: str
) -> None:
    """The record takes the place of the certificate's claim; if it is missing, I is unknown."""
    assert judge(at_issue, at_use, terms, column, log=True, recorded=True) == verdict
    assert judge(at_issue, at_use, terms, column, recorded=True) == verdict
    assert judge(at_issue, at_use, terms, column, log=True) == "CA_ISSUE_TIME_UNKNOWN"


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        (Y - timedelta(seconds=1), "accepted"),
        (Y, "CA_TERMINATED_EXISTING_ACCEPTED"),
        (UNTIL_OPEN - timedelta(seconds=1), "CA_TERMINATED_EXISTING_ACCEPTED"),
        (UNTIL_OPEN, "CA_TERMINATED"),
        (LATER - timedelta(seconds=1), "CA_TERMINATED"),
        (LATER, LOST),
    ],
)
@pytest.mark.parametrize("proved", [True, False])
def test_borders(used: datetime, verdict: str, proved: bool) -> None:
    """Each state includes its start, and ``existing_until`` is the first moment that is too late."""
    ca = service(entry(GRANTED, G), entry(TERMINATED, Y, "until open"), entry(COMPROMISED, LATER))
    moments = Moments(issued=G, used=used, checked=C if proved else used, time_proved=proved)
    assert verdict_of(ca, moments) == verdict
