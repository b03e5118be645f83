"""A running CA is copied, the copy proves itself, and what it exports is what the alert rules look at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

RULES = Path(__file__).parents[2] / "deploy" / "monitoring" / "onecert.rules.yml"


def exported(running: Any) -> str:
    answer = httpx.get(f"http://127.0.0.1:{running.http}/metrics", timeout=30)
    assert answer.status_code == 200
    return answer.text


def wanted() -> set[str]:
    """The figures that rules name, as Prometheus does."""
    expressions = re.findall(r"expr: (.*)", RULES.read_text(encoding="utf-8"))
    return {name for each in expressions for name in re.findall(r"\bonecert_\w+", each)}


# A counter or gauge with labels has no line before its first event.
ONLY_WHEN_IT_HAPPENS = {
    "onecert_database_errors_total",
    "onecert_ca_token_errors_total",
    "onecert_ca_check_findings",
}


def test_a_running_ca_is_copied_proved_and_watched(
    one_ca: tuple[Any, Any], run_command: Callable[..., Any], eventually: Callable[..., Any], tmp_path: Path
) -> None:
    running, orders = one_ca
    # The address that is in the certificates of its ceremony, whichever port this process listens at.
    (running.data / "onecert.toml").write_text('[server]\nstatus_url = "http://127.0.0.1:8080"\n')
    running.start()
    client = running.client("ca")
    for _number in range(3):
        answer = orders.post(client, "/v1/orders", orders.sign(orders.payload()))
        assert answer.status_code in {200, 201}, answer.text
    serial = answer.json()["serial"]
    revoked = orders.post(client, "/v1/revocations", orders.revocation(serial))
    assert revoked.status_code in {200, 201}, revoked.text

    folder = tmp_path / "backups"
    folder.mkdir()
    made = run_command(running.data, "backup", "create", "--to", folder)
    assert "ca/token.pin" in made.stderr
    done = run_command(running.data, "backup", "drill", folder, "--work", tmp_path, "--json", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["services"] == ["ca"]
    assert found["faults"] == []

    # It went on serving meanwhile, and its next orders follow the backup.
    assert orders.post(client, "/v1/orders", orders.sign(orders.payload())).status_code in {200, 201}

    def all_there() -> str | None:
        text = exported(running)
        names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        values = set(re.findall(r"^(onecert_\w+)[{ ]", text, re.MULTILINE))
        missing = {
            name
            for name in wanted() - values
            if name not in ONLY_WHEN_IT_HAPPENS
            or name.removesuffix("_total") not in {each.removesuffix("_total") for each in names}
        }
        drilled = re.search(
            r'^onecert_backup_drill_timestamp_seconds{service="ca"} (\S+)', text, re.MULTILINE
        )
        return text if not missing and drilled and float(drilled[1]) > 0 else None

    text = eventually(all_there, 60)
    assert 'onecert_ready{check="token",service="ca"} 1.0' in text
    assert running.stop() == 0


def test_a_backup_whose_token_lacks_a_key_does_not_pass(
    one_ca: tuple[Any, Any], run_command: Callable[..., Any], tmp_path: Path
) -> None:
    """The keys of the CA are deleted from the store before it is copied: the drill must say so."""
    running, _orders = one_ca
    run_command(running.data, "backup", "create", "--to", tmp_path / "whole.backup")
    smallest = running.data / "ca" / "token.pin"
    objects = sorted((running.data / "softhsm" / "tokens").glob("*/*.object"))
    for each in objects:
        if each.name != "token.object":
            each.unlink()
    assert smallest.exists()
    run_command(running.data, "backup", "create", "--to", tmp_path / "hollow.backup")
    keys = sorted((running.data / "ca" / "audit-keys").glob("*.pem"))
    named = [part for key in keys for part in ("--key", key)]
    assert run_command(running.data, "backup", "check", tmp_path / "hollow.backup", *named).returncode == 0
    done = run_command(
        running.data, "backup", "drill", tmp_path / "hollow.backup", "--work", tmp_path, *named, check=False
    )
    assert done.returncode == 1
    assert "harbour" in done.stdout
    assert (
        run_command(
            running.data,
            "backup",
            "drill",
            tmp_path / "whole.backup",
            "--work",
            tmp_path,
            *named,
            check=False,
        ).returncode
        == 0
    )
