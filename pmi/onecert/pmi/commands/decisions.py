"""`onecert pmi decide`, `who-can`, `what-can`, `decisions show|replay|find`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from onecert.pmi.commands.parts import INPUT, dump, opened_parts, say
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.decisions.what_can import Look
from onecert.pmi.errors import RequestWrongError
from onecert.server.commands.options import common_options
from onecert.server.languages import CHINA_TIME, _, current_language
from onecert.server.operators.store import command_actor
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.attribute_certificate.parse import PEM_LABEL
from onecert.verifier.certificate import decode_pem
from onecert.verifier.decision import Act, QuestionWrongError, Resource, read_resource, read_text

__all__ = ["COMMANDS", "DAY", "FIRST", "LAST", "read_days"]

DAY = click.DateTime(["%Y-%m-%d"])
FIRST = click.option("--from", "first", type=DAY, help="The first day, UTC; default: today.")
LAST = click.option("--to", "last", type=DAY, help="The last day; default: today.")
_AT = click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="A time before, in China; a day stands for its noon. Default: now.",
)
_TARGET = click.option("--target", metavar="URI", help="Who the relying party is.")
_USE = click.option("--use-role", "use_roles", multiple=True, metavar="URI", help="Only these are active.")


def _question(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is to be done."""
    for option in (
        click.option("--context", "context", multiple=True, metavar="NAME=VALUE", help="Of the question."),
        click.option(
            "--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="Of the resource."
        ),
        click.option("--resource", required=True, metavar="TYPE::ID"),
        click.option("--action", required=True),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--holder", required=True, type=INPUT, help="The identity certificate, PEM or DER.")
@_question
@click.option(
    "--attribute-certificate", "files", multiple=True, type=INPUT, help="Default: the repository's."
)
@_TARGET
@_USE
@_AT
@common_options
def decide(
    *,
    holder: Path,
    files: tuple[Path, ...],
    at: datetime | None,
    data: Path,
    config: Path | None,
    **asked: Any,
) -> int:
    """Ask whether a holder may do something, or might have. Exit code 0: permit, 1: deny."""
    act = _act(**asked)
    question = Asked(
        certificate=holder.read_bytes(),
        attribute_certificates=[_der(file.read_bytes()) for file in files] if files else None,
        action=act.action,
        resource=act.resource,
        context=act.context,
        target=act.target,
        use_roles=act.use_roles,
    )
    with opened_parts(data, config) as parts:
        if at is None:
            decision = parts.decider.decide(question)
        else:
            decision = parts.decider.decide_then(question, _moment(at))
    click.echo(dump(decision.as_dict(current_language())))
    return 0 if decision.is_permitted else 1


@click.command("who-can")
@_question
@_TARGET
@_AT
@common_options
def who_can(*, at: datetime | None, data: Path, config: Path | None, **asked: Any) -> int:
    """List everybody who can do something, or could, one JSON object a line. Exit code 1: nobody."""
    act, moment = _act(**asked), None if at is None else _moment(at)
    with opened_parts(data, config) as parts:
        number = 0
        for each in parts.who_can.stream(act, at=moment):
            click.echo(dump(each.as_dict()))
            number += 1
        page = parts.who_can.page(act, at=moment, per_page=1)
    if page.anybody:
        say(_("these rules permit it to anybody: %(rules)s"), rules=", ".join(page.anybody))
    if page.undecided:
        say(_("for %(number)s holders a rule could not be evaluated; they cannot"), number=page.undecided)
    say(_("%(number)s holders; policy %(policy)s, catalogue %(catalogue)s, state %(token)s"),
        number=number, policy=f"{page.policy} {page.policy_version}", catalogue=page.catalogue_version,
        token=page.token)  # fmt: skip
    return 0 if number or page.anybody else 1


@click.command("what-can")
@click.option("--holder", type=INPUT, help="The identity certificate, PEM or DER.")
@click.option("--entity", metavar="ID", help="Every certificate on record of this canonical id.")
@_TARGET
@_USE
@_AT
@common_options
def what_can(
    *,
    holder: Path | None,
    entity: str | None,
    target: str | None,
    use_roles: tuple[str, ...],
    at: datetime | None,
    data: Path,
    config: Path | None,
) -> int:
    """List what a holder can do, or could: by rules, on what it depends. Exit code 1: nothing."""
    if (holder is None) == (entity is None):
        raise click.UsageError("give either --holder or --entity")
    look = Look(target=_target(target), use_roles=frozenset(use_roles) or None)
    moment = None if at is None else _moment(at)
    with opened_parts(data, config) as parts:
        if holder is not None:
            found = [parts.what_can.of_certificate(holder.read_bytes(), at=moment, look=look)]
        else:
            found = parts.what_can.of_entity(entity or "", at=moment, look=look)
    for each in found:
        click.echo(dump(each.as_dict()))
    return 0 if any(each.possibilities for each in found) else 1


@click.group()
def decisions() -> None:
    """The decision log. Reading it is audited."""


@decisions.command("show")
@click.argument("decision_id")
@common_options
def show_decision(decision_id: str, data: Path, config: Path | None) -> None:
    """Show one decision and the facts that it was made by."""
    with opened_parts(data, config) as parts:
        record = parts.memory.show(decision_id, actor=command_actor())
    click.echo(dump({"line": record.line, "facts": record.facts}))


@decisions.command("replay")
@click.argument("decision_id")
@common_options
def replay_decision(decision_id: str, data: Path, config: Path | None) -> int:
    """Decide it again by what is on record. Exit code 0: equal; 1: something differs or is missing."""
    with opened_parts(data, config) as parts:
        replay = parts.memory.replay(decision_id, actor=command_actor())
    click.echo(dump(replay.as_dict()))
    return 0 if replay.is_equal else 1


@decisions.command("find")
@FIRST
@LAST
@click.option("--entity", metavar="ID", help="Canonical id of the holder.")
@click.option("--action")
@click.option("--resource", metavar="TYPE::ID")
@click.option("--result", type=click.Choice(["permit", "deny", "not_applicable", "indeterminate"]))
@click.option("--rule", metavar="ID", help="That determined it.")
@click.option("--most", type=click.IntRange(1, 100_000), default=100, show_default=True)
@common_options
def find_decisions(
    *,
    first: datetime | None,
    last: datetime | None,
    entity: str | None,
    most: int,
    data: Path,
    config: Path | None,
    **wanted: str | None,
) -> None:
    """List the newest decisions, one line each, newest first."""
    given = {name: value for name, value in wanted.items() if value}
    with opened_parts(data, config) as parts:
        days = read_days(first, last, parts.context.clock.now())
        if entity:
            given["subject"] = parts.decision_log.mask(entity)
        for line in parts.memory.find(*days, actor=command_actor(), wanted=given, most=most):
            click.echo(dump(line))


COMMANDS = (decide, who_can, what_can, decisions)


def read_days(first: datetime | None, last: datetime | None, now: datetime) -> tuple[Any, Any]:
    """Return the first and the last day. Raises RequestWrongError."""
    days = (first or now).date(), (last or now).date()
    if days[0] > days[1]:
        raise RequestWrongError("from", _("after the last day"))
    return days


def _act(
    *,
    action: str,
    resource: str,
    attributes: tuple[str, ...],
    context: tuple[str, ...],
    target: str | None,
    use_roles: tuple[str, ...] = (),
) -> Act:
    try:
        named = read_resource(resource)
        name = read_text(action, "action")
    except QuestionWrongError as exc:
        raise RequestWrongError("resource", str(exc.facts["detail"])) from exc
    return Act(
        action=name,
        resource=Resource(type=named.type, id=named.id, attributes=dict(map(_attribute, attributes))),
        context=dict(map(_attribute, context)),
        target=_target(target),
        use_roles=frozenset(use_roles) or None,
    )


def _target(target: str | None) -> TargetIdentity | None:
    return TargetIdentity.from_uris(target) if target else None


def _moment(at: datetime) -> datetime:
    day_only = (at.hour, at.minute, at.second) == (0, 0, 0)
    return (at.replace(hour=12) if day_only else at).replace(tzinfo=CHINA_TIME)


def _attribute(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise RequestWrongError("attribute", _("not in the form NAME=VALUE"))
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if value.removeprefix("-").isdigit() else value


def _der(data: bytes) -> bytes:
    return decode_pem(data, PEM_LABEL) if data.lstrip().startswith(b"-----") else data
