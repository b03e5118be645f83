"""A kit that keeps its keys goes on: after each change the verifier judges every case as its line says."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from onecert.testkit import Kit, KitError, changes, cli, load_kit, make_kit
from onecert.testkit.cli import main
from onecert.verifier import CouldNotCheckError, CrlFolder, RefusedError, Verifier
from onecert.verifier.trust_list.parse import read_trust_list

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRM_ID = "uscc:91440300MA5DEM004J"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kit(tmp_path_factory.mktemp("kept") / "kit", at=T, keep_keys=True).folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "kit"))


def judged(folder: Path, at: datetime) -> dict[str, tuple[str, str]]:
    """Verdict and code of every case, by the lists that the kit serves."""
    kit = load_kit(folder)
    verifier = Verifier(
        trust_list=_list(folder),
        evidence=CrlFolder(folder / "site" / "crls"),
        application="tax",
        pairwise_key=b"k" * 32,
    )
    found = {}
    for case in kit.cases:
        try:
            verifier.verify(kit.certificate_pem(case), at=at)
            found[case.name] = ("accepted", "")
        except RefusedError as error:
            found[case.name] = ("refused", error.code)
        except CouldNotCheckError as error:
            found[case.name] = ("could-not-check", error.code)
    return found


def _list(folder: Path) -> Any:
    payload = json.loads((folder / "site" / "trust-list.json").read_bytes())["payload"]
    return read_trust_list(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def told(folder: Path) -> dict[str, tuple[str, str]]:
    return {case.name: (case.expected, case.code) for case in load_kit(folder).cases}


def changed(folder: Path, before: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The cases whose line differs, with what it says now."""
    return {name: code or kind for name, (kind, code) in told(folder).items() if before[name] != (kind, code)}


@pytest.mark.parametrize(
    ("steps", "differs"),
    [
        ([("revoke", "good-harbour")], {"good-harbour": "CERT_REVOKED"}),
        ([("hold", "good-sm2")], {"good-sm2": "CERT_HELD"}),
        ([("hold", "good-sm2"), ("release", "good-sm2")], {}),
        ([("hold", "agent"), ("revoke", "agent")], {"agent": "CERT_REVOKED"}),
        ([("release", "held")], {"held": "accepted"}),
        ([("revoke", "out-of-scope")], {"out-of-scope": "CERT_REVOKED"}),
        ([("revoke", "weak-key")], {}),
        ([("renew", "revoked")], {"revoked": "accepted"}),
        (
            [("renew", "expired"), ("renew", "not-yet-valid")],
            {"expired": "accepted", "not-yet-valid": "accepted"},
        ),
        ([("renew", "good-sm2")], {}),
        ([("renew", "conflicting-ids")], {}),
        (
            [("withdraw", "summit")],
            dict.fromkeys(
                ("good-summit", "renamed", "employee", "conflicting-class", "wrong-check-digit"),
                "CA_WITHDRAWN",
            ),
        ),
        ([("withdraw", "harbour-sm2"), ("revoke", "good-sm2")], {"good-sm2": "CERT_REVOKED"}),
        ([("revoke", "good-sm2"), ("withdraw", "harbour-sm2")], {"good-sm2": "CERT_REVOKED"}),
        ([("withdraw-keeping", "pearl")], {}),
        ([("withdraw", "harbour-sm2"), ("withdraw-keeping", "harbour-sm2")], {}),
        ([("refresh", "")], {}),
    ],
)
def test_every_case_is_judged_as_its_line_says_after_a_change(
    folder: Path, steps: list[tuple[str, str]], differs: dict[str, str]
) -> None:
    """Exactly these cases change; the verifier finds for all of them what the kit says."""
    before, at = told(folder), T
    for step, name in steps:
        at += HOUR
        assert CHANGES[step](folder, name, at)
    assert changed(folder, before) == differs
    assert judged(folder, at + HOUR) == told(folder)


CHANGES: dict[str, Callable[[Path, str, datetime], bool]] = {
    "revoke": lambda folder, name, at: changes.revoke(folder, name, at=at),
    "hold": lambda folder, name, at: changes.revoke(folder, name, at=at, hold=True),
    "release": lambda folder, name, at: changes.release(folder, name, at=at),
    "renew": lambda folder, name, at: changes.renew(folder, name, at=at),
    "withdraw": lambda folder, name, at: changes.withdraw(folder, name, at=at),
    "withdraw-keeping": lambda folder, name, at: changes.withdraw(folder, name, at=at, keeps_existing=True),
    "refresh": lambda folder, name, at: changes.refresh(folder, at=at),
}


@pytest.mark.parametrize(
    ("step", "name"),
    [("revoke", "revoked"), ("hold", "held"), ("release", "good-pearl"), ("withdraw", "meadow")],
)
def test_what_is_so_already_is_no_change(folder: Path, step: str, name: str) -> None:
    """Nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not CHANGES[step](folder, name, T + HOUR)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("step", "name", "code"),
    [
        ("revoke", "nobody", "CASE_UNKNOWN"),
        ("revoke", "unknown-ca", "CA_NOT_LISTED"),
        ("revoke", "status-unknown", "CA_NOT_LISTED"),
        ("hold", "revoked", "REVOKED_FOR_GOOD"),
        ("release", "revoked", "REVOKED_FOR_GOOD"),
        ("renew", "withdrawn-ca-before", "CA_MAY_NOT_ISSUE"),
        ("renew", "suspended-ca", "CA_MAY_NOT_ISSUE"),
        ("withdraw", "stranger", "CA_UNKNOWN"),
        ("withdraw", "nobody", "CA_UNKNOWN"),
    ],
)
def test_what_cannot_be(folder: Path, step: str, name: str, code: str) -> None:
    """One clear error, and nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(KitError) as caught:
        CHANGES[step](folder, name, T + HOUR)
    assert caught.value.code == code
    assert caught.value.text("zh") != caught.value.text("en")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_renewed_certificate_has_the_key_and_the_old_one_stays(folder: Path) -> None:
    kit = load_kit(folder)
    case = kit.case("revoked")
    old = x509.load_pem_x509_certificate(kit.certificate_pem(case))
    assert changes.renew(folder, "revoked", at=T + HOUR)
    new = x509.load_pem_x509_certificate(kit.certificate_pem(case))
    kept = folder / "holders" / f"revoked-{old.serial_number:x}.crt"
    assert x509.load_pem_x509_certificate(kept.read_bytes()) == old
    assert (new.public_key(), new.subject) == (old.public_key(), old.subject)
    assert new.serial_number != old.serial_number
    assert load_kit(folder).case("revoked").id == FIRM_ID


def test_lists_never_go_back(folder: Path) -> None:
    """Changes by a clock that goes back. CRL numbers, times and the list's sequence grow all the same."""
    seen = []
    for at in (T + HOUR, T, T - HOUR):
        changes.revoke(folder, "good-harbour", at=at)
        changes.renew(folder, "good-harbour", at=at)
        changes.refresh(folder, at=at)
        crl = x509.load_der_x509_crl((folder / "site" / "crls" / "harbour.crl").read_bytes())
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        seen.append((number, crl.last_update_utc, _list(folder).sequence))
    for first, second in itertools.pairwise(seen):
        assert all(one < other for one, other in zip(first, second, strict=True))
    assert len(crl) == 4  # and the one that is held


def test_a_kit_without_keys_cannot_change(kit: Kit) -> None:
    for change in (changes.revoke, changes.release, changes.renew, changes.withdraw):
        with pytest.raises(KitError, match="KEYS_NOT_KEPT"):
            change(kit.folder, "good-harbour", at=T)
    with pytest.raises(KitError, match="KEYS_NOT_KEPT"):
        changes.refresh(kit.folder, at=T)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "officers": "x"}'])
def test_keys_that_cannot_be_read(folder: Path, broken: str) -> None:
    (folder / "keys" / "state.json").write_text(broken)
    with pytest.raises(KitError, match="KEYS_NOT_KEPT"):
        changes.revoke(folder, "good-harbour", at=T)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    """make --keep-keys, then every change; a second time it says that nothing was changed."""
    monkeypatch.setattr(cli, "now", lambda: T)
    kit = str(tmp_path / "kit")
    speak = ["--language", language]
    assert main(["make", kit, "--keep-keys", *speak]) == 0
    for command in (["hold", kit, "agent"], ["release", kit, "agent"], ["revoke", kit, "good-sm2"]):
        capsys.readouterr()
        assert main([*command, *speak]) == 0
        first = capsys.readouterr()
        assert first.err.count("\n") == 1
        assert main([*command, *speak]) == 0
        again = capsys.readouterr()
        assert (again.err, again.out != first.out) == ("", True)
    assert main(["renew", kit, "good-sm2", *speak]) == 0
    assert main(["withdraw", kit, "pearl", "--keeps-existing", *speak]) == 0
    assert main(["refresh", kit, *speak]) == 0
    assert main(["withdraw", kit, "nobody", *speak]) == 2
    assert "pearl" in capsys.readouterr().err
