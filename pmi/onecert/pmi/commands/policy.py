"""`onecert pmi policy …`: test, lint, coverage, diff, publish, show, key, history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.pmi.authorities.directory import ACTIVE
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.commands.decisions import FIRST, LAST, read_days
from onecert.pmi.commands.parts import APPLY, INPUT, OUTPUT, dump, opened_parts, say, say_dry
from onecert.pmi.decisions.in_force import model_of
from onecert.pmi.parts import Parts
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.commands.options import common_options
from onecert.server.languages import _, current_language
from onecert.server.operators.store import command_actor
from onecert.verifier.decision import (
    PolicyEngine,
    PolicySource,
    check_policy,
    compile_policy,
    lint,
    measure_coverage,
)

__all__ = ["policy"]

_CATALOGUE = click.option(
    "--catalogue", "catalogue_file", type=INPUT, help="A catalogue (TOML) in the place of the one in force."
)
_SHOWN = 20


@click.group()
def policy() -> None:
    """Policies: signed, versioned, tested before they count."""


@policy.command("test")
@click.argument("file", type=INPUT)
@_CATALOGUE
def test_policy(file: Path, catalogue_file: Path | None) -> None:
    """Compile the policy in FILE (TOML) and run the tests inside it; needs no service."""
    source = PolicySource.from_toml(file.read_bytes())
    model = None if catalogue_file is None else model_of(read_catalogue(catalogue_file))
    click.echo(json.dumps(_row(source, check_policy(source, model))))


@policy.command("lint")
@click.argument("file", type=INPUT)
@_CATALOGUE
@common_options
def lint_policy(file: Path, catalogue_file: Path | None, data: Path, config: Path | None) -> int:
    """Look for rules that nothing reaches and roles that nobody has. Exit code 1: something was found."""
    source = PolicySource.from_toml(file.read_bytes())
    engine = compile_policy(source)
    with opened_parts(data, config) as parts:
        catalogue, ready = _catalogue(parts, catalogue_file)
    roles = {uri: ready.intersection(role.authorities) for uri, role in catalogue.roles.items()}
    found = lint(engine, model=model_of(catalogue), roles=roles)
    for fault in found:
        click.echo(dump(fault.as_dict(current_language())))
    return 1 if found else 0


@policy.command("coverage")
@click.argument("file", type=INPUT)
@click.option(
    "--min", "least", type=click.IntRange(0, 100), default=0, help="Exit code 1 below so many percent."
)
@_CATALOGUE
def cover_policy(file: Path, least: int, catalogue_file: Path | None) -> int:
    """Say which rules the tests inside the policy in FILE (TOML) exercise; needs no service."""
    source = PolicySource.from_toml(file.read_bytes())
    model = None if catalogue_file is None else model_of(read_catalogue(catalogue_file))
    coverage = measure_coverage(source, compile_policy(source), model)
    click.echo(dump(coverage.as_dict()))
    return 0 if coverage.percent >= least else 1


@policy.command("diff")
@click.argument("file", type=INPUT)
@FIRST
@LAST
@click.option("--table", is_flag=True, help="For people; by default one JSON object a line.")
@common_options
def diff_policy(
    *,
    file: Path,
    first: datetime | None,
    last: datetime | None,
    table: bool,
    data: Path,
    config: Path | None,
) -> int:
    """Show which recorded decisions would come out otherwise. Exit code 1: some would."""
    source = PolicySource.from_toml(file.read_bytes())
    with opened_parts(data, config) as parts:
        days = read_days(first, last, parts.context.clock.now())
        rows = [each.as_dict() for each in parts.memory.difference(source, *days)]
    for line in _table(rows) if table else map(dump, rows):
        click.echo(line)
    return 1 if rows else 0


@policy.command("publish")
@click.argument("file", type=INPUT)
@click.option(
    "--days", type=click.IntRange(0, 3660), default=7, help="Compare with so many days of decisions."
)
@APPLY
@common_options
def publish_policy(file: Path, days: int, apply: bool, data: Path, config: Path | None) -> None:
    """Test, compare, sign and put in force the policy in FILE as the next version."""
    source = PolicySource.from_toml(file.read_bytes())
    with opened_parts(data, config) as parts:
        catalogue, _ready = _catalogue(parts, None)
        model = model_of(catalogue)
        row = _row(source, check_policy(source, model))
        changes = _changes(parts, source, days)
        say(_("%(number)s recorded decisions of the last days would come out otherwise"), number=len(changes))
        for line in _table(changes[:_SHOWN]):
            click.echo(line, err=True)
        if not apply:
            click.echo(json.dumps({**row, "changes": len(changes)}))
            say_dry()
            return
        key = parts.token.own_key(POLICY_KEY)
        with parts.context.database.transaction() as connection:
            published = parts.policies.publish(
                connection, source, key=key, actor=command_actor(), model=model
            )
    click.echo(json.dumps({**row, "changes": len(changes), "version": published.version}))


@policy.command("show")
@click.option("--version", type=click.IntRange(1), help="Default: the one in force.")
@click.option("--file", "as_file", is_flag=True, help="The whole content, as JSON.")
@common_options
def show_policy(version: int | None, as_file: bool, data: Path, config: Path | None) -> None:
    """Show which policy is in force, or one version of it."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        shown = parts.policies.load(connection)
        if version is not None:
            shown = parts.policies.load_version(connection, shown.name, version)
    row: dict[str, Any] = {"name": shown.name, "version": shown.version, "sha256": shown.sha256}
    row["rules"] = list(shown.engine.rules)
    click.echo(dump({**row, "content": shown.source.content} if as_file else row))


@policy.command("key")
@click.option("--out", required=True, type=OUTPUT, help="Write the public key (PEM) here.")
@common_options
def export_key(out: Path, data: Path, config: Path | None) -> None:
    """Write the public key that signs policies, for departments; they compare its digest with paper."""
    with opened_parts(data, config) as parts:
        key = parts.token.own_key(POLICY_KEY).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    out.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    click.echo(json.dumps({"key": str(out), "sha256": hashlib.sha256(der).hexdigest()}))


@policy.command("history")
@common_options
def list_policies(data: Path, config: Path | None) -> None:
    """List every version, newest first; to go back, publish the old content again."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        for row in parts.policies.history(connection):
            click.echo(dump({**row, "published_at": row["published_at"].isoformat()}))


def _row(source: PolicySource, engine: PolicyEngine) -> dict[str, Any]:
    return {
        "name": source.name,
        "sha256": source.sha256,
        "rules": list(engine.rules),
        "tests": len(source.cases),
    }


def _catalogue(parts: Parts, file: Path | None) -> tuple[Catalogue, frozenset[str]]:
    """The catalogue, and the names of the authorities that can give something now."""
    with parts.context.database.reading() as connection:
        ready = {each.name for each in parts.authorities.all(connection) if each.state == ACTIVE}
        catalogue = parts.catalogues.find(connection) if file is None else read_catalogue(file)
    return catalogue or Catalogue(), frozenset(ready)


def _changes(parts: Parts, source: PolicySource, days: int) -> list[dict[str, Any]]:
    today = parts.context.clock.now().date()
    with parts.context.database.reading() as connection:
        is_first = not parts.policies.history(connection)
    if is_first:
        return []
    found = parts.memory.difference(source, today - timedelta(days=days), today)
    return [each.as_dict() for each in found]


def _table(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        rules = f"{','.join(row['before_rules']) or '-'} -> {','.join(row['after_rules']) or '-'}"
        change = f"{row['before']} -> {row['after']}"
        yield f"{row['decision_id']}  {row['action']:<16} {row['resource']:<32} {change:<28} {rules}"
