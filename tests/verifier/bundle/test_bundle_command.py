"""`onecert-verify bundle` and `--bundle`: a department's clerk with a disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_city import DAY, FIRM, HOUR, City, T, stamp

from onecert.verifier.cli import main


class Shell:
    """Runs the command and keeps what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object, code: int = 0, at: Any = T + HOUR) -> str:
        try:
            found = main([*map(str, arguments), "--language", "en", "--at", stamp(at)])
        except SystemExit as exc:
            found = int(str(exc.code))
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        return out or err

    def json(self, *arguments: object, **settings: Any) -> Any:
        return json.loads(self(*arguments, "--json", **settings))


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def disk(city: City, tmp_path: Path) -> Path:
    """What somebody brought."""
    return city.bundle(tmp_path / "disk.zip")


def certificate_of(city: City, name: str = "good-harbour") -> Path:
    return city.kit.folder / city.kit.case(name).files["certificate"]


def test_show(city: City, disk: Path, shell: Shell) -> None:
    root = city.pki / "trust-root.json"
    text = shell("bundle", "show", disk, "--trust-root", root)
    assert "2026-11-21 09:00:00" in text
    assert "7 days" in text
    answer = shell.json("bundle", "show", disk, "--folder", city.pki)
    assert (answer["accepted"], answer["age_s"]) == (True, 3600)
    assert (
        shell.json("bundle", "show", disk, "--trust-root", root, at=T - DAY, code=3)["code"] == "BUNDLE_CLOCK"
    )
    for wrong in (("--trust-root", root, "--folder", city.pki), ()):
        shell("bundle", "show", disk, *wrong, code=2)
    shell("bundle", "eat", disk, "--folder", city.pki, code=2)


def test_import(city: City, disk: Path, shell: Shell, tmp_path: Path) -> None:
    shell("bundle", "import", disk, "--folder", city.pki)
    held = (city.pki / "bundle.zip").read_bytes()
    assert held == disk.read_bytes()
    # The index of the register is there before the first citizen comes.
    assert list((city.pki / "registry").glob("*.sqlite"))
    verifier = city.verifier()
    assert verifier.verify(city.leaf("good-harbour"), at=T + HOUR).as_of == T
    # The same once more does nothing; a newer one replaces it; the older one is not taken again.
    shell("bundle", "import", disk, "--folder", city.pki)
    newer = city.bundle(tmp_path / "newer.zip", made_at=T + 2 * HOUR, version=2)
    shell("bundle", "import", newer, "--folder", city.pki, at=T + 3 * HOUR)
    assert verifier.as_of(T + 3 * HOUR) == T + 2 * HOUR
    shell("bundle", "import", disk, "--folder", city.pki, at=T + 3 * HOUR, code=1)
    assert (city.pki / "bundle.zip").read_bytes() == newer.read_bytes()


def test_what_is_not_imported(city: City, disk: Path, shell: Shell, tmp_path: Path) -> None:
    """Nothing of the folder changes."""
    half = tmp_path / "half.zip"
    half.write_bytes(disk.read_bytes()[:-1000])
    before = sorted(city.pki.rglob("*"))
    shell("bundle", "import", half, "--folder", city.pki, code=1)
    shell("bundle", "import", tmp_path / "absent.zip", "--folder", city.pki, code=3)
    shell("bundle", "import", disk, "--folder", city.pki, at=T + 40 * DAY, code=3)
    shell("bundle", "import", disk, "--folder", tmp_path / "nowhere", code=3)
    shell("bundle", "import", disk, "--trust-root", city.pki / "trust-root.json", code=2)
    assert sorted(city.pki.rglob("*")) == before


def test_check_a_certificate(city: City, disk: Path, shell: Shell, tmp_path: Path) -> None:
    given = ("--bundle", disk, "--trust-root", city.pki / "trust-root.json")
    leaf = certificate_of(city)
    answer = shell.json("certificate", *given, leaf)
    assert (answer["id"], answer["offline"], answer["as_of"]) == (f"uscc:{FIRM}", True, stamp(T))
    assert "offline, as of" in shell("certificate", *given, leaf)
    shell("certificate", *given, certificate_of(city, "revoked"), code=1)
    state = ("--state", tmp_path / "state" / "trust.json")
    shell("certificate", *given, *state, leaf)
    older = city.bundle(tmp_path / "older.zip", made_at=T - HOUR, version=2)
    given = ("--bundle", older, "--trust-root", city.pki / "trust-root.json")
    assert shell.json("certificate", *given, *state, leaf, code=1)["code"] == "BUNDLE_ROLLBACK"


def test_check_a_form(city: City, disk: Path, shell: Shell, tmp_path: Path) -> None:
    case = city.kit.case("good-harbour")
    document, signature = tmp_path / "form.json", tmp_path / "form.sig"
    document.write_bytes(b'{"tax":100}')
    signature.write_bytes(city.kit.key(case).sign(document.read_bytes()))
    given = ("--bundle", disk, "--trust-root", city.pki / "trust-root.json", "--document", document)
    raw = ("--raw", certificate_of(city))
    record = tmp_path / "record.json"
    answer = shell.json("form", *given, *raw, "--evidence-out", record, signature)
    assert (answer["offline"], answer["as_of"]) == (True, stamp(T))
    assert record.exists()
    assert "offline, as of" in shell("form", *given, *raw, signature)
    assert shell.json("form", *given, *raw, signature, at=T + 2 * DAY, code=3)["code"] == "BUNDLE_OLD"


@pytest.mark.parametrize(
    "more", [["--crls", "x"], ["--trust-list", "x"], ["--trust-timestamp", "x"], ["--allow-offline", "3"]]
)
def test_a_bundle_and_what_is_in_it(city: City, disk: Path, shell: Shell, more: list[str]) -> None:
    root = city.pki / "trust-root.json"
    shell("certificate", "--bundle", disk, "--trust-root", root, *more, certificate_of(city), code=2)
