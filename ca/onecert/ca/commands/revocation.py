"""`onecert ca revoke`, `onecert ca crl publish` and `onecert ca crl partitions`."""

from __future__ import annotations

import getpass
import json
import uuid
from datetime import datetime
from pathlib import Path

import click

from onecert.ca.commands.parts import APPLY, actor, opened_ca, plain_serial, root_publisher, say, say_dry
from onecert.ca.errors import AlreadyRevokedError, NotOnHoldError, RevocationReasonError
from onecert.ca.issuing.ledger import ON_HOLD, REVOKED, CertificateRecord
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.issuing.orders import content_sha256
from onecert.ca.lists.crl import REASONS, RELEASE
from onecert.ca.revocation.revocation import COMPROMISE
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["crl", "revoke"]


@click.command()
@click.option("--authority", required=True)
@click.option("--serial", required=True, help="Hexadecimal.")
@click.option("--reason", required=True, help="A reason of RFC 5280, such as keyCompromise.")
@click.option("--invalidity-date", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), default=None)
@APPLY
@common_options
def revoke(
    *,
    authority: str,
    serial: str,
    reason: str,
    invalidity_date: datetime | None,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Revoke, hold (certificateHold) or release (removeFromCRL) one certificate."""
    if reason not in REASONS and reason != RELEASE:
        raise RevocationReasonError(reason)
    with opened_ca(data, config) as opened:
        parts = opened.parts
        record = parts.revocation.find(parts.authorities.get(authority).name, plain_serial(serial))
        _check_change(record, reason)
        facts = {
            "serial": record.serial,
            "subject": record.subject,
            "until": record.not_after.date(),
            "reason": reason,
        }
        if not apply:
            say(
                _("would change 1 certificate (%(reason)s): serial %(serial)s, %(subject)s, until %(until)s"),
                **facts,
            )
            say_dry()
            return
        at = parts.clock.now()
        payload = {
            "authority": authority,
            "serial": record.serial,
            "reason": reason,
            "at": at.isoformat(),
        }
        done = parts.revocation.revoke(
            RevocationOrder(
                id=f"command.{uuid.uuid4()}",
                requested_by=actor(),
                created_at=at,
                authority=authority,
                serial=record.serial,
                reason=reason,
                invalidity_date=invalidity_date,
                people=(getpass.getuser(),),
                content_sha256=content_sha256(payload),
                document=json.dumps(payload).encode(),
            )
        )
        if done.crl_number is None and parts.authorities.get(authority).is_root:
            # The key of a root is on the offline token, which this command may open.
            crl_number = root_publisher(opened).publish(authority, actor=actor()).number
            click.echo(json.dumps(done.as_json() | {"crl_number": crl_number}))
        else:
            click.echo(json.dumps(done.as_json()))


def _check_change(record: CertificateRecord, reason: str) -> None:
    """Refuse in the dry run what the act would refuse."""
    if record.status == REVOKED and not (reason == COMPROMISE and record.reason != COMPROMISE):
        raise AlreadyRevokedError(record.serial, record.revoked_at.isoformat() if record.revoked_at else "")
    if reason == RELEASE and record.status != ON_HOLD:
        raise NotOnHoldError(record.serial)


@click.group()
def crl() -> None:
    """Revocation lists."""


@crl.command("publish")
@click.option("--authority", default=None, help="Default: all that have their keys on the CA's own token.")
@common_options
def publish_crl(authority: str | None, data: Path, config: Path | None) -> None:
    """Make and publish a new list now. Naming a root opens the offline token."""
    with opened_ca(data, config) as opened:
        parts = opened.parts
        chosen = (
            [each for each in parts.authorities.reload() if not each.is_root]
            if authority is None
            else [parts.authorities.get(authority)]
        )
        for each in chosen:
            publisher = root_publisher(opened) if each.is_root else parts.publisher
            for made in publisher.publish_all(each.name, actor=actor()):
                click.echo(
                    json.dumps(
                        {
                            "authority": made.authority,
                            "partition": made.crl_partition,
                            "number": made.number,
                            "entries": made.entries,
                            "next_update": made.next_update.isoformat(),
                        }
                    )
                )


@crl.command("partitions")
@click.option("--authority", required=True)
@click.option("--count", required=True, type=int, help="How many; never fewer than there are.")
@APPLY
@common_options
def open_partitions(*, authority: str, count: int, apply: bool, data: Path, config: Path | None) -> None:
    """Spread the certificates issued from now on over so many lists."""
    with opened_ca(data, config) as opened:
        publisher = opened.parts.publisher
        before = publisher.check_partitions(authority, count)
        if not apply:
            say(
                _("would spread new certificates of %(authority)s over %(count)s lists (now %(before)s)"),
                authority=authority,
                count=count,
                before=before,
            )
            say_dry()
            return
        publisher.open_partitions(authority, count, actor=actor())
        click.echo(json.dumps({"authority": authority, "partitions": count}))
