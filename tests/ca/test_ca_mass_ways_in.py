"""The ways in to a mass revocation: the REST API and the commands; and the end of a whole authority."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_mass_revocations import People
from click.testing import CliRunner
from cryptography.x509 import ocsp
from test_ca_ocsp import answer, request_for

from onecert.ca.cli import ca
from onecert.ca.commands import mass_revocation as cli_module
from onecert.ca.commands.parts import OpenedCa
from onecert.ca.errors import (
    MassRevocationChangedError,
    MassRevocationStateError,
    OfficerTokenError,
    OrderSignatureError,
    SecondPersonError,
)

PERSON, OTHER_PERSON = "440300190001010015", "11010519491231002X"


def issue(world: Any, number: int) -> list[str]:
    return sorted(world.issue().record.serial for _ in range(number))


def sha256_of(serials: list[str]) -> str:
    return hashlib.sha256("".join(f"{each}\n" for each in serials).encode()).hexdigest()


def test_rest(lite: Any) -> None:
    """Proposal, lines, look, confirmation: each a signed document; problems name code and lines."""
    people, client, serials = People(lite), lite.service.app.test_client(), issue(lite, 2)
    content = "".join(f"{serial}\n" for serial in serials).encode()
    head = {"kind": "serial", "count": 2, "sha256": hashlib.sha256(content).hexdigest()}
    document = people.proposal(selection={"lines": head})

    made = client.post("/v1/mass-revocations", data=document)
    assert (made.status_code, made.json["state"]) == (201, "arriving")
    assert client.post("/v1/mass-revocations", data=document).status_code == 200
    path = f"/v1/mass-revocations/{made.json['mass_revocation']}"
    assert client.put(f"{path}/lines", data=b"other\n").json["code"] == "MASS_REVOCATION_SELECTION"
    assert client.put(f"{path}/lines", data=content).json["state"] == "proposed"
    shown = client.get(path).json
    assert (shown["certificates"], shown["serials_sha256"]) == (2, sha256_of(serials))
    standing = people.service.show(made.json["mass_revocation"])
    refused = client.post("/v1/mass-revocations/confirmations", data=people.confirmation(standing, "li"))
    assert (refused.status_code, refused.json["code"]) == (403, "SECOND_PERSON")
    done = client.post("/v1/mass-revocations/confirmations", data=people.confirmation(standing))
    assert (done.status_code, done.json["state"]) == (200, "confirmed")
    for name in ("", "/confirmations", "/stops", "/resumptions"):
        answer = client.post(f"/v1/mass-revocations{name}", data=b"{}")
        assert (answer.status_code, answer.json["code"]) == (400, "ORDER_MALFORMED")
        altered = document.replace(b'"payload":"', b'"payload":"A')
        assert client.post(f"/v1/mass-revocations{name}", data=altered).status_code in {400, 401}
    assert client.get("/v1/mass-revocations/nothing").status_code == 404


def test_a_whole_authority_issues_nothing_any_more(world: Any) -> None:
    """Confirmed -> its state is “retired” in the same transaction; its certificates are revoked."""
    people, serials = People(world), issue(world, 2)
    people.confirm(people.propose(reason="cACompromise"))
    (harbour,) = [each for each in world.parts.authorities.reload() if each.name == "harbour"]
    assert harbour.state == "retired"
    world.parts.mass_revocation_work.run()
    assert world.serials_on_list() == set(serials)


class Terminal:
    """The commands, with two officers whose tokens are in memory and have a PIN."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.people = People(world)
        self.people.officer("chen", PERSON)
        self.people.officer("zhou", OTHER_PERSON)
        monkeypatch.setattr(cli_module, "opened_ca", lambda *_: self._opened(world))
        monkeypatch.setattr(world.parts.officer_tokens, "key", self._key)

    @staticmethod
    @contextmanager
    def _opened(world: Any) -> Iterator[OpenedCa]:
        yield OpenedCa(world.config, world.context, world.parts, world.roots)

    @contextmanager
    def _key(self, officer: str, *, pin: str, create: bool = False) -> Iterator[Any]:
        if pin != f"pin of {officer}":
            raise OfficerTokenError("PIN_WRONG", "wrong", refused=True)
        yield self.people.officers[officer]

    def run(self, *arguments: str, pin: str = "") -> Any:
        done = CliRunner().invoke(ca, ["mass-revocation", *arguments], input=f"{pin}\n")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]


def test_commands(lite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """propose, show, confirm, list, run: dry until --apply, a PIN for each signature, the hash typed."""
    terminal, serials = Terminal(lite, monkeypatch), issue(lite, 3)
    file = tmp_path / "serials"
    file.write_text("\n".join(serials) + "\n\n")
    wanted = ["propose", "--authority", "harbour", "--reason", "keyCompromise", "--serials", str(file)]
    wanted += ["--officer", "chen", "--why", "laptop stolen"]
    assert terminal.run(*wanted) == []
    with pytest.raises(OfficerTokenError):
        terminal.run(*wanted, "--apply", pin="guess")
    assert terminal.people.service.latest() == []
    (made,) = terminal.run(*wanted, "--apply", pin="pin of chen")
    number, seen = made["mass_revocation"], made["serials_sha256"]
    assert (made["state"], made["certificates"]) == ("proposed", 3)

    assert terminal.run("show", number)[0]["now"] is None
    confirm = ["confirm", number, "--officer", "zhou"]
    assert terminal.run(*confirm)[0]["state"] == "proposed"
    for wrong in ("", seen[:8], "0" * 64):
        with pytest.raises(MassRevocationChangedError):
            terminal.run(*confirm, "--seen", wrong, "--apply", pin="pin of zhou")
    # The right PIN of somebody who is no officer any more.
    lite.parts.security_officers.remove("zhou", actor="command:test")
    with pytest.raises(OrderSignatureError):
        terminal.run(*confirm, "--seen", seen, "--apply", pin="pin of zhou")
    with pytest.raises(SecondPersonError):
        terminal.run("confirm", number, "--officer", "chen", "--seen", seen, "--apply", pin="pin of chen")


def test_commands_to_stop_and_go_on(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, serials = Terminal(lite, monkeypatch), issue(lite, 3)
    made = terminal.people.propose("chen")
    number = made.mass_revocation
    terminal.run(
        "confirm",
        number,
        "--officer",
        "zhou",
        "--seen",
        made.serials_sha256[:12],
        "--apply",
        pin="pin of zhou",
    )
    (stopped,) = terminal.run("stop", number, "--officer", "chen", "--why", "wait", pin="pin of chen")
    assert (stopped["state"], stopped["stopped_by"]) == ("stopped", "operator:chen")
    with pytest.raises(MassRevocationStateError):
        terminal.run("run", number, "--apply")
    assert terminal.run("run", number, "--officer", "zhou") == []
    again = ["run", number, "--officer", "zhou", "--why", "go on", "--apply"]
    (done,) = terminal.run(*again, pin="pin of zhou")
    assert (done["state"], done["changed"]) == ("done", 3)
    assert [each["mass_revocation"] for each in terminal.run("list")] == [number]
    assert lite.serials_on_list() == set(serials)


def test_ocsp_says_revoked_at_once_and_within_a_second_elsewhere(
    lite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers signed ahead -> dropped with each chunk; a process that dropped none follows the record."""
    people = People(lite)
    records = [lite.issue().record for _ in range(2)]
    bodies = [request_for(lite, record) for record in records]
    lite.parts.responders.prepare()
    assert {answer(lite, body).certificate_status for body in bodies} == {ocsp.OCSPCertStatus.GOOD}
    people.confirm(people.propose_lines([records[0].serial]))
    lite.parts.mass_revocation_work.run()
    assert answer(lite, bodies[0]).certificate_status is ocsp.OCSPCertStatus.REVOKED

    people.confirm(people.propose_lines([records[1].serial]))
    monkeypatch.setattr(lite.parts.mass_revocation_work, "_forget_answers", lambda *_: None)
    lite.parts.mass_revocation_work.run()
    lite.clock.advance(timedelta(seconds=1))
    assert answer(lite, bodies[1]).certificate_status is ocsp.OCSPCertStatus.REVOKED
