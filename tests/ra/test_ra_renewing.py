"""Renewals at the counter: the desk counts them, and one organisation's are begun in one go.

two certificates of one firm, one ends soon -> tick, one button -> drafts, once
"""

import pytest
from ra_fakes import DAY, idcard

from onecert.ra.desk.ending import count_ending
from onecert.ra.models import applications, certificates

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def counts(ra) -> dict[int, int]:
    with ra.database.reading() as connection:
        scope = ra.service.reach.scope(connection, ra.entry_clerk)
        return count_ending(connection, scope, at=ra.clock.now(), days=(7, 30, 60))


def test_all_of_an_organisation_in_one_go(ra) -> None:
    """Its own certificate and that of an employee end in 20 days; a citizen's beside them is no firm's."""
    ra.issue()
    ra.issue(ra.entry("employee", "summit", idcard=idcard(310)))
    ra.issue(ra.entry("citizen", idcard=idcard(311)))
    rows = {row["kind"]: row for row in ra.rows(certificates)}
    ra.clock.set(min(row["not_after"] for row in rows.values()) - 20 * DAY)
    ra.extend("wang")
    assert counts(ra) == {7: 0, 30: 3, 60: 3}

    clerk = ra.browser(ra.entry_clerk)
    clerk.get("/")
    assert "within 30 days" in clerk.text
    clerk.get("/renewals?days=30")
    path = f"/certificates/pearl/{rows['organisation']['serial_hex']}/renewals"
    assert path in clerk.page
    clerk.get(path)
    names = [f"{rows[kind]['authority']}/{rows[kind]['serial_hex']}" for kind in ("organisation", "employee")]
    assert all(f'value="{name}"' in clerk.page for name in names)
    citizen = rows["citizen"]["serial_hex"]
    assert citizen not in clerk.page
    form = {"form_key": clerk.value("form_key"), "certificate": [*names, f"pearl/{citizen}"]}
    clerk.post(path, form)
    assert "2 drafts of renewals are made." in clerk.text
    clerk.post(path, form)  # the second of two clicks
    made = [row for row in ra.rows(applications) if row["business"] == "renew"]
    assert sorted(row["kind"] for row in made) == ["employee", "organisation"]
    assert {row["state"] for row in made} == {"draft"}
    assert all(ra.load(row["id"]).number in clerk.text for row in made)
    assert clerk.get(f"/certificates/pearl/{citizen}/renewals").status_code == 404


def test_too_early_and_another_point(ra) -> None:
    """50 days before the end nothing can be ticked; a forged tick makes nothing; no role, no page."""
    ra.issue()
    [row] = ra.rows(certificates)
    ra.clock.set(row["not_after"] - 50 * DAY)
    ra.extend("wang")
    ra.extend("zhao")
    clerk = ra.browser(ra.entry_clerk)
    path = f"/certificates/pearl/{row['serial_hex']}/renewals"
    clerk.get(path)
    assert "or earlier with a reason" in clerk.text
    clerk.post(path, {"form_key": "k", "certificate": f"pearl/{row['serial_hex']}"})
    assert len(ra.rows(applications)) == 1
    assert ra.browser(ra.officer).get(path).status_code == 403
