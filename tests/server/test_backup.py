"""Backups: whole and signed or refused, restored into nothing but empty places, and proved by a drill.

The service is the registration authority with a token of its own, because it needs no ceremony.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onecert.server.audit.check import verify_export
from onecert.server.audit.export import export_to_file
from onecert.server.backup.ages import backup_ages
from onecert.server.backup.archive import MANIFEST
from onecert.server.backup.checking import audit_keys_of, check_backup, load_keys
from onecert.server.backup.contents import contents_of
from onecert.server.backup.errors import (
    BackupAlteredError,
    BackupKeyMissingError,
    BackupMalformedError,
    BackupPassphraseError,
)
from onecert.server.backup.sealing import open_secrets, read_passphrase, seal_secrets
from onecert.server.contexts import open_member

PROGRAM = Path(sys.executable).parent / "onecert"
PASSPHRASE = "correct horse battery"


def run(*arguments: object, language: str = "en") -> subprocess.CompletedProcess[str]:
    """A process of its own, because a process has one SoftHSM store."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONECERT_")}
    environ |= {"ONECERT_LANGUAGE": language}
    if "ONECERT_PKCS11_MODULE" in os.environ:
        environ["ONECERT_PKCS11_MODULE"] = os.environ["ONECERT_PKCS11_MODULE"]
    return subprocess.run(
        [str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, env=environ, check=False
    )


def note(data: Path, subject: str, count: int = 1) -> None:
    """What the service does: entries in its audit trail."""
    opened = open_member("ra", data, environ={})
    for _number in range(count):
        with opened.context.database.transaction() as connection:
            opened.context.audit.record(connection, event="test.done", actor="command:test", subject=subject)
    opened.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder, and a backup of it with its secrets; neither is changed by a test."""
    folder = tmp_path_factory.mktemp("kept")
    data, passphrase = folder / "data", folder / "passphrase"
    note(data, "before", 3)
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    made = run(
        "backup", "create", "--to", folder / "one.backup", "--with-secrets", "--passphrase-file", passphrase,
        "--data", data,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return data, folder / "one.backup"


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return path


def parts(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    import io  # noqa: PLC0415

    content = parts(source)
    change(content)
    with tarfile.open(target, "w") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


def test_a_backup_says_what_it_holds_and_is_nobody_elses_to_read(kept: tuple[Path, Path]) -> None:
    data, path = kept
    assert path.stat().st_mode & 0o777 == 0o600
    manifest = check_backup(path, load_keys(audit_keys_of(data)))
    facts = manifest.services["ra"]["database"]
    assert facts["engine"] == "sqlite"
    assert facts["audit"]["head_seq"] == facts["audit"]["seq"] == 3
    assert not manifest.left_out
    assert "secrets.sealed" in parts(path)


def test_no_secret_is_in_the_clear(kept: tuple[Path, Path]) -> None:
    data, path = kept
    pin = (data / "ra" / "token.pin").read_bytes().strip()
    assert pin
    assert pin not in path.read_bytes()
    assert not [name for name in parts(path) if name.endswith((".pin", ".secret"))]


def test_without_secrets_they_are_named(kept: tuple[Path, Path], tmp_path: Path) -> None:
    data, _path = kept
    made = run("backup", "create", "--to", tmp_path, "--data", data, "--service", "ra")
    assert made.returncode == 0
    assert "ra/token.pin" in made.stderr
    (path,) = tmp_path.glob("*.backup")
    assert "secrets.sealed" not in parts(path)
    assert "ra/token.pin" in check_backup(path, load_keys(audit_keys_of(data))).left_out


def _drop_a_part(content: dict[str, bytes]) -> None:
    del content["databases/ra/database.sqlite"]


def _add_a_part(content: dict[str, bytes]) -> None:
    manifest = content.pop(MANIFEST)
    content["data/ra/extra"] = b"1"
    content[MANIFEST] = manifest


def _change_a_byte(content: dict[str, bytes]) -> None:
    database = bytearray(content["databases/ra/database.sqlite"])
    database[len(database) // 2] ^= 1
    content["databases/ra/database.sqlite"] = bytes(database)


def _change_the_manifest(content: dict[str, bytes]) -> None:
    manifest = json.loads(content[MANIFEST])
    manifest["payload"] = manifest["payload"][:-4] + "AAAA"
    content[MANIFEST] = json.dumps(manifest).encode()


@pytest.mark.parametrize("change", [_drop_a_part, _add_a_part, _change_a_byte, _change_the_manifest])
def test_an_altered_backup_is_refused(
    kept: tuple[Path, Path], tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    data, path = kept
    altered = rewritten(path, tmp_path / "altered.backup", change)
    with pytest.raises(BackupAlteredError):
        check_backup(altered, load_keys(audit_keys_of(data)))
    done = run(
        "backup", "restore", altered, "--data", tmp_path / "new", "--key", *audit_keys_of(data), "--apply"
    )
    assert done.returncode == 1
    assert not (tmp_path / "new").exists()


def test_a_backup_that_was_cut_off_or_never_was_one(kept: tuple[Path, Path], tmp_path: Path) -> None:
    data, path = kept
    keys, whole = load_keys(audit_keys_of(data)), path.read_bytes()
    for content in (b"", b"\0" * 2048, whole[:700], whole[: len(whole) // 2], os.urandom(4096)):
        (tmp_path / "cut").write_bytes(content)
        with pytest.raises(BackupMalformedError):
            check_backup(tmp_path / "cut", keys)


@pytest.mark.parametrize("name", ["/etc/x", "data/../../x", "data//ra/x", "data/./x"])
def test_a_part_that_leads_out_of_the_folder_is_refused(
    kept: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    data, path = kept
    altered = rewritten(path, tmp_path / "out", lambda content: content.update({name: b"1"}))
    with pytest.raises((BackupMalformedError, BackupAlteredError)):
        check_backup(altered, load_keys(audit_keys_of(data)))


def test_keys_that_only_the_backup_knows_vouch_for_nothing(kept: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("backup", "check", kept[1], "--data", tmp_path)
    assert done.returncode == 3
    assert "BACKUP_KEY_MISSING" in done.stderr
    with pytest.raises(BackupKeyMissingError):
        load_keys([])


def test_a_restored_service_is_the_one_that_was_copied(
    kept: tuple[Path, Path], tmp_path: Path, passphrase_file: Path
) -> None:
    data, path = kept
    new = tmp_path / "new"
    key = audit_keys_of(data)[0]
    shown = run("backup", "restore", path, "--data", new, "--key", key)
    assert shown.returncode == 0
    assert not new.exists()
    done = run(
        "backup",
        "restore",
        path,
        "--data",
        new,
        "--key",
        key,
        "--apply",
        "--passphrase-file",
        passphrase_file,
    )
    assert done.returncode == 0, done.stderr
    assert new.stat().st_mode & 0o777 == 0o700
    assert not [each for each in new.rglob("*") if each.is_file() and each.stat().st_mode & 0o077]
    assert (new / "ra" / "token.pin").read_bytes() == (data / "ra" / "token.pin").read_bytes()
    assert not (new / ".restoring").exists()

    opened = open_member("ra", new, environ={})
    try:
        export_to_file(opened.context.database, tmp_path / "trail", service="ra")
    finally:
        opened.close()
    report = verify_export(tmp_path / "trail", keys=load_keys([key]))
    assert report.entries == 4  # and that it was restored
    # Its token opens with its PIN, and signs.
    made = run("backup", "create", "--to", tmp_path / "again.backup", "--data", new)
    assert made.returncode == 0, made.stderr
    assert check_backup(tmp_path / "again.backup", load_keys([key]))


def test_nothing_is_restored_over_anything(kept: tuple[Path, Path], tmp_path: Path) -> None:
    data, path = kept
    note(tmp_path / "newer", "work", 9)
    key = audit_keys_of(data)[0]
    for language, word in (("en", "newer"), ("zh", "更新")):
        done = run(
            "backup",
            "restore",
            path,
            "--data",
            tmp_path / "newer",
            "--key",
            key,
            "--apply",
            language=language,
        )
        assert done.returncode == 1
        assert "RESTORE_TARGET_TAKEN" in done.stderr
        assert word in done.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note").write_text("mine")
    done = run("backup", "restore", path, "--data", tmp_path / "other", "--key", key, "--apply")
    assert done.returncode == 1
    assert [each.name for each in (tmp_path / "other").iterdir()] == ["note"]


def test_an_export_that_knows_more_names_what_must_be_done_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    note(data, "before")
    assert run("backup", "create", "--to", tmp_path / "one.backup", "--data", data).returncode == 0
    note(data, "certificate-after")
    assert run("backup", "create", "--to", tmp_path / "two.backup", "--data", data).returncode == 0
    assert run("audit", "export", "ra", "--to", tmp_path / "trail", "--data", data).returncode == 0
    done = run(
        "backup", "restore", tmp_path / "one.backup", "--data", tmp_path / "new",
        "--key", audit_keys_of(data)[0], "--seen", tmp_path / "trail",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "test.done\tcertificate-after" in done.stdout
    assert "before\n" not in done.stdout


def test_secrets_open_with_their_passphrase_alone(tmp_path: Path) -> None:
    (tmp_path / "a.pin").write_text("123456")
    sealed = seal_secrets({"ra/a.pin": tmp_path / "a.pin"}, PASSPHRASE)
    assert b"123456" not in sealed
    assert open_secrets(sealed, PASSPHRASE) == {"ra/a.pin": b"123456"}
    for content, passphrase in (
        (sealed, "another passphrase"),
        (sealed[:-1], PASSPHRASE),
        (sealed[:20], PASSPHRASE),
        (b"", PASSPHRASE),
        (sealed[:60] + bytes([sealed[60] ^ 1]) + sealed[61:], PASSPHRASE),
    ):
        with pytest.raises(BackupPassphraseError):
            open_secrets(content, passphrase)


@pytest.mark.parametrize(("content", "mode"), [("short", 0o600), (PASSPHRASE, 0o644), ("", 0o600)])
def test_a_passphrase_that_protects_nothing_is_refused(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "passphrase"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(BackupPassphraseError):
        read_passphrase(path)
    with pytest.raises(BackupPassphraseError):
        read_passphrase(tmp_path / "none")


def test_what_a_service_makes_anew_is_not_copied(tmp_path: Path) -> None:
    for name in (
        "status/a.crl",
        "status/ocsp.db",
        "ra.db-made",
        "x.sock",
        ".x.12",
        "token.pin",
        "sealed-keys/k",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    found = contents_of(tmp_path)
    assert [each.name for each in found.published] == ["a.crl"]
    assert [each.name for each in found.kept] == ["k"]
    assert [each.name for each in found.secrets] == ["token.pin"]


def test_a_drill_brings_the_service_back_and_its_trail_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    note(data, "before")
    folder = tmp_path / "backups"
    folder.mkdir()
    assert run("backup", "create", "--to", folder, "--data", data).returncode == 0
    work = tmp_path / "work"
    work.mkdir()
    done = run("backup", "drill", folder, "--data", data, "--work", work, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["services"] == ["ra"]
    assert found["restore_s"] > 0
    assert not list(work.iterdir())
    opened = open_member("ra", data, environ={})
    standing = backup_ages(opened.context.database)
    opened.close()
    assert standing.made_at is not None
    assert standing.drilled_at is not None
    assert standing.drill_failed_at is None


def test_a_drill_without_the_keys_fails_and_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    note(data, "before")
    assert run("backup", "create", "--to", tmp_path / "one.backup", "--data", data).returncode == 0
    (data / "ra" / "token.pin").write_text("000000")  # not the PIN of then
    done = run("backup", "drill", tmp_path / "one.backup", "--data", data)
    assert done.returncode == 1
    assert "!!  ra" in done.stdout
    opened = open_member("ra", data, environ={})
    standing = backup_ages(opened.context.database)
    opened.close()
    assert standing.drilled_at is None
    assert standing.drill_failed_at is not None
