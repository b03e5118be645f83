"""Review: queues, the next one, reasons at their fields, two reviewers above a threshold, filing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ra_fakes import idcard

from onecert.ra.config import RaConfig
from onecert.ra.errors import (
    ContentChangedError,
    FilingInvalidError,
    ReasonMissingError,
    ReturnReasonError,
    WrongStateError,
)
from onecert.ra.life.machine import State
from onecert.ra.models import orders
from onecert.ra.operators.scopes import EVERYWHERE
from onecert.ra.review.filing import Filing, find_filing
from onecert.ra.review.picks import find_picks
from onecert.ra.review.queues import QUEUES, count_queues, list_queue
from onecert.ra.review.reasons import Remark
from onecert.ra.review.remarks import last_return
from onecert.ra.review.rules import Rule
from onecert.ra.review.service_level import ServiceLevels, WorkingTime
from onecert.ra.review.tables import picks
from onecert.ra.review.thresholds import TwoReviewers
from onecert.server.operators import SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRIDAY = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)  # 15:00 in China


def citizens(ra, count):
    """So many submitted applications, a minute apart."""
    made = []
    for number in range(count):
        made.append(ra.submit(ra.entry("citizen", idcard=idcard(300 + number))))
        ra.clock.advance(timedelta(minutes=1))
    return made


@pytest.fixture
def two_needed(ra):
    """The policy: a citizen's certificate needs two reviewers; a second reviewer is there."""
    ra.applications._two_reviewers = TwoReviewers.from_settings(["type=citizen"])
    return ra.operator("qian", "clerk.review", person=idcard(120))


# Queues


def test_a_queue_is_read_to_its_end_by_cursor(ra) -> None:
    """Seven wait, three a page: each once, longest waiting first, also when one leaves in between."""
    made = citizens(ra, 7)
    seen, cursor = [], None
    with ra.database.reading() as connection:
        while True:
            page = list_queue(connection, EVERYWHERE, QUEUES["review"].states, cursor=cursor, limit=3)
            seen += [item.id for item in page.items]
            if (cursor := page.next) is None:
                break
        assert seen == [each.id for each in made]
        assert count_queues(connection, EVERYWHERE)["review"] == 7
        rubbish = list_queue(connection, EVERYWHERE, QUEUES["review"].states, cursor="7~x", limit=3)
    assert [item.id for item in rubbish.items] == seen[:3]


def test_two_reviewers_are_given_different_ones(ra) -> None:
    """Each takes the next: never the same, never one's own, and after some minutes it is free again."""
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(121))
    own = ra.applications.submit(both, ra.create(ra.entry("citizen", idcard=idcard(290)), by=both).id)
    ra.clock.advance(timedelta(minutes=1))
    first, second = citizens(ra, 2)
    assert ra.service.picks.take_next(both).id == first.id
    assert ra.service.picks.take_next(both).id == first.id  # asked again: the same one
    assert ra.service.picks.take_next(ra.reviewer).id == own.id
    other = ra.operator("qian", "clerk.review", person=idcard(122))
    assert ra.service.picks.take_next(other).id == second.id
    assert ra.service.picks.take_next(ra.operator("sun", "clerk.review", person=idcard(123))) is None
    ra.clock.advance(ra.service.config.pick_keep)
    assert ra.service.picks.take_next(other).id == own.id
    ra.approve(ra.load(first.id))  # a pick forbids nothing, and goes with the decision
    with ra.database.reading() as connection:
        assert first.id not in find_picks(connection, [first.id], at=ra.clock.now())


@only_sqlite
def test_opening_says_who_is_reading(ra) -> None:
    """li opens it, then qian: qian is told, and li's pick stays."""
    [application] = citizens(ra, 1)
    other = ra.operator("qian", "clerk.review", person=idcard(122))
    assert ra.service.picks.open(ra.reviewer, application) is None
    assert ra.service.picks.open(other, application).operator_id == "li"
    assert [row["operator_id"] for row in ra.rows(picks)] == ["li"]


# Service levels and rules


@pytest.mark.parametrize(
    ("since", "hours", "due"),
    [
        (FRIDAY, 1, FRIDAY + timedelta(hours=1)),
        (FRIDAY, 4, datetime(2026, 11, 23, 3, 0, tzinfo=UTC)),  # two on Friday, two on Monday
        (FRIDAY + timedelta(days=1), 4, datetime(2026, 11, 23, 5, 0, tzinfo=UTC)),  # from Monday 09:00
        (FRIDAY, 2, FRIDAY + timedelta(hours=2)),  # the day's last minute still counts
        (FRIDAY - timedelta(hours=12), 1, datetime(2026, 11, 20, 2, 0, tzinfo=UTC)),  # before opening
    ],
)
def test_working_time(since, hours, due) -> None:
    """Monday to Friday, nine to five in China."""
    assert WorkingTime().after(since, timedelta(hours=hours)) == due


def test_holidays_do_not_count() -> None:
    """Monday is free: two hours of Friday, then Tuesday."""
    working = WorkingTime.from_settings("12345", "09:00-17:00", ["2026-11-23"])
    assert working.after(FRIDAY, timedelta(hours=3)) == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.integers(0, 200), st.integers(0, 200))
def test_more_work_is_never_due_earlier(since, hours, more) -> None:
    """Property: monotone, and never before the beginning."""
    since = since.replace(tzinfo=UTC)
    first = WorkingTime().after(since, timedelta(hours=hours))
    assert since <= first <= WorkingTime().after(since, timedelta(hours=hours + more))


def test_the_first_level_that_holds_counts() -> None:
    """A replacement is due earlier; what no level names is never due; soon is the last quarter."""
    lines = ["state=submitted business=replace within=1h", "state=submitted within=4h"]
    levels = ServiceLevels.from_settings(lines, WorkingTime())
    at = FRIDAY - timedelta(hours=5)  # 10:00
    facts = {"state": "submitted", "business": "new"}
    standing = [levels.due(facts, at, at + timedelta(hours=h)).standing for h in (1, 3.5, 5)]
    assert standing == ["in_time", "soon", "overdue"]
    replaced = {**facts, "business": "replace"}
    assert levels.due(replaced, at, at + timedelta(hours=2)).standing == "overdue"
    assert levels.due({"state": "draft"}, at, at) is None


@pytest.mark.parametrize(
    "words",
    [
        {"second_review": ("nonsense",)},
        {"second_review": ("colour=red",)},
        {"second_review": ("term>=long",)},
        {"second_review": ("",)},
        {"service_levels": ("state=submitted",)},
        {"working_hours": "17:00-09:00"},
        {"working_days": "89"},
        {"holidays": ("tomorrow",)},
        {"smtp_user": "onecert"},
        {"smtp_password_file": Path("password")},
        {"mail_from": "onecert"},
        {"office_mail": "office@example.com, other@example.com"},
        {"trust_list": "https://trust.example.com/trust-list.json"},
    ],
)
def test_a_policy_that_is_none_stops_the_start(words) -> None:
    """Must be refused, and not silently hold for nothing."""
    with pytest.raises(ValueError, match=r"."):
        RaConfig(**words)


def test_rules_hold_for_what_they_name() -> None:
    """All conditions of a rule; what is not known does not hold."""
    rule = Rule.parse("type=organisation|device term>=36", texts=["type"], numbers=["term"])
    assert rule.holds({"type": "device", "term": 36})
    assert not rule.holds({"type": "device", "term": 35})
    assert not rule.holds({"type": "citizen", "term": 60})
    assert not rule.holds({"type": "device", "term": None})


# Returning


@only_sqlite
def test_each_reason_stands_at_its_field(ra) -> None:
    """Three objections; the clerk finds each at its field, also after a second return."""
    application = ra.submit()
    remarks = [
        Remark(code="DIFFERS", field="organization_name", words="licence says 技术"),
        Remark(code="PAPER_MISSING"),
        Remark(code="OTHER", field="csr", words="wrong key"),
    ]
    returned = ra.applications.send_back(ra.reviewer, application.id, remarks=remarks)
    assert returned.state is State.RETURNED
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(f"/applications/{application.id}/edit")
    assert 'aria-invalid="true"' in clerk.page.partition('id="f-organization_name"')[2].partition(">")[0]
    assert "licence says 技术" in clerk.text
    assert 'href="#f-whole"' in clerk.page
    assert clerk.page.count('id="f-whole"') == 1
    clerk.get(f"/applications/{application.id}")
    assert "Organisation name: Differs from the papers" in clerk.text
    assert "A paper is missing" in clerk.text
    ra.applications.submit(ra.entry_clerk, application.id)
    again = [Remark(code="UNREADABLE", field="uscc")]
    ra.applications.send_back(ra.reviewer, application.id, remarks=again)
    with ra.database.reading() as connection:
        assert last_return(connection, application.id).remarks == (Remark(code="UNREADABLE", field="uscc"),)


@only_sqlite
@pytest.mark.parametrize(
    ("remark", "error"),
    [
        (Remark(code="NOWHERE", field="uscc"), ReturnReasonError),
        (Remark(code="DIFFERS", field="idcard"), ReturnReasonError),  # an organisation has no such field
        (Remark(code="PAPER_MISSING", field="uscc"), ReturnReasonError),  # not a field's reason
        (Remark(code="OTHER", field="uscc"), ReasonMissingError),
        (Remark(code="DIFFERS", field="uscc", words="x" * 501), ReasonMissingError),
        (None, ReasonMissingError),
    ],
)
def test_reasons_that_are_none(ra, remark, error) -> None:
    """Must be refused; it stays where it was."""
    application = ra.submit()
    with pytest.raises(error):
        ra.applications.send_back(ra.reviewer, application.id, remarks=[remark] if remark else [])
    assert ra.load(application.id).state is State.SUBMITTED


# Two reviewers


def test_above_the_threshold_two_reviewers_agree(ra, two_needed) -> None:
    """li passes it on; wang (entered) and li may not confirm; qian does; the order names all three."""
    [application] = citizens(ra, 1)
    passed = ra.approve(application)
    assert (passed.state, passed.passed_on_by, passed.order_id) == (State.SECOND_REVIEW, "li", None)
    assert ra.dispatch.carry_out(application.id).state is State.SECOND_REVIEW
    assert ra.rows(orders) == []
    with pytest.raises(SamePersonError):
        ra.approve(passed)
    assert ra.service.picks.take_next(ra.reviewer) is None
    assert ra.service.picks.take_next(two_needed).id == application.id
    done = ra.applications.approve(two_needed, application.id, content_sha256=passed.content_sha256)
    assert (done.state, done.reviewed_by) == (State.APPROVED, "qian")
    assert ra.dispatch.carry_out(application.id).state is State.ISSUED
    assert ra.events(application.id)[:4] == ["created", "submitted", "passed_on", "confirmed"]
    order, _answer = ra.ca.orders[done.order_id]
    assert order["approved_by"] == ["wang", "li", "qian"]


@only_sqlite
def test_two_accounts_of_one_person_are_one_reviewer(ra, two_needed) -> None:
    """li's other account must not be the second reviewer."""
    [application] = citizens(ra, 1)
    passed = ra.approve(application)
    ra.operators.config = type(ra.operators.config)(allow_same_person=True)
    twin = ra.operator("li2", "clerk.review", person=idcard(102))
    with pytest.raises(SamePersonError):
        ra.applications.approve(twin, application.id, content_sha256=passed.content_sha256)
    assert ra.load(application.id).state is State.SECOND_REVIEW


@only_sqlite
def test_the_second_reviewer_may_return_or_reject(ra, two_needed) -> None:
    """Returned, corrected and submitted again, it needs two again; rejected it is over."""
    first, second = citizens(ra, 2)
    passed = ra.approve(first)
    back = ra.applications.send_back(two_needed, first.id, reason="photo unclear")
    assert back.state is State.RETURNED
    again = ra.applications.submit(ra.entry_clerk, first.id)
    assert again.passed_on_by is None
    with pytest.raises(ContentChangedError):
        ra.applications.approve(ra.reviewer, first.id, content_sha256="0" * 64)
    assert ra.approve(again).state is State.SECOND_REVIEW
    assert passed.passed_on_by == "li"
    ra.approve(second)
    assert ra.applications.reject(two_needed, second.id, reason="forged").state is State.REJECTED


@only_sqlite
def test_below_the_threshold_one_is_enough(ra, two_needed) -> None:
    """An organisation is not in the rule."""
    assert ra.approve(ra.submit()).state is State.APPROVED


@only_sqlite
def test_no_sequence_skips_the_second_reviewer(ra, two_needed) -> None:
    """Three people act at random above the threshold; what is approved has three names."""
    people = [ra.operator(f"p{n}", "clerk.entry", "clerk.review", person=idcard(200 + n)) for n in range(4)]
    counter = iter(range(10**6))
    step = st.tuples(st.sampled_from(["submit", "approve", "send_back", "reject"]), st.sampled_from(people))

    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(people), st.lists(step, min_size=3, max_size=9))
    def attempt(enterer, steps) -> None:
        number = next(counter)
        entry = ra.entry("citizen", idcard=idcard(300 + number))
        target = ra.create(entry, by=enterer, key=f"second-{number}").id
        for act, who in steps:
            now = ra.load(target)
            words = {"approve": {"content_sha256": now.content_sha256 or ""}, "submit": {}}
            try:
                getattr(ra.applications, act)(who, target, **words.get(act, {"reason": "because"}))
            except (SamePersonError, WrongStateError, ContentChangedError):
                continue
        done = ra.load(target)
        if done.state is State.APPROVED:
            assert len({done.submitted_by, done.passed_on_by, done.reviewed_by}) == 3
            assert enterer.id not in {done.passed_on_by, done.reviewed_by}

    attempt()


# Filing


def test_papers_are_filed_under_a_number(ra) -> None:
    """Box, list of papers and note are on record with the act; without a number it is refused."""
    archivist = ra.operator("sun", "clerk.archive", person=idcard(124))
    maker = ra.operator("zhou", "clerk.media", person=idcard(125))
    issued = ra.issue()
    ra.applications.deliver(maker, issued.id)
    for filing in (Filing(place=" "), Filing(place="x" * 65), Filing(place="A-1", papers=["gold"])):
        with pytest.raises(FilingInvalidError):
            ra.applications.archive(archivist, issued.id, filing=filing)
    browser = ra.browser(archivist)
    browser.get("/applications?queue=filing")
    browser.get(f"/applications/{issued.id}/filing")
    browser.post(
        f"/applications/{issued.id}/filing",
        {"place": "2026-0117", "papers": ["form", "licence"], "note": "seal card follows"},
    )
    assert "is filed under 2026-0117" in browser.text
    with ra.database.reading() as connection:
        filed = find_filing(connection, issued.id)
    assert (filed.place, filed.papers, filed.actor) == ("2026-0117", ("form", "licence"), "sun")
    browser.get(f"/applications/{issued.id}")
    assert "2026-0117" in browser.text


# Two tabs, double clicks, the back button, a session that ended


def judge(browser, application, act, **words):
    """Open the review and press a button."""
    browser.get(f"/applications/{application.id}/review")
    form = {"act": act, "content_sha256": browser.value("content_sha256"), **words}
    return browser.post(f"/applications/{application.id}/judge", form)


@only_sqlite
def test_after_a_decision_the_next_one_opens(ra) -> None:
    """Two wait: after the first decision the second is shown; after that the queue has nothing more."""
    first, second = citizens(ra, 2)
    reviewer = ra.browser(ra.reviewer)
    reviewer.get("/applications")
    shown = reviewer.post("/next")
    assert shown.request.path.endswith(f"/applications/{first.id}/review")
    shown = judge(reviewer, first, "return", reason="photo unclear", next="yes")
    assert shown.request.path.endswith(f"/applications/{second.id}/review")
    assert f"{first.number} is returned" in reviewer.text
    judge(reviewer, second, "reject", reason="forged", next="yes")
    assert "Nothing else is waiting" in reviewer.text
    reviewer.post("/next")
    assert "Nothing is waiting that you may review" in reviewer.text


@only_sqlite
def test_whoever_entered_it_is_not_offered_the_review(ra) -> None:
    """One account with both roles: the page names no step that would be refused; a colleague's page does."""
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(130))
    draft = ra.create(by=both)
    ra.applications.submit(both, draft.id)
    mine, theirs = ra.browser(both), ra.browser(ra.reviewer)
    for browser in (mine, theirs):
        browser.get(f"/applications/{draft.id}")
    review = f'/applications/{draft.id}/review"'
    assert "Somebody else reviews it" in mine.text
    assert review not in mine.page
    assert review in theirs.page


@only_sqlite
def test_two_tabs_decide_differently(ra) -> None:
    """One tab approves, the other, still open, returns it. Must be refused with a sentence; a double click
    on approve as well; the back button leads to what became of it."""
    [application] = citizens(ra, 1)
    tab, other = ra.browser(ra.reviewer), ra.browser(ra.reviewer)
    other.get(f"/applications/{application.id}/review")
    stale = other.value("content_sha256")
    assert judge(tab, application, "approve").status_code == 200
    assert "certificate is issued" in tab.text
    path = f"/applications/{application.id}/judge"
    for form in ({"act": "return", "reason": "late"}, {"act": "approve", "content_sha256": stale}):
        assert other.post(path, form).status_code == 409
        assert "not possible any more" in other.text
    assert len(ra.rows(orders)) == 1
    back = tab.get(f"/applications/{application.id}/review")
    assert back.location.endswith(f"/applications/{application.id}")


@only_sqlite
def test_what_was_corrected_in_between_is_not_approved(ra) -> None:
    """li's page shows the first round; qian returned it and wang corrected it. li's approval is refused."""
    [application] = citizens(ra, 1)
    reviewer = ra.browser(ra.reviewer)
    reviewer.get(f"/applications/{application.id}/review")
    stale = reviewer.value("content_sha256")
    other = ra.operator("qian", "clerk.review", person=idcard(122))
    ra.applications.send_back(other, application.id, reason="name")
    changed = ra.entry("citizen", idcard=idcard(300), name="李泗")
    now = ra.load(application.id)
    ra.applications.save(ra.entry_clerk, application.id, changed, revision=now.revision)
    ra.applications.submit(ra.entry_clerk, application.id)
    answer = reviewer.post(
        f"/applications/{application.id}/judge", {"act": "approve", "content_sha256": stale}
    )
    assert answer.status_code == 409
    assert "Nothing has been approved" in reviewer.text


@only_sqlite
def test_objections_and_approval_do_not_go_together(ra) -> None:
    """An objection is chosen and Approve pressed: refused, and the choice is still there."""
    [application] = citizens(ra, 1)
    reviewer = ra.browser(ra.reviewer)
    form = {"at-name": "DIFFERS", "words-name": "licence says otherwise"}
    assert judge(reviewer, application, "approve", **form).status_code == 422
    assert "nothing has been approved" in reviewer.text
    assert "licence says otherwise" in reviewer.page
    assert ra.load(application.id).state is State.SUBMITTED
    judge(reviewer, application, "return", **form)
    assert ra.load(application.id).state is State.RETURNED


@only_sqlite
def test_a_session_that_ended_in_a_review_loses_nothing(ra) -> None:
    """The session runs out while li writes: nothing is decided, and the words come back to be sent again."""
    [application] = citizens(ra, 1)
    reviewer = ra.browser(ra.reviewer)
    reviewer.get(f"/applications/{application.id}/review")
    ra.clock.advance(timedelta(hours=24))
    form = {"act": "return", "reason": "the seal is missing on page two"}
    answer = reviewer.post(f"/applications/{application.id}/judge", form)
    assert answer.status_code == 401
    assert "the seal is missing on page two" in reviewer.page
    assert ra.load(application.id).state is State.SUBMITTED
