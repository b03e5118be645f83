"""The desk: counters by role and scope, along indexes only; what somebody did last; links that lead there."""

import re
from typing import Any

import pytest
from ra_fakes import DAY, idcard
from sqlalchemy import event, insert

from onecert.ra.desk.ending import count_ending
from onecert.ra.desk.recent import list_recent
from onecert.ra.desk.waiting import list_waiting
from onecert.ra.models import certificates, operator_scopes
from onecert.ra.operators.enrolment import Ask, EnrolmentKind

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def counters(ra: Any, operator: Any) -> dict[str, int]:
    with ra.database.reading() as connection:
        scope = ra.service.reach.scope(connection, operator)
        found = list_waiting(connection, scope, operator, at=ra.clock.now())
        return {each.name: each.count for each in found}


def put_elsewhere(ra: Any, operator: Any, point: str) -> None:
    with ra.database.transaction() as connection:
        row = {"operator_id": operator.id, "point": point, "authority": "*", "profile": "*"}
        connection.execute(insert(operator_scopes).values(**row))


def test_each_role_sees_its_own_work(ra) -> None:
    """One draft, one to review, one issued: each counter stands on the desks of its role, and on no other."""
    ra.create(ra.entry("citizen"))
    ra.submit()
    ra.issue(ra.entry("citizen", idcard=idcard(140)))
    media = ra.operator("sun", "clerk.media", person=idcard(104))

    assert counters(ra, ra.entry_clerk) == {"entry": 1, "returned": 0}
    assert counters(ra, ra.reviewer)["review"] == 1
    assert "entry" not in counters(ra, ra.reviewer)
    assert counters(ra, media)["delivery"] == 1
    assert counters(ra, ra.officer) == {"cases": 0, "revocations": 0}
    assert counters(ra, ra.operator("zhou", "auditor", person=idcard(105))) == {}


def test_another_points_work_is_not_counted(ra) -> None:
    """li works at another point now: nothing of the main point waits there."""
    ra.submit()
    ra.service.points.open_point(ra.operator("gu", "administrator", person=idcard(106)), "east", name="东区")
    put_elsewhere(ra, ra.reviewer, "east")

    assert counters(ra, ra.reviewer)["review"] == 0


def test_a_revocation_without_an_answer_stands_out(ra) -> None:
    """The CA is down when zhao revokes: the desk says so, in the colour and the words of a danger."""
    ra.issue()
    certificate = ra.rows(certificates)[0]
    ra.certificates.request_change(
        ra.officer,
        certificate["authority"],
        certificate["serial_hex"],
        reason="keyCompromise",
        request_key="1",
    )

    assert counters(ra, ra.officer)["revocations"] == 1
    officer = ra.browser(ra.officer)
    officer.get("/")
    assert re.search(r'<li class="stat danger">', officer.page)


def test_administrators_see_requests_and_accounts_that_end(ra) -> None:
    """One request waits; wang's account ends in ten days, which wang is told, too."""
    admin = ra.operator("gu", "administrator", person=idcard(106))
    ra.service.enrolments.ask(admin, Ask(kind=EnrolmentKind.RESUME, operator_id="wang"))
    ra.clock.set(ra.entry_clerk.valid_until - 10 * DAY)
    # All accounts of this test end on one day, so all are counted.
    assert counters(ra, admin) == {"enrolments": 1, "expiring": 4}

    clerk = ra.browser(ra.entry_clerk)
    clerk.get("/")
    assert "Your account ends on" in clerk.text


@only_sqlite
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_desk_leads_to_the_work(ra, language) -> None:
    """Every link of every counter is a page."""
    ra.submit()
    ra.create(ra.entry("citizen"))
    roles = (
        "clerk.entry",
        "clerk.review",
        "clerk.media",
        "clerk.archive",
        "security.officer",
        "administrator",
    )
    browser = ra.browser(ra.operator("all", *roles, person=idcard(107)), language=language)
    browser.get("/")
    links = re.findall(r'<li class="stat[^"]*">\s*<a href="/ra([^"]+)"', browser.page)

    assert len(links) >= 8
    for link in links:
        assert browser.get(link.replace("&amp;", "&")).status_code == 200, link


def test_what_somebody_did_last(ra) -> None:
    """Newest first, with the holder's name; of another's acts nothing."""
    first, second = ra.submit(), ra.submit(ra.entry("citizen", idcard=idcard(141)))
    ra.approve(second)
    with ra.database.reading() as connection:
        mine = list_recent(connection, ra.entry_clerk.actor)
        theirs = list_recent(connection, ra.reviewer.actor)

    assert [act.record_id for act in mine][:2] == [second.id, second.id]
    assert {act.record_id for act in mine} == {first.id, second.id}
    assert [(act.event, act.record_id, act.name) for act in theirs] == [
        ("application.approved", second.id, second.name)
    ]


@only_sqlite
def test_nothing_to_do_is_said(ra) -> None:
    """An empty desk says so; roles that only read are told where to go."""
    reviewer = ra.browser(ra.reviewer)
    reviewer.get("/")
    assert "All done" in reviewer.text
    auditor = ra.browser(ra.operator("zhou", "auditor", person=idcard(105)))
    auditor.get("/")
    assert "Your roles read" in auditor.text


def test_no_counter_reads_what_is_done(ra) -> None:
    """The engine's own plan of each statement: along an index, and with an end."""
    roles = ("clerk.entry", "clerk.review", "clerk.media", "clerk.archive", "security.officer")
    everyone = ra.operator("all", *roles, person=idcard(107))
    plans = plans_of(ra, everyone)

    assert len(plans) == 6  # applications by state, batches, cases, revocations, the trail, renewals due
    for statement, plan in plans:
        assert "LIMIT" in statement, statement
        assert not re.search(r"SCAN (ra_|audit)|Seq Scan", plan), (statement, plan)


def plans_of(ra: Any, operator: Any) -> list[tuple[str, str]]:
    """Each statement of the desk, and how the engine says that it runs it."""
    seen: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        seen.setdefault(statement, parameters)

    with ra.database.reading() as connection:
        scope = ra.service.reach.scope(connection, operator)
        event.listen(connection.engine, "before_cursor_execute", note)
        try:
            list(list_waiting(connection, scope, operator, at=ra.clock.now()))
            list_recent(connection, operator.actor)
            count_ending(connection, scope, at=ra.clock.now(), days=(7, 30, 60))
        finally:
            event.remove(connection.engine, "before_cursor_execute", note)
        if ra.database.dialect == "postgresql":
            # A few rows would be read from end to end; what is asked is whether there is a way.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if ra.database.dialect == "sqlite" else "EXPLAIN "
        return [
            (
                statement,
                "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, given)),
            )
            for statement, given in seen.items()
        ]
