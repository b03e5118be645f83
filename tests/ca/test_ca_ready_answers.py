"""Answers that a status process keeps in memory: as quick as nothing, and never a moment longer than true."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import ocsp
from test_ca_ocsp import answer, request_for, revoke
from test_ca_status_process import ask, fill, process

from onecert.ca.ocsp.answer_changes import FILE_NAME, SeenChanges, announce
from onecert.ca.ocsp.prepared_answers import PreparedAnswers
from onecert.ca.status.folder_copy import copy_folder

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
UNAUTHORIZED = ocsp.OCSPResponseStatus.UNAUTHORIZED


class Counted:
    """Counts the questions that reach the file of answers."""

    def __init__(self, monkeypatch: Any) -> None:
        self.count = 0
        find = PreparedAnswers.find

        def counted(store: PreparedAnswers, *names: str) -> Any:
            self.count += 1
            return find(store, *names)

        monkeypatch.setattr(PreparedAnswers, "find", counted)


@pytest.fixture
def asked(monkeypatch: Any) -> Counted:
    return Counted(monkeypatch)


def test_the_same_question_is_looked_up_once(lite: Any, asked: Counted) -> None:
    body = request_for(lite, lite.issue().record)
    fill(lite)
    app = process(lite)
    first = ask(app, body)
    asked.count = 0
    for _ in range(3):
        assert ask(app, body).signature == first.signature
    assert asked.count == 0


def test_a_change_is_seen_with_the_next_question(lite: Any) -> None:
    """Also within the same second, by processes that have the answer in memory."""
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    apps = [process(lite), process(lite)]
    for app in apps:
        for _ in range(2):
            assert ask(app, body).certificate_status is GOOD
    revoke(lite, record.serial)
    for app in apps:
        assert ask(app, body).response_status is UNAUTHORIZED
    lite.parts.responders.follow()
    for app in apps:
        assert ask(app, body).certificate_status is REVOKED


def test_kept_no_longer_than_it_lives(lite: Any) -> None:
    body = request_for(lite, lite.issue().record)
    fill(lite)
    app = process(lite)
    assert ask(app, body).certificate_status is GOOD
    lite.clock.advance(timedelta(hours=8))
    assert ask(app, body).response_status is UNAUTHORIZED


def test_a_change_that_is_announced_and_never_committed(lite: Any, asked: Counted) -> None:
    """A writer that died between the two: the file is asked until the next change, and nothing is wrong."""
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    folder = lite.parts.files.folder
    app = process(lite)
    assert ask(app, body).certificate_status is GOOD
    with sqlite3.connect(folder / "ocsp.db") as connection:
        number = connection.execute("SELECT number FROM changes").fetchone()[0]
    connection.close()
    announce(folder, number + 1)
    asked.count = 0
    for _ in range(3):
        assert ask(app, body).certificate_status is GOOD
    assert asked.count == 3
    # The next change has that number too, and is not taken for one that is committed already.
    revoke(lite, record.serial)
    assert ask(app, body).response_status is UNAUTHORIZED


def test_what_cannot_be_announced_is_not_changed(lite: Any, monkeypatch: Any) -> None:
    """The status changes all the same, and the CA's own process answers nothing that is outdated."""
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    store = PreparedAnswers(lite.parts.files.folder / "ocsp.db")

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(sqlite3.Error):
        store.remove("harbour", [record.serial])
    assert store.find("harbour", "sha1", record.serial) is not None
    revoke(lite, record.serial)
    lite.clock.advance(timedelta(seconds=2))
    assert answer(lite, body).certificate_status is REVOKED
    store.close()


def test_a_copy_in_its_place_is_seen_at_once(lite: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    copied = tmp_path / "copied"
    copy_folder(lite.parts.files.folder, copied)
    app = process(lite, folder=copied)
    for _ in range(2):
        assert ask(app, body).certificate_status is GOOD
    revoke(lite, record.serial)
    lite.parts.responders.follow()
    assert ask(app, body).certificate_status is GOOD
    copy_folder(lite.parts.files.folder, copied)
    assert ask(app, body).certificate_status is REVOKED


def test_a_copy_that_another_program_made_is_seen_within_a_second(lite: Any, tmp_path: Path) -> None:
    """`rsync` puts new files in the place of old ones, in any order."""
    record = lite.issue().record
    body = request_for(lite, record)
    fill(lite)
    copied, fresh = tmp_path / "copied", tmp_path / "fresh"
    copy_folder(lite.parts.files.folder, copied)
    app = process(lite, folder=copied)
    for _ in range(2):
        assert ask(app, body).certificate_status is GOOD
    revoke(lite, record.serial)
    lite.parts.responders.follow()
    copy_folder(lite.parts.files.folder, fresh)
    for name in (FILE_NAME, "ocsp.db"):
        (fresh / name).replace(copied / name)
    lite.clock.advance(timedelta(seconds=1))
    assert ask(app, body).certificate_status is REVOKED


def test_nothing_is_kept_where_nobody_announces(lite: Any, asked: Counted) -> None:
    body = request_for(lite, lite.issue().record)
    fill(lite)
    (lite.parts.files.folder / FILE_NAME).unlink()
    app = process(lite)
    asked.count = 0
    for _ in range(3):
        assert ask(app, body).certificate_status is GOOD
    assert asked.count == 3


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_damaged_file_announces_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    seen = SeenChanges(tmp_path)
    seen.look_again()
    assert seen.newest() == b""
    announce(tmp_path, 7)
    seen.look_again()
    assert int.from_bytes(seen.newest(), "little") == 7
