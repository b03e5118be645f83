"""onecert-verify: verdicts, texts in two languages, JSON, exit codes."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier.cli import main

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
AT = "2026-11-21T09:00:00Z"
PROFILES = Path(__file__).parents[3] / "demo" / "profiles"


@pytest.fixture
def files(world: Any) -> dict[str, str]:
    """A good leaf, the list, its keys and the CRLs as files."""
    contents = {
        "list": world.trust_list(),
        "root": world.root_file,
        "good.pem": world.leaf("harbour").pem,
        "pearl.der": world.leaf("pearl").der,
        "expired.pem": world.leaf(not_after=T - timedelta(days=1)).pem,
    }
    revoked = world.leaf()
    world.revoke("harbour", revoked)
    contents["revoked.pem"] = revoked.pem
    for name, data in contents.items():
        (world.folder / name).write_bytes(data)
    names = {name: str(world.folder / name) for name in contents}
    return {**names, "crls": str(world.publish_crls())}


def check(files: dict[str, str], name: str, *more: str) -> int:
    return main(
        [
            "certificate",
            "--trust-list",
            files["list"],
            "--trust-root",
            files["root"],
            "--crls",
            files["crls"],
            "--at",
            AT,
            *more,
            files[name],
        ]
    )


def test_accepted(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert check(files, "good.pem", "--language", "zh") == 0
    out = capsys.readouterr().out
    assert "uscc:91440300MA5DEM004J" in out
    assert "海港CA" in out
    assert "有效" in out
    assert check(files, "pearl.der", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["accepted"], result["id"], result["key_number"]) == (
        True,
        "uscc:91440300MA5DEM004J",
        10001,
    )


def test_single_files(files: dict[str, str], world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["certificate", "--trust-list", files["list"], "--trust-root", files["root"], "--at", AT]
    crl = str(Path(files["crls"]) / "harbour.crl")
    assert main([*base, "--crl", crl, files["good.pem"]]) == 0
    assert main([*base, "--revocation", "off", "--purpose", "signing", files["good.pem"]]) == 0
    assert main([*base, files["good.pem"]]) == 3
    assert "REVOCATION_UNKNOWN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [("revoked.pem", "CERT_REVOKED", 1), ("expired.pem", "CERT_EXPIRED", 1), ("root", "NOT_PEM", 1)],
)
def test_refused(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], name: str, code: str, exit_code: int
) -> None:
    assert check(files, name, "--language", "zh") == exit_code
    assert code in capsys.readouterr().out
    assert check(files, name, "--json") == exit_code
    result = json.loads(capsys.readouterr().out)
    assert (result["accepted"], result["code"], result["could_not_check"]) == (False, code, False)
    assert result["text"]["zh"] != result["text"]["en"]


def test_could_not_check(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trust-list", files["list"], "--trust-root", "/nowhere", "--at", AT]) == 3
    assert (
        main(["trust-list", files["list"], "--trust-root", files["root"], "--at", "2027-06-01T00:00:00Z"])
        == 3
    )
    assert "TRUST_LIST_EXPIRED" in capsys.readouterr().out
    missing = [
        "certificate",
        "--trust-list",
        files["list"],
        "--trust-root",
        files["root"],
        "--crls",
        "/nowhere",
    ]
    assert main([*missing, files["good.pem"]]) == 3


def test_trust_list(files: dict[str, str], world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(world.folder / "state.json")
    command = ["trust-list", files["list"], "--trust-root", files["root"], "--state", state, "--at", AT]
    assert main([*command, "--language", "en"]) == 0
    out = capsys.readouterr().out
    assert "pearl: Pearl CA" in out
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [service["status"] for service in result["services"]] == ["granted"] * 3
    Path(files["list"]).write_bytes(world.trust_list(2))
    assert main(command) == 0
    Path(files["list"]).write_bytes(world.trust_list(1))
    assert main(command) == 1
    assert "TRUST_LIST_ROLLBACK" in capsys.readouterr().out


def test_identity(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    profile = str(PROFILES / "harbour.json")
    assert main(["identity", "--profile", profile, "--at", AT, files["good.pem"]]) == 0
    assert "uscc:91440300MA5DEM004J" in capsys.readouterr().out
    assert main(["identity", "--profile", profile, "--at", AT, files["good.pem"], files["pearl.der"]]) == 1
    both = capsys.readouterr().out
    assert "uscc:91440300MA5DEM004J" in both
    assert "CLASS_UNKNOWN" in both
    assert main(["identity", "--profile", profile, "--json", files["good.pem"], "/nowhere"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert [row["accepted"] for row in rows] == [True, False]
    assert main(["identity", "--profile", files["root"], files["good.pem"]]) == 1
    assert "PROFILE_MALFORMED" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["certificate"], ["nothing"], ["trust-list", "x", "--trust-root", "y", "--at", "yesterday"]],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_as_a_program(files: dict[str, str]) -> None:
    """The module runs as a program, with the exit code of the verdict; text is UTF-8."""
    command = [sys.executable, "-m", "onecert.verifier.cli", "trust-list", files["list"]]
    command += ["--trust-root", files["root"], "--at", AT, "--language", "zh"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "珠江CA" in done.stdout.decode("utf-8")
    assert done.stderr == b""


def test_offline_and_kinds(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The list of the CA ended yesterday: nobody can tell, unless it may be used offline, and then said."""
    late = ("--at", "2026-11-23T09:00:00Z", "--json")
    assert check(files, "good.pem", *late) == 3
    capsys.readouterr()
    assert check(files, "good.pem", *late, "--allow-offline", "2") == 0
    assert "REVOCATION_STALE" in json.loads(capsys.readouterr().out)["warnings"]
    assert check(files, "revoked.pem", *late, "--allow-offline", "2") == 1
    assert check(files, "good.pem", "--sources", "crl") == 0
    assert check(files, "good.pem", "--sources", "ocsp") == 3


def test_trust_root(files: dict[str, str], world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person compares with paper: the fingerprint in groups of four, and who signs what."""
    command = ["trust-root", files["root"], "--at", AT]
    assert main([*command, "--language", "en"]) == 0
    out = capsys.readouterr().out
    groups = world.root.fingerprint.split(" ")
    assert " ".join(groups[:8]) in out
    assert " ".join(groups[8:]) in out
    assert "2 of 2 keys" in out
    assert all(kid in out for kid in world.list_keys.keys)
    assert main([*command, "--language", "zh"]) == 0
    assert "列表签署人" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["sha256"]) == (1, world.root.sha256)
    assert main(["trust-root", files["list"], "--at", AT]) == 1
    assert "TRUST_ROOT_MALFORMED" in capsys.readouterr().out
    assert main(["trust-root", files["root"], "--at", "2032-01-01T00:00:00Z"]) == 3


def test_timestamp_by_hand(files: dict[str, str], world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it the answer says that freshness comes from the list's own dates; with it, it must fit."""
    assert check(files, "good.pem", "--json") == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == ["TRUST_LIST_NO_TIMESTAMP"]
    stamp = world.folder / "trust-timestamp.json"
    stamp.write_bytes(world.timestamp(Path(files["list"]).read_bytes()))
    assert check(files, "good.pem", "--json", "--trust-timestamp", str(stamp)) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []
    stamp.write_bytes(world.timestamp(world.trust_list(2)))
    assert check(files, "good.pem", "--trust-timestamp", str(stamp)) == 3
    assert "TRUST_PARTS_MIXED" in capsys.readouterr().out
    assert (
        main(["trust-list", files["list"], "--trust-root", files["root"], "--at", AT, "--language", "en"])
        == 0
    )
    assert "only its own dates" in capsys.readouterr().out
