"""The auditor's export and a certificate's whole life: proved offline, scoped, and themselves on record."""

import json
from pathlib import Path

import pytest
from ra_fakes import idcard
from sqlalchemy import insert, update

from onecert.ra.desk.trail import Asked, list_trail
from onecert.ra.emergency.tables import emergencies
from onecert.ra.life.machine import Business
from onecert.ra.models import certificates, operator_scopes
from onecert.ra.operators.scopes import Grant, Scope
from onecert.server.audit.check import verify_export
from onecert.server.audit.errors import AuditChangedError
from onecert.server.models import audit_entries
from onecert.verifier.jws import key_id


@pytest.fixture
def auditor(ra):
    """An auditor of everything."""
    shen = ra.operator("shen", "auditor", person=idcard(150))
    with ra.database.transaction() as connection:
        connection.execute(
            insert(operator_scopes).values(operator_id="shen", point="*", authority="*", profile="*")
        )
    return shen


def exported(ra, auditor, file: Path) -> Path:
    browser = ra.browser(auditor)
    browser.get("/audit/export")
    answer = browser.post("/audit/export", follow=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    file.write_bytes(answer.get_data())
    answer.close()
    return file


def test_the_export_is_whole_signed_and_holds_itself(ra, auditor, tmp_path) -> None:
    """Checked with the public key alone; the next export continues it; one changed octet is found."""
    ra.issue()
    keys = {key_id(ra.keys.order_public_key): ra.keys.order_public_key}
    first = exported(ra, auditor, tmp_path / "1.jsonl")
    report = verify_export(first, keys=keys)
    assert report.unsigned_entries == 0
    assert '"event":"audit.exported"' in first.read_text().splitlines()[-3]
    ra.submit(ra.entry("citizen", idcard=idcard(5)))
    second = exported(ra, auditor, tmp_path / "2.jsonl")
    assert verify_export(second, keys=keys, earlier=report.head).entries > report.entries
    first.write_text(first.read_text().replace("wang", "weng", 1))
    with pytest.raises(AuditChangedError):
        verify_export(first, keys=keys)
    assert list((ra.context.data / "exports").iterdir()) == []


def test_the_export_is_for_auditors_of_everything_and_needs_the_token(ra, auditor) -> None:
    """A clerk, an auditor of one point, a token that is away: refused, and nothing on record as exported."""
    assert ra.browser(ra.entry_clerk).get("/audit/export").status_code == 403
    browser = ra.browser(auditor)
    browser.get("/audit/export")
    ra.keys.gone = True
    assert browser.post("/audit/export", follow=False).status_code == 503
    ra.keys.gone = False
    with ra.database.transaction() as connection:
        connection.execute(
            update(operator_scopes).where(operator_scopes.c.operator_id == "shen").values(point="main")
        )
    browser.get("/audit/export")
    assert browser.post("/audit/export", follow=False).status_code == 404
    assert "audit.exported" not in {row["event"] for row in ra.rows(audit_entries)}


def test_a_life_is_told_across_its_records(ra, auditor) -> None:
    """Application, certificate, case and revocation in their order; reading it is an entry."""
    ra.issue()
    (certificate,) = ra.rows(certificates)
    serial = certificate["serial_hex"]
    case = ra.service.cases.open(
        ra.entry_clerk, Business.HOLD, "pearl", serial, note="电话报失", request_key="1"
    )
    held = ra.service.cases.approve(ra.reviewer, case.id, content_sha256=case.content_sha256)
    ra.revoking.carry_out(held.revocation_id)
    browser = ra.browser(auditor)
    assert browser.get(f"/audit/certificates/pearl/{serial}").status_code == 200
    places = [
        browser.text.index(words) for words in ("Entered", "Certificate issued", "Certificate put on hold")
    ]
    assert places == sorted(places)
    assert "audit.life_read" in {row["event"] for row in ra.rows(audit_entries)}
    assert ra.browser(ra.reviewer).get(f"/audit/certificates/pearl/{serial}").status_code == 403


def test_a_reader_with_a_scope_sees_no_entry_without_a_place_in_it(ra, auditor) -> None:
    """Another point's emergency, the service itself, unknown kinds: only for who reads everywhere."""
    at = ra.clock.now()
    with ra.database.transaction() as connection:
        for name, point in (("here", "main"), ("there", "futian")):
            connection.execute(
                insert(emergencies).values(
                    id=name,
                    request_key=name,
                    is_drill=False,
                    selection=json.dumps({"places": [[point, "pearl", "citizen"]]}),
                    reason="keyCompromise",
                    why="-",
                    state="done",
                    certificates=1,
                    holders=1,
                    left_out=0,
                    content_sha256="",
                    proposed_by="officer",
                    proposed_at=at,
                    expires_at=at,
                )
            )
        subjects = ("emergency:here", "emergency:there", "emergency:gone", "batch:gone", "medium:gone")
        for subject in (*subjects, "audit:ra", "address:192.0.2.1", "backup", "anything:1"):
            ra.audit.record(connection, event="trail.tested", actor="service", subject=subject, details={})

    def seen(*grants: Grant) -> set[str]:
        with ra.database.reading() as connection:
            page = list_trail(connection, Scope(grants), Asked(event="trail.tested"))
        return {row["subject"] for row in page.entries}

    everything = seen(Grant())
    assert len(everything) == 9
    assert seen(Grant("main")) == everything, "there is no other point"
    administrator = ra.operator("admin", "administrator", person=idcard(151))
    ra.service.points.open_point(administrator, "futian", name="Futian counter")
    assert seen(Grant()) == everything
    assert seen(Grant("main")) == {"emergency:here"}
    assert seen(Grant("futian")) == {"emergency:there"}
    assert seen(Grant("main"), Grant("futian")) == {"emergency:here", "emergency:there"}
