"""Lists and queues among many: filters look at a bounded part, pages go on, every statement has an index."""

import pytest
from ra_fakes import DAY, T, idcard
from ra_plans import BIG, analyze, plans, reads_all
from sqlalchemy import insert

from onecert.ra.applications.records import list_applications
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates, points
from onecert.ra.operators.scopes import EVERYWHERE, Grant, Scope, write_scope
from onecert.ra.review.queues import QUEUES, Filters, list_queue

ROWS = 600
POINTS = ("main", "north", "south", "east")


def fill(ra) -> None:
    """Some hundred that wait, of four points and seven projects; certificates for them."""
    ra.issue()
    row, certificate = dict(ra.rows(applications)[0]), dict(ra.rows(certificates)[0])
    del row["seq"]
    many = [
        {
            **row,
            "id": f"a{number}",
            "request_key": f"r{number}",
            "name": f"第{number}家",
            "state": ("delivered", "submitted", "returned", "archived")[number // 4 % 4],
            "state_since": T + number // 3 * DAY / 9000,
            "point": POINTS[number % 4],
            "project": f"p{number % 7}" if number % 7 else None,
            "created_by": "li" if number % 5 else "wang",
        }
        for number in range(ROWS)
    ]
    issued = [
        {
            **certificate,
            "serial_hex": f"4f{number:030x}",
            "order_id": f"o{number}",
            "application_id": f"a{number}",
            "point": POINTS[number % 4],
            "issued_at": T + number * DAY / 9000,
            "not_after": T + number * DAY,
        }
        for number in range(ROWS)
    ]
    opened = [
        {"id": name, "name": name, "address": "", "phone": "", "opened_at": T}
        for name in POINTS
        if name != "main"
    ]
    with ra.database.transaction() as connection:
        connection.execute(insert(applications), many)
        connection.execute(insert(certificates), issued)
        connection.execute(insert(points), opened)
    analyze(ra)


def numbers(ra, read, cursor=None) -> tuple[list[int], int]:
    """All that a list has, page by page, and how many pages that took."""
    seen: list[int] = []
    for pages in range(1, 99):
        with ra.database.reading() as connection:
            page = read(connection, cursor)
        seen += [item.seq for item in page.items]
        cursor = page.next
        if cursor is None:
            return seen, pages
    raise AssertionError("a list without an end")


def test_a_filter_reads_a_part_and_goes_on(ra, monkeypatch) -> None:
    """At most forty entries are looked at for a page: each that fits is found once, in its order."""
    fill(ra)
    monkeypatch.setattr("onecert.ra.applications.walk.LOOKED_AT", 40)
    two = Scope((Grant("north"), Grant("east")))
    everything = ra.rows(applications)
    for scope in (EVERYWHERE, two):
        for filters in (
            Filters(),
            Filters(project="p3"),
            Filters(point="east", mine="wang"),
            Filters(kind="x"),
        ):
            for queue in ("review", "filing", "returned"):
                wanted = [
                    (row["state_since"], row["seq"])
                    for row in everything
                    if row["state"] in QUEUES[queue].states
                    and scope.covers(row["point"], row["authority"], row["kind"])
                    and filters.project in {None, row["project"]}
                    and filters.point in {None, row["point"]}
                    and filters.mine in {None, row["created_by"]}
                    and filters.kind in {None, row["kind"]}
                ]
                found, _pages = numbers(
                    ra,
                    lambda connection, cursor, scope=scope, queue=queue, filters=filters: list_queue(
                        connection, scope, QUEUES[queue].states, cursor=cursor, limit=30, filters=filters
                    ),
                )
                assert found == [seq for _since, seq in sorted(wanted)], (scope, filters, queue)


def test_all_applications_by_states_points_and_names(ra) -> None:
    """Newest first, page by page: the same as everything filtered and sorted."""
    fill(ra)
    north = Scope((Grant("north"),))
    everything = ra.rows(applications)
    for states in ((), (State.ARCHIVED,), (State.ARCHIVED, State.RETURNED)):
        found, _pages = numbers(
            ra,
            lambda connection, cursor, states=states: list_applications(
                connection, north, states=states, cursor=cursor, limit=40
            ),
        )
        wanted = [
            row["seq"]
            for row in everything
            if row["point"] == "north" and (not states or row["state"] in set(states))
        ]
        assert found == wanted[::-1]


def test_the_page_says_that_there_is_more_to_look_through(ra, monkeypatch) -> None:
    """Nothing fits among the first twenty: no "nothing here", but a way to go on."""
    fill(ra)
    monkeypatch.setattr("onecert.ra.applications.walk.LOOKED_AT", 20)
    browser = ra.browser(ra.officer)
    browser.get("/applications?queue=filing&project=p9")
    assert "Looked through a part of a long list" in browser.text
    assert 'rel="next"' in browser.page


FILTERS = (
    "queue=review",
    "queue=entry",
    "queue=filing&point=north",
    "queue=filing&project=p3",
    "queue=filing&authority=pearl",
    "queue=filing&kind=citizen",
    "queue=filing&business=renew",
    "queue=filing&mine=1",
    "queue=filing&point=north&kind=citizen&business=renew&project=p3&mine=1",
    "queue=all",
    "queue=all&project=p3&kind=citizen",
    "queue=all&point=east&business=renew",
    "queue=all&mine=1",
    "state=archived",
    "state=archived&authority=pearl&point=east",
    "q=第17",
    "q=第",
    "q=没有",
    "q=20261121-000007",
    "queue=filing&cursor=2026-11-21T09:00:00%2B00:00~7",
    "queue=all&cursor=77",
)
OTHERS = (
    "/",
    "/certificates",
    "/certificates?cursor=2026-11-21T10:00:00%2B00:00~4f",
    "/cases",
    "/renewals",
    "/renewals?days=7&point=north",
    "/notices",
    "/audit",
    "/audit?actor=operator:wang",
    "/audit?event=application.issued",
    "/audit?day=2026-11-21",
    "/media",
    "/batches/",
)


@pytest.mark.parametrize("grants", [("*",), ("north",), ("north", "east")], ids="+".join)
def test_no_page_reads_a_table_from_end_to_end(ra, grants) -> None:
    """Every filter of the queue and every list, by the engine's own plans: along an index, and none is read
    whole, so that ten times as many records cost the same. What is read of it ends at a limit."""
    fill(ra)
    roles = ("security.officer", "clerk.review", "clerk.entry", "clerk.media", "clerk.archive", "auditor")
    everyone = ra.operator("all", *roles, person=idcard(107))
    with ra.database.transaction() as connection:
        write_scope(connection, everyone.id, [Grant(point=point) for point in grants])
    browser = ra.browser(everyone)
    # PostgreSQL reads tables that are empty or small here as it likes, so it is asked where there are many.
    is_sqlite = ra.database.dialect == "sqlite"
    tables = BIG if is_sqlite else ("ra_applications", "ra_certificates")
    others = OTHERS if is_sqlite else ()
    seen: dict[str, str] = {}
    for address in (*(f"/applications?{query}" for query in FILTERS), *others):
        for statement, plan in plans(ra, lambda address=address: browser.get(address)):
            seen.setdefault(statement, f"{address}\n{statement}\n{plan}")
            assert not reads_all(plan, tables), seen[statement]
    assert len(seen) > 20
