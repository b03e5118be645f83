"""What `onecert doctor` asks the CA: one thing is broken, and is named with what to do, in zh and en."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert, update

from onecert.ca.activation import shares as activation_shares
from onecert.ca.activation.door import open_door
from onecert.ca.activation.holders import new_splitting
from onecert.ca.activation.shares import open_share
from onecert.ca.config import CaConfig
from onecert.ca.models import check_rounds
from onecert.ca.operation.examining import examine
from onecert.ca.signatures.tokens import issuing_token, split_pin
from onecert.server.audit.keys import publish_audit_key
from onecert.server.doctor import Finding
from onecert.server.languages import set_language

PHRASES = {"何见证": "four words of one", "郑主持": "four words of two"}


@pytest.fixture
def sound(lite: Any) -> Any:
    """The harbour CA as it is while its service runs: nothing is wrong."""
    assert lite.service.audit_key is not None
    publish_audit_key(lite.context.data, lite.service.audit_key)
    lite.parts.responders.prepare()
    assert named(lite) == {}
    return lite


def named(world: Any, config: CaConfig | None = None, *, token: bool = True) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for language in ("en", "zh"):
        with set_language(language):
            each = examine(config or world.config, world.context, token=world.token if token else None)
            found = {finding.code: finding for finding in each if finding.is_fault}
        for finding in found.values():
            assert finding.text
            assert finding.hint
            is_chinese = any("一" <= letter <= "鿿" for letter in finding.text + finding.hint)
            assert is_chinese == (language == "zh"), finding
    return found


def test_what_is_well_is_said_to_be_well_and_nothing_changes(sound: Any) -> None:
    def everything() -> dict[str, tuple[int, bytes]]:
        files = [path for path in sound.context.shared.rglob("*") if path.is_file()]
        return {
            str(path): (path.stat().st_mode, path.read_bytes()) for path in files if "-shm" not in path.name
        }

    before, keys = everything(), set(sound.token.keys)
    subjects = {finding.subject for finding in examine(sound.config, sound.context, token=sound.token)}
    assert {"token", "key harbour", "audit-key", "status", "lists harbour", "ocsp", "checker"} <= subjects
    assert everything() == before
    assert set(sound.token.keys) == keys


def test_a_token_that_is_away(sound: Any) -> None:
    sound.token.gone = True
    assert named(sound).keys() == {"TOKEN_UNAVAILABLE"}


def test_no_token_is_made_where_none_is(sound: Any) -> None:
    assert named(sound, token=False).keys() == {"TOKEN_STORE_MISSING"}
    (sound.context.shared / "softhsm" / "tokens").mkdir(parents=True)
    assert named(sound, token=False).keys() == {"PIN_FILE_MISSING"}
    assert not list((sound.context.shared / "softhsm" / "tokens").iterdir())


def test_a_key_that_is_not_the_one_of_its_certificate(sound: Any) -> None:
    label = sound.parts.authorities.get("harbour").key_label
    sound.token.keys[label] = ec.generate_private_key(ec.SECP256R1())
    assert "harbour" in named(sound)["KEY_FAULT"].text
    del sound.token.keys[label]
    assert "KEY_FAULT" in named(sound)


def test_an_audit_key_that_nobody_knows(sound: Any) -> None:
    sound.token.keys["audit"] = ec.generate_private_key(ec.SECP256R1())
    assert named(sound).keys() == {"AUDIT_KEY_FAULT"}


def test_lists_at_half_their_life(sound: Any) -> None:
    latest = sound.parts.publisher.latest("harbour")
    half = (latest.next_update - latest.this_update) / 2
    sound.clock.advance(half - timedelta(seconds=1))
    assert "CRL_OVERDUE" not in named(sound)
    sound.clock.advance(timedelta(seconds=2))
    assert "onecert ca crl publish" in named(sound)["CRL_OVERDUE"].hint


def test_answers_that_are_old(sound: Any) -> None:
    sound.issue()
    sound.parts.responders.prepare()
    sound.clock.advance(timedelta(hours=5))
    assert "OCSP_ANSWERS_OLD" not in named(sound)
    sound.clock.advance(timedelta(hours=2))
    assert "OCSP_ANSWERS_OLD" in named(sound)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda status: (status / "harbour.crl").unlink(), "LIST_FILE_BEHIND"),
        (lambda status: (status / "harbour.crl-number").write_text("0"), "LIST_FILE_BEHIND"),
        (lambda status: (status / "harbour.crl-number").write_text("99"), "CRL_NUMBER_WENT_BACK"),
        (lambda status: (status / "ocsp.db").unlink(), "OCSP_ANSWERS_MISSING"),
        (lambda status: (status / "ocsp.db").write_bytes(b"no database" * 999), "OCSP_ANSWERS_UNREADABLE"),
    ],
)
def test_files_that_are_served(sound: Any, act: Callable[[Path], object], code: str) -> None:
    status = sound.context.data / "status"
    for part in ("ocsp.db-wal", "ocsp.db-shm"):
        if "ocsp" in code.lower():
            (status / part).unlink(missing_ok=True)
    act(status)
    assert code in named(sound)


def test_a_folder_that_cannot_be_written(sound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "STATUS_NOT_WRITABLE" in named(sound)


def test_what_the_checker_found_and_a_checker_that_does_not_come(sound: Any) -> None:
    at = sound.clock.now()
    row = {"kind": "record", "number": 1, "started_at": at, "finished_at": at, "authority": "", "serial": ""}
    rule = '[{"rule": "not-on-record", "authority": "harbour", "serial": "1", "facts": ""}]'
    with sound.context.database.transaction() as connection:
        values = {**row, "seq": 0, "checked": 1, "findings": 1, "first_findings": rule}
        connection.execute(insert(check_rounds).values(**values))
    assert "not-on-record" in named(sound)["CHECK_FINDINGS"].text
    with sound.context.database.transaction() as connection:
        connection.execute(update(check_rounds).values(findings=0, first_findings="[]"))
    assert named(sound) == {}
    sound.clock.advance(timedelta(days=3, minutes=1))
    assert "CHECKER_LATE" in named(sound)


def test_settings_of_a_trial(sound: Any) -> None:
    trial = replace(sound.config, test_identities=True, timestamp_needs_kept_clock=False)
    assert named(sound, trial).keys() == {"TEST_IDENTITIES", "TIMESTAMPS_BY_ANY_CLOCK"}


@pytest.mark.token
def test_a_token_that_waits_for_its_holders(
    sound: Any, softhsm_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_shares, "SCRYPT_LOG_N", 10)
    context = sound.context
    (context.shared / "softhsm").symlink_to(softhsm_store, target_is_directory=True)
    config = CaConfig(token_label="ca-examined", batch_workers=0)
    token = issuing_token(config, context.data, context.shared)
    token.find_or_make("audit", "p-256")
    # A real token that answers, without the keys of the authorities.
    assert named(sound, config, token=False).keys() == {"KEY_FAULT", "AUDIT_KEY_FAULT"}
    public, pin, files = new_splitting("ca-examined", needed=2, holders=PHRASES)
    split_pin(token, public, pin)
    token.close()
    service = issuing_token(config, context.data, context.shared)
    door = open_door(service)
    assert door is not None
    try:
        assert "activate" in named(sound, config, token=False)["TOKEN_WAITS"].hint
        for holder, phrase in PHRASES.items():
            service.holders.give(open_share(files[holder], phrase))
        assert named(sound, config, token=False) == {}
    finally:
        door.close()
        service.close()
