"""`onecert pmi policy …`: test, publish, show."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.pmi.commands.parts import APPLY, INPUT, opened_parts, say_dry
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.commands.options import common_options
from onecert.server.operators.store import command_actor
from onecert.verifier.decision import PolicySource, check_policy

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """Policies: signed, versioned, tested before they count."""


@policy.command("test")
@click.argument("file", type=INPUT)
def test_policy(file: Path) -> None:
    """Compile the policy in FILE (TOML) and run the tests inside it; needs no service."""
    source = PolicySource.from_toml(file.read_bytes())
    engine = check_policy(source)
    row = {
        "name": source.name,
        "sha256": source.sha256,
        "rules": list(engine.rules),
        "tests": len(source.cases),
    }
    click.echo(json.dumps(row))


@policy.command("publish")
@click.argument("file", type=INPUT)
@APPLY
@common_options
def publish_policy(file: Path, apply: bool, data: Path, config: Path | None) -> None:
    """Test, sign and put in force the policy in FILE as the next version."""
    source = PolicySource.from_toml(file.read_bytes())
    engine = check_policy(source)
    row = {
        "name": source.name,
        "sha256": source.sha256,
        "rules": list(engine.rules),
        "tests": len(source.cases),
    }
    if not apply:
        click.echo(json.dumps(row))
        say_dry()
        return
    with opened_parts(data, config) as parts:
        key = parts.token.own_key(POLICY_KEY)
        with parts.context.database.transaction() as connection:
            published = parts.policies.publish(connection, source, key=key, actor=command_actor())
    click.echo(json.dumps({**row, "version": published.version}))


@policy.command("show")
@common_options
def show_policy(data: Path, config: Path | None) -> None:
    """Show which policy is in force."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        active = parts.policies.load(connection)
    row = {"name": active.name, "version": active.version, "sha256": active.sha256}
    click.echo(json.dumps({**row, "rules": list(active.engine.rules)}))
