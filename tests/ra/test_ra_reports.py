"""Reports: what is rolled is what is counted, also late; periods, reach, charts, CSV and PDF."""

import csv
import io
import random
from collections import Counter
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest
from ra_fakes import DAY, T, idcard
from sqlalchemy import delete, insert, select

from onecert.ra.config import RaConfig
from onecert.ra.errors import BodyError
from onecert.ra.models import application_events, applications, certificates, operator_scopes
from onecert.ra.reports.charts import Series, bars, lines
from onecert.ra.reports.counting import Key, count
from onecert.ra.reports.days import read_period, start_of
from onecert.ra.reports.exports import safe_cell
from onecert.ra.reports.reading import Spread
from onecert.ra.reports.tables import daily_figures, rolled_days

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HOUR = timedelta(hours=1)
FIELDS = ("figure", "point", "authority", "kind", "project", "operator", "reason", "value")


def rolled(ra, day: date) -> Counter[Key]:
    """What lies in the table for a day."""
    with ra.database.reading() as connection:
        rows = connection.execute(select(daily_figures).where(daily_figures.c.day == str(day))).mappings()
        return Counter({Key(**{name: row[name] for name in FIELDS}): row["amount"] for row in rows})


def counted(ra, day: date) -> Counter[Key]:
    """What the event tables say of it."""
    zone = ra.service.figures.zone
    with ra.database.reading() as connection:
        return count(connection, start_of(day, zone), start_of(day + DAY, zone), ra.service.levels)


def roll(ra) -> None:
    ra.service.figures.run(ra.clock.now())


def figures(ra, operator, **query: str) -> dict:
    query = {"period": "day", "day": str(ra.service.figures.today()), **query}
    address = "&".join(f"{name}={value}" for name, value in query.items())
    answer = ra.browser(operator).api("GET", f"/reports?{address}")
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


@pytest.fixture
def busy(ra):
    """Three days of work: issued, returned, rejected, revoked, held."""
    numbers = random.Random(1)
    ra.extend("wang"), ra.extend("li"), ra.extend("zhao")
    for number in range(3):
        ra.clock.set(T + number * DAY)
        ra.issue(ra.entry("citizen", idcard=idcard(200 + number)))
        ra.clock.advance(numbers.randint(1, 5) * HOUR)
        application = ra.submit(ra.entry("employee", idcard=idcard(300 + number)))
        ra.clock.advance(90 * HOUR / 60)
        ra.applications.send_back(ra.reviewer, application.id, reason="材料不全")
        ra.applications.submit(ra.entry_clerk, application.id)
        ra.clock.advance(30 * HOUR / 60)
        if number:
            ra.applications.reject(ra.reviewer, application.id, reason="不符合条件")
        else:
            ra.dispatch.carry_out(ra.approve(ra.load(application.id)).id)
    certificate = ra.rows(certificates)[0]
    change = ra.certificates.request_change(
        ra.officer, "pearl", certificate["serial_hex"], reason="keyCompromise", note="", request_key="1"
    )
    ra.revoking.carry_out(change)
    ra.clock.set(T + 4 * DAY)
    return ra


def test_what_is_rolled_is_what_is_counted_and_rolling_again_changes_nothing(busy) -> None:
    """Every day, every figure; today is never rolled."""
    roll(busy)
    days = [busy.service.figures.today() - timedelta(days=number) for number in (4, 3, 2)]
    assert all(counted(busy, day) for day in days)
    before = busy.rows(daily_figures)
    for day in days:
        assert rolled(busy, day) == counted(busy, day)
        busy.service.figures.roll(day)
    assert sorted(map(str, busy.rows(daily_figures))) == sorted(map(str, before))
    assert max(row["day"] for row in busy.rows(rolled_days)) < str(busy.service.figures.today())


def test_an_event_that_came_late_rolls_its_day_again(busy) -> None:
    """Written after the day was rolled, with a time in it; other days stay as they are."""
    roll(busy)
    busy.clock.advance(2 * DAY)
    roll(busy)
    when = {row["day"]: row["rolled_at"] for row in busy.rows(rolled_days)}
    application = busy.rows(applications)[0]
    with busy.database.transaction() as connection:
        connection.execute(
            insert(application_events).values(
                application_id=application["id"], at=T + HOUR, actor="li", event="returned", state="returned"
            )
        )
    busy.clock.advance(HOUR)
    roll(busy)
    day = (T + HOUR).astimezone(busy.service.figures.zone).date()
    assert rolled(busy, day) == counted(busy, day)
    changed = [row["day"] for row in busy.rows(rolled_days) if when[row["day"]] != row["rolled_at"]]
    assert changed == [str(day)]


def test_the_days_that_are_not_rolled_are_what_is_counted_whatever_comes_late(busy) -> None:
    """Asked again and again, today is read from where the last answer ended; nothing is lost or doubled."""
    figures_of = busy.service.figures
    day = figures_of.today()

    def live() -> Counter[Key]:
        with busy.database.reading() as connection:
            return figures_of.live(connection, day, day)[0].get(day, Counter())

    def write(at) -> None:
        application = busy.rows(applications)[0]
        row = {"application_id": application["id"], "actor": "li", "event": "returned", "state": "returned"}
        with busy.database.transaction() as connection:
            connection.execute(insert(application_events).values(at=at, **row))

    seen = []
    for _ in range(3):
        busy.submit(busy.entry("citizen", idcard=idcard(400 + len(seen))))
        seen.append(live())
        busy.clock.advance(HOUR / 4)
        seen.append(live())
    begun = busy.clock.now()
    write(begun - HOUR / 2)  # committed long after it began
    assert live() == counted(busy, day)
    write(begun)
    busy.clock.advance(HOUR)
    assert live() == counted(busy, day)
    assert [sum(each.values()) for each in seen] == [1, 1, 2, 2, 3, 3]


def test_a_report_says_the_same_rolled_or_not(busy) -> None:
    """Figures, breakdowns, waiting times: counted live before the job, read from the table after it."""
    auditor = busy.operator("shen", "auditor", person=idcard(150))
    asked = {"period": "range", "from": "2026-11-20", "to": "2026-11-25"}
    with_live = figures(busy, auditor, **asked)
    assert with_live["totals"]["new"] == 4
    assert with_live["totals"]["returned"] == 3
    assert with_live["totals"]["rejected"] == 2
    assert with_live["totals"]["revoked"] == 1
    assert with_live["reasons"]["revoked"] == {"keyCompromise": 1}
    assert with_live["reasons"]["return_reason"] == {"OTHER": 3}
    assert with_live["by"]["operator"]["li"]["returned"] == 3
    assert with_live["by"]["kind"]["citizen"]["new"] == 3
    assert with_live["minutes"]["to_review"] == {"count": 9, "median": 30, "p95": 90}
    assert with_live["minutes"]["to_issue"] == {"count": 4, "median": 0, "p95": 30}
    roll(busy)
    assert figures(busy, auditor, **asked) == with_live
    with busy.database.transaction() as connection:
        connection.execute(delete(application_events))
    assert figures(busy, auditor, **asked) == with_live


def test_reviews_are_in_time_or_late_by_the_working_hours_of_their_state(ra) -> None:
    """Four hours of work for each review; the second one's begin when the first has passed it on."""
    monday = T + 2 * DAY - 8 * HOUR  # Saturday 17:00 in China; then Monday at nine
    level = "state=submitted|second_review within=4h"
    levels = RaConfig(service_levels=(level,)).levels()
    ra.clock.set(monday)
    ra.extend("wang"), ra.extend("li")
    quick, slow, second = (ra.submit(ra.entry("citizen", idcard=idcard(270 + n))) for n in range(3))
    ra.clock.advance(3 * HOUR)
    ra.approve(quick)
    ra.clock.advance(2 * HOUR)
    ra.applications.reject(ra.reviewer, slow.id, reason="不符合条件")
    with ra.database.transaction() as connection:
        for event, hours in (("passed_on", 3), ("confirmed", 6)):
            at = monday + hours * HOUR
            row = {"application_id": second.id, "at": at, "actor": "li", "event": event, "state": "approved"}
            connection.execute(insert(application_events).values(**row))
    found = Counter[str]()
    with ra.database.reading() as connection:
        for key, amount in count(connection, monday, monday + DAY, levels).items():
            found[key.figure] += amount
    assert (found["in_time"], found["late"], found["approved"]) == (3, 1, 2)
    roll(ra)
    browser = ra.browser(ra.reviewer)
    browser.get("/reports?period=day&day=2026-11-23")
    assert "Reviewed within the service level: 3 of 4 (75.0%)" in browser.text


def test_the_period_before_stands_beside_it(busy) -> None:
    """A day against the day before, a month against the month before."""
    roll(busy)
    day = figures(busy, busy.officer, day="2026-11-22")
    assert (day["before"]["from"], day["totals"]["new"], day["totals_before"]["new"]) == ("2026-11-21", 1, 2)
    month = figures(busy, busy.officer, period="month", month="2026-12")
    assert (month["totals"]["new"], month["totals_before"]["new"]) == (0, 4)


def test_figures_stay_within_reach_and_name_no_colleague(busy) -> None:
    """Another point's figures are not there, rolled or live; single operators are the auditor's business."""
    elsewhere = busy.operator("tan", "clerk.review", person=idcard(151))
    with busy.database.transaction() as connection:
        connection.execute(
            insert(operator_scopes).values(operator_id="tan", point="east", authority="*", profile="*")
        )
    asked = {"period": "range", "from": "2026-11-20", "to": "2026-11-25"}
    for _ in range(2):
        assert sum(figures(busy, elsewhere, **asked)["totals"].values()) == 0
        assert "operator" not in figures(busy, busy.reviewer, **asked)["by"]
        roll(busy)


def test_a_day_begins_where_the_setting_says(busy) -> None:
    """17:00 UTC is the next day in China; another zone counts anew and never twice."""
    busy.clock.set(T + timedelta(days=6, hours=8))
    busy.issue(busy.entry("citizen", idcard=idcard(260)))
    assert figures(busy, busy.officer)["totals"]["new"] == 1
    assert str(busy.service.figures.today()) == "2026-11-28"
    roll(busy)
    busy.service.figures.zone_name = "Elsewhere"
    asked = {"period": "range", "from": "2026-11-22", "to": "2026-11-23"}
    assert figures(busy, busy.officer, **asked)["totals"]["new"] == 2
    roll(busy)
    assert figures(busy, busy.officer, **asked)["totals"]["new"] == 2


@only_sqlite
def test_the_page_shows_charts_tables_and_files_in_both_languages(busy) -> None:
    """SVG with title, description and a table; CSV for spreadsheets; a PDF."""
    for language, wanted in (("en", "Certificates issued, by day"), ("zh", "每日签发证书")):
        browser = busy.browser(busy.officer, language=language)
        assert browser.get("/reports?period=month&month=2026-11").status_code == 200
        assert wanted in browser.text
        assert browser.page.count("<svg") >= 2
        assert "style=" not in browser.page.partition("<main")[2]
    answer = browser.get("/reports/figures.csv?period=month&month=2026-11")
    rows = list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert ["新办", "4", "0"] in rows
    assert any("Asia/Shanghai" in row for row in rows)
    pdf = browser.get("/reports/figures.pdf?period=day&day=2026-11-21")
    assert pdf.get_data().startswith(b"%PDF-")
    assert browser.get("/reports?period=month&month=2026-13").status_code == 422
    assert browser.get("/reports?period=month&month=2030-01").status_code == 200
    assert "没有" in browser.text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    """A project named like a formula is a text in the spreadsheet."""
    assert safe_cell(cell) == f"'{cell}"
    assert safe_cell("甲=1") == "甲=1"


@pytest.mark.parametrize(
    "asked",
    [
        {"shape": "day", "day": "2026-02-30"},
        {"shape": "day", "day": "20260101"},
        {"shape": "day", "day": "0001-01-01"},
        {"shape": "month", "month": "2026-00"},
        {"shape": "range", "first": "2026-02-01", "last": "2026-01-01"},
        {"shape": "range", "first": "2024-01-01", "last": "2026-01-01"},
        {"shape": "week"},
    ],
)
def test_a_period_that_is_none_is_refused(asked: dict[str, str]) -> None:
    """With a sentence, not with a stack trace."""
    with pytest.raises(BodyError):
        read_period(**asked, today=date(2026, 11, 21))


def test_percentiles_are_by_nearest_rank() -> None:
    """Compared with sorting all values, for many random ones."""
    numbers = random.Random(7)
    for size in range(1, 60):
        values = sorted(numbers.randint(0, 40) for _ in range(size))
        spread = Spread.of(Counter(values))
        assert spread == Spread(size, values[-(-size * 50 // 100) - 1], values[-(-size * 95 // 100) - 1])
    assert Spread.of(Counter()) is None


def test_a_drawing_is_sound_xml_whatever_it_is_called() -> None:
    """Hostile names are escaped; a bar is as high as its number; nothing at all is drawn as well."""
    name = '"><script>alert(1)</script>'
    for made in (
        bars(name, name, ["1", "2"], [Series(name, [3, 1]), Series("b", [0, 5])]),
        lines(name, name, ["1", "2", "3"], [Series(name, [3, None, 1])]),
        bars("t", "d", [], []),
    ):
        drawing = ET.fromstring(made)
        assert [element.tag.rpartition("}")[2] for element in drawing][:2] == ["title", "desc"]
        assert "script" not in {element.tag.rpartition("}")[2] for element in drawing.iter()}
    drawing = ET.fromstring(bars("t", "d", ["1"], [Series("a", [2]), Series("b", [4])]))
    heights = [float(e.get("height", "")) for e in drawing if e.tag.endswith("rect")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
