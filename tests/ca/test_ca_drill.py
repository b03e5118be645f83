"""Drills: measured over real HTTP until our own verifier refuses; rehearsals that keep nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from ca_console import client_of, open_accounts
from ca_mass_revocations import People
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.cli import ca
from onecert.ca.commands import drill as cli_drill
from onecert.ca.commands.parts import OpenedCa
from onecert.ca.drills.drills import Drills, drill_late
from onecert.ca.errors import (
    DrillProfileError,
    MassRevocationEmptyError,
    NotOfferedError,
    UnknownDrillError,
)
from onecert.ca.profiles.file import profile_from_text
from onecert.ca.revocation.mass_documents import read_selection
from onecert.server.models import audit_entries
from onecert.verifier.fetch import HttpFetch

EN = {"Accept-Language": "en"}


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def give_profile(world: Any) -> None:
    """The authority offers the profile `drill`, as if its ceremony had named it."""
    text = (files("onecert.ca") / "profiles" / "drill.toml").read_text(encoding="utf-8")
    profile = profile_from_text(text)
    with world.context.database.transaction() as connection:
        connection.execute(
            models.profiles.insert().values(
                authority="harbour",
                name=profile.name,
                version=profile.version,
                content=profile.as_json(),
                sha256=profile.sha256,
                in_force=True,
                added_at=world.clock.now(),
            )
        )
    world.parts.authorities.reload()


@pytest.fixture
def served(lite: Any) -> Iterator[Any]:
    """A world whose status service answers on a real port; drills ask there."""
    give_profile(lite)
    app = lite.service.status
    lite.parts.responders.prepare()

    def mounted(environ: Any, start_response: Any) -> Any:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/ca", environ["PATH_INFO"].removeprefix("/ca")
        return app(environ, start_response)

    with make_server("127.0.0.1", 0, mounted, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        fetch = HttpFetch(allow=["127.0.0.1"])
        port = str(server.server_port)

        def there(request: Any) -> Any:
            return fetch(replace(request, url=request.url.replace(":8080/", f":{port}/")))

        lite.parts.drills._fetch = there
        yield lite
        server.shutdown()
        thread.join()


def test_a_drill_measures_until_the_verifier_refuses(served: Any) -> None:
    """Issued and accepted -> revoked -> refused by OCSP and by list; on record, with an audit entry."""
    done = served.parts.drills.run("harbour", actor="operator:chen")
    assert (done.kind, done.state, done.actor) == ("live", "done", "operator:chen")
    result = done.result
    assert result["before"] == {"ocsp": "accepted", "crl": "accepted"}
    assert 0 <= result["recorded"] <= result["list_published"]
    assert result["recorded"] <= result["refused_by_ocsp"]
    assert (
        result["refused_by_crl"]
        <= done.refused_ms
        == max(result["refused_by_crl"], result["refused_by_ocsp"])
    )
    assert result["refused_by_push"] is None
    assert served.parts.drills.show(done.id) == done
    record = served.parts.ledger.certificate("harbour", result["serial"])
    assert record.status == "revoked"
    subject = x509.load_der_x509_certificate(record.certificate_der).subject
    assert "演练 DRILL" in str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    with served.context.database.reading() as connection:
        events = connection.execute(
            select(audit_entries.c.event).where(audit_entries.c.subject == f"harbour/{done.id}")
        ).scalars()
        assert list(events) == ["drill.finished"]
    assert drill_late.labels("harbour")._value.get() == 0


def test_a_drill_slower_than_its_limit_is_an_alarm(served: Any) -> None:
    served.parts.drills._limit = timedelta(0)
    # Nothing refuses within no time: each way is given up after its first look.
    done = served.parts.drills.run("harbour", actor="job:ca.drills")
    assert done.state in {"late", "failed"}
    assert drill_late.labels("harbour")._value.get() == 1


def test_nothing_is_measured_when_the_certificate_was_not_accepted_before(lite: Any) -> None:
    """No status service answers: the drill fails, says why, and is on record."""
    give_profile(lite)

    def gone(_request: Any) -> Any:
        raise OSError("nobody is there")

    lite.parts.drills._fetch = gone
    done = lite.parts.drills.run("harbour", actor="operator:chen")
    assert (done.state, done.refused_ms) == ("failed", None)
    assert "failed" in done.result


def test_a_drill_without_a_profile_or_a_token_issues_nothing(lite: Any) -> None:
    with pytest.raises(DrillProfileError):
        lite.parts.drills.run("harbour", actor="operator:chen")
    assert lite.parts.drills.latest() == []
    assert lite.parts.drills.run_due(timedelta(days=1)) == []
    give_profile(lite)
    lite.token.gone = True
    done = lite.parts.drills.run("harbour", actor="operator:chen")
    assert (done.state, done.result) == ("failed", {"failed": "TOKEN_UNAVAILABLE"})
    with pytest.raises(UnknownDrillError):
        lite.parts.drills.show("nothing")


def test_the_timer_runs_one_drill_in_each_period(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(
        Drills, "run", lambda self, name, *, actor: ran.append(self.begin("live", name, actor=actor))
    )
    day = timedelta(days=1)
    for hours in (0, 1, 24, 1):
        served.clock.advance(timedelta(hours=hours))
        served.parts.drills.run_due(day)
    assert len(ran) == 2


def test_a_rehearsal_builds_everything_and_keeps_nothing(world: Any) -> None:
    """Four certificates, one on hold: selected, tried, listed; record, trail and lists are as before."""
    serials = sorted(world.issue().record.serial for _ in range(4))
    before, number = state_of(world), world.parts.publisher.latest("harbour").number
    signatures = world.token.signatures
    done = world.parts.rehearsal.run(
        "harbour", read_selection({"everything": True}), [], reason="keyCompromise", actor="operator:chen"
    )
    assert (done.kind, done.state, done.result["certificates"]) == ("rehearsal", "done", len(serials))
    assert [each["entries"] for each in done.result["lists"]] == [4]
    assert set(done.result["times_ms"]) == {"selected", "chunks_tried", "lists_built"}
    assert state_of(world) == before
    assert world.parts.publisher.latest("harbour").number == number
    assert world.token.signatures == signatures
    made = People(world).propose()
    assert made.serials_sha256 == done.result["serials_sha256"]


def state_of(world: Any) -> list[Any]:
    """Statuses, entries, version of statuses, and audit entries of certificates."""
    with world.context.database.reading() as connection:
        return [
            connection.execute(query).all()
            for query in (
                select(models.certificates.c.serial, models.certificates.c.status).order_by("serial"),
                select(models.crl_entries.c.serial),
                select(models.authorities.c.name, models.authorities.c.status_version).order_by("name"),
                select(models.blocked_keys.c.key_sha256),
                select(func.count()).where(audit_entries.c.event.startswith("certificate.")),
            )
        ]


def test_what_cannot_be_rehearsed(lite: Any) -> None:
    everything = read_selection({"everything": True})
    with pytest.raises(NotOfferedError):
        lite.parts.rehearsal.run("harbour-root", everything, [], reason="keyCompromise", actor="a:b")
    with pytest.raises(MassRevocationEmptyError):
        lite.parts.rehearsal.run("harbour", everything, [], reason="keyCompromise", actor="a:b")
    assert lite.parts.drills.latest() == []


def test_commands(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """run shows a table or JSON; rehearse, show, list: JSON."""

    @contextmanager
    def opened(*_: Any) -> Iterator[OpenedCa]:
        yield OpenedCa(served.config, served.context, served.parts, served.roots)

    monkeypatch.setattr(cli_drill, "opened_ca", opened)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(ca, ["drill", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    served.issue()
    table = run("run", "--authority", "harbour").splitlines()
    number = table[0].split("\t")[0]
    assert len(table) == 6
    assert json.loads(run("show", number, "--json"))["state"] == "done"
    rehearsed = json.loads(run("rehearse", "--authority", "harbour", "--profile", "organisation"))
    assert rehearsed["result"]["certificates"] == 1
    assert [json.loads(line)["kind"] for line in run("list").splitlines()] in (
        ["rehearsal", "live"],
        ["live", "rehearsal"],
    )


def officer(world: Any) -> Any:
    open_accounts(world)
    return client_of(world, "li")


def test_a_drill_on_a_page_is_answered_at_once_and_done_by_the_job(served: Any) -> None:
    """The request only puts it on the list; the page tells how far it is, and looks again by itself."""
    client = officer(served)
    answer = client.submit("/drills/run", {"authority": "harbour", "act": "run"})
    assert answer.status_code == 303
    number = answer.location.rpartition("/")[2]
    assert served.parts.drills.show(number).state == "asked"
    waiting = client.get(f"/drills/{number}", headers=EN).text
    assert "begins within seconds" in waiting
    assert 'http-equiv="refresh"' in waiting
    again = client.submit("/drills/run", {"authority": "harbour", "act": "rehearse"}, headers=EN)
    assert (again.status_code, "running already" in again.text) == (409, True)

    jobs = {job.name: job for job in served.service.jobs}
    jobs["ca.drills.asked"].run(served.clock.now())

    done = served.parts.drills.show(number)
    assert (done.state, done.actor) == ("done", "operator:li")
    assert 'http-equiv="refresh"' not in client.get(f"/drills/{number}").text
    assert served.parts.asked_drills.run() == []


def test_a_running_drill_tells_its_step(served: Any) -> None:
    client, seen = officer(served), []
    note = served.parts.drills.note

    def watched(number: str, step: str) -> None:
        note(number, step)
        seen.append(client.get(f"/drills/{number}", headers=EN).text)

    served.parts.drills.note = watched
    served.parts.asked_drills.ask("live", "harbour", actor="operator:li")
    served.parts.asked_drills.run()
    served.issue()
    served.parts.asked_drills.ask("rehearsal", "harbour", actor="operator:li")
    (rehearsed,) = served.parts.asked_drills.run()
    assert [text for text in ("whether they accept", "until they refuse", "released again", "thrown away")
            if not any(text in page for page in seen)] == []  # fmt: skip
    assert rehearsed.state == "done"


def test_what_could_never_be_done_is_refused_at_once_and_what_failed_ends(lite: Any) -> None:
    asked = lite.parts.asked_drills
    with pytest.raises(DrillProfileError):
        asked.ask("live", "harbour", actor="operator:li")
    with pytest.raises(NotOfferedError):
        asked.ask("rehearsal", "harbour-root", actor="operator:li")
    number = asked.ask("rehearsal", "harbour", actor="operator:li")
    (failed,) = asked.run()  # no certificate of a holder is there
    assert (failed.id, failed.state, failed.result) == (number, "failed", {"failed": "MASS_REVOCATION_EMPTY"})


def test_what_a_process_left_running_is_closed(lite: Any) -> None:
    number = lite.parts.drills.begin("live", "harbour", actor="operator:li")
    assert lite.parts.asked_drills.run() == []
    lite.clock.advance(timedelta(hours=1, seconds=1))
    (closed,) = lite.parts.asked_drills.run()
    assert (closed.id, closed.state, closed.result) == (number, "failed", {"failed": "INTERRUPTED"})
