"""`onecert ca issue --replaces`: the system's own certificates, renewed, re-keyed and replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ca_fakes import make_csr
from click.testing import CliRunner, Result
from cryptography import x509

from onecert.ca.cli import ca
from onecert.ca.commands import parts as cli_module
from onecert.ca.errors import CaError

Command = Callable[..., Result]


@pytest.fixture
def issue(empty_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `onecert ca issue` for one operator, each time with a new key."""
    world = empty_world
    world.hold("operations")

    class Opened:
        config, context = world.config, world.context

        def close(self) -> None:
            """The world stays open."""

    monkeypatch.setattr(cli_module, "open_member", lambda *_args, **_options: Opened())
    monkeypatch.setattr(cli_module, "assemble", lambda *_args, **_options: world.parts)
    monkeypatch.setattr(cli_module, "root_token", lambda *_args, **_options: world.roots)
    file = tmp_path / "operator.csr"

    def command(*arguments: str, name: str = "王芳", again: bool = False) -> Result:
        if not again:
            file.write_text(make_csr(), "ascii")
        who = ["--common-name", name, "--approved-by", "alice", "--approved-by", "bob"]
        where = ["issue", "--authority", "operations", "--profile", "operator", "--csr", str(file)]
        return CliRunner().invoke(ca, [*where, *who, *arguments], catch_exceptions=True)

    return command


def serial_of(done: Result) -> str:
    assert done.exit_code == 0, (done.output, done.exception)
    return f"{x509.load_pem_x509_certificate(done.stdout.encode()).serial_number:x}"


def status(world: Any, serial: str) -> tuple[str, str | None]:
    record = world.parts.ledger.certificate("operations", serial)
    return record.status, record.reason


def test_renewed_and_the_old_one_revoked_when_it_is_delivered(empty_world: Any, issue: Command) -> None:
    old = serial_of(issue("--apply"))
    follows = [
        "--kind",
        "renew",
        "--early",
        "asked for",
        "--replaces",
        old.upper(),
        "--revoke-replaced",
        "superseded",
    ]
    follows += ["--revoke-when", "delivered"]
    shown = issue(*follows)
    assert (shown.stdout, shown.exit_code) == ("", 0)
    assert all(part in shown.stderr for part in (old.upper(), "superseded", "delivered"))
    done = issue(*follows, "--apply", again=True)
    new = serial_of(done)
    assert (status(empty_world, old), status(empty_world, new)) == (("good", None), ("good", None))
    assert serial_of(issue(*follows, "--apply", again=True)) == new  # the same command, the same certificate

    order = next(line for line in done.stderr.splitlines() if "command." in line).split()[-1]
    told = CliRunner().invoke(ca, ["delivered", order, "--delivered-by", "alice"])
    assert json.loads(told.stdout)["replaced"] == "done"
    assert status(empty_world, old) == ("revoked", "superseded")
    assert serial_of(issue(*follows, "--apply", again=True)) == new


def test_a_lost_one_is_replaced(empty_world: Any, issue: Command) -> None:
    old = serial_of(issue("--apply"))
    lost = ["--kind", "replace", "--replaces", old, "--revoke-replaced", "keyCompromise"]
    assert all(part in issue(*lost).stderr for part in (old, "keyCompromise", "before"))
    assert status(empty_world, old) == ("good", None)
    new = serial_of(issue(*lost, "--apply"))
    assert (status(empty_world, old), status(empty_world, new)) == (
        ("revoked", "keyCompromise"),
        ("good", None),
    )


def test_a_re_keyed_one_ends_with_the_old_one(empty_world: Any, issue: Command) -> None:
    old = serial_of(issue("--apply"))
    new = serial_of(issue("--kind", "rekey", "--replaces", old, "--apply"))
    records = [empty_world.parts.ledger.certificate("operations", serial) for serial in (old, new)]
    assert records[0].not_after == records[1].not_after


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--kind", "renew", "--replaces", "77"), "CERTIFICATE_UNKNOWN"),
        (("--kind", "renew", "--replaces", "xyz"), "ORDER_MALFORMED"),
        (("--kind", "change", "--replaces", "OLD"), "ORDER_MALFORMED"),
        (("--kind", "rekey", "--replaces", "OLD", "--revoke-replaced", "keyCompromise"), "ORDER_MALFORMED"),
    ],
)
def test_what_may_not_follow_is_refused(issue: Command, arguments: tuple[str, ...], code: str) -> None:
    old = serial_of(issue("--apply"))
    for more in ([], ["--apply"]):
        refused = issue(*(old if each == "OLD" else each for each in arguments), *more).exception
        assert isinstance(refused, CaError)
        assert refused.code == code


def test_another_holder_is_refused(issue: Command) -> None:
    old = serial_of(issue("--apply"))
    refused = issue("--kind", "renew", "--replaces", old, "--apply", name="李明").exception
    assert isinstance(refused, CaError)
    assert refused.code in {"PREDECESSOR_HOLDER", "SUBJECT_CHANGED"}
    assert issue("--kind", "renew").exit_code == 2
