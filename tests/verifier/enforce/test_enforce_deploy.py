"""The examples in deploy/enforce are what the programs read, and the documentation names nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onecert.verifier.enforce.cli import main
from onecert.verifier.enforce.cli.gateway import GatewayConfig
from onecert.verifier.enforce.machine import MachineConfig
from onecert.verifier.enforce.postgresql import DatabaseConfig

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "deploy" / "enforce"


def test_examples_are_read() -> None:
    machine = MachineConfig.load(EXAMPLES / "enforce.toml", trusted_owner=False)
    assert machine.accounts.shared == {"deploy"}
    database = DatabaseConfig.load(EXAMPLES / "postgresql.toml", trusted_owner=False)
    assert database.roles.database_roles == {"tax_approver", "tax_reader"}
    assert len(GatewayConfig.load(EXAMPLES / "gateway.toml", trusted_owner=False).routes) == 2


@pytest.mark.parametrize("page", ["enforcement.md", "enforcement.zh.md"])
def test_pages_name_what_is_there(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file of deploy/ that a page names exists; every command it shows is one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = set(re.findall(r"deploy/[A-Za-z0-9_./-]*[A-Za-z0-9]", text))
    assert {"deploy/enforce/enforce.toml", "deploy/nginx/gateway.conf"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    commands = set(re.findall(r"onecert-enforce ([a-z]+)", text))
    assert {"keys", "pam", "check", "lists", "postgresql", "gateway"} <= commands
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
    assert capsys.readouterr().out
