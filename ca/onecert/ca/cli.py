"""`onecert ca …`: ceremonies, registration authorities, revocation, lists, system certificates.

What cannot be undone shows what it would do until `--apply` is given, and runs the same code either way.
"""

from __future__ import annotations

import getpass
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from onecert.ca.api import certificate_json
from onecert.ca.authorities import pem
from onecert.ca.ceremony import Ceremony
from onecert.ca.ceremony_file import load_ceremony_file
from onecert.ca.config import CaConfig
from onecert.ca.crl import REASONS, RELEASE
from onecert.ca.errors import AlreadyRevokedError, NotOnHoldError, RevocationReasonError
from onecert.ca.ledger import ON_HOLD, REVOKED, CertificateRecord
from onecert.ca.orders import RevocationOrder, content_sha256
from onecert.ca.parts import Parts, assemble
from onecert.ca.publishing import CrlPublisher
from onecert.ca.signer import Signer
from onecert.ca.system_certificates import PROFILES, SystemCertificates
from onecert.ca.tokens import CaToken, root_token
from onecert.server.commands.options import common_options
from onecert.server.contexts import open_member
from onecert.server.languages import _, gettext
from onecert.server.members import Context

__all__ = ["ca"]

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
APPLY = click.option("--apply", is_flag=True, help="Do it; without this, only show what would be done.")


@dataclass(frozen=True)
class _Opened:
    config: CaConfig
    context: Context
    parts: Parts
    roots: CaToken


@contextmanager
def _opened(data: Path, config: Path | None) -> Iterator[_Opened]:
    opened = open_member("ca", data, config=config)
    settings: CaConfig = opened.config
    parts = assemble(settings, opened.context)
    roots = root_token(settings, opened.context.data, opened.context.shared)
    try:
        yield _Opened(settings, opened.context, parts, roots)
    finally:
        roots.close()
        parts.token.close()
        opened.close()


def actor() -> str:
    """Name who runs this command."""
    return f"command:{getpass.getuser()}"


def _say(msgid: str, **facts: object) -> None:
    click.echo(gettext(msgid, **facts), err=True)


def _say_dry() -> None:
    _say(_("hint: nothing has changed yet; add --apply to do it"))


@click.group()
def ca() -> None:
    """Certification authorities: ceremonies, revocation, lists, certificates of the system."""


# ------------------------------------------------------------------ ceremony


@ca.command()
@click.argument("file", type=INPUT)
@APPLY
@click.option(
    "--record",
    "record_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the signed record here.",
)
@common_options
def ceremony(file: Path, apply: bool, record_file: Path | None, data: Path, config: Path | None) -> None:
    """Make an offline root and an issuing authority from a reviewed FILE.

    Run twice, the second time changes nothing; interrupted, it goes on where it stopped.
    """
    reviewed = load_ceremony_file(file)
    with _opened(data, config) as opened:
        held = Ceremony(reviewed, opened.parts, opened.roots, actor=actor())
        for line in held.preview():
            click.echo(line)
        if held.is_held():
            _say(_("this ceremony was held already; nothing changes"))
        elif not apply:
            _say_dry()
            return
        if apply:
            for step in held.hold():
                click.echo(f"{'+' if step.changed else '='} {step.text}")
        record = held.record()
        if record_file is not None and record is not None:
            record_file.write_bytes(record)


# ------------------------------------------------------------------ registration authorities


@ca.group("registration-authority")
def registration_authority() -> None:
    """Whose orders count."""


@registration_authority.command("add")
@click.argument("name")
@click.option("--key", "key_file", required=True, type=INPUT)
@click.option("--scope", "scopes", required=True, multiple=True, metavar="AUTHORITY:PROFILE")
@common_options
def add_registration_authority(
    name: str, key_file: Path, scopes: tuple[str, ...], data: Path, config: Path | None
) -> None:
    """Register NAME with the public key that signs its orders, or set its scope anew."""
    with _opened(data, config) as opened:
        entry = opened.parts.registration_authorities.add(
            name, key_file.read_text(encoding="ascii"), list(scopes), actor=actor()
        )
    click.echo(json.dumps({"name": entry.name, "kid": entry.key_id, "scopes": sorted(entry.scopes)}))


@registration_authority.command("remove")
@click.argument("name")
@common_options
def remove_registration_authority(name: str, data: Path, config: Path | None) -> int:
    """Remove NAME; its orders are refused from now on."""
    with _opened(data, config) as opened:
        removed = opened.parts.registration_authorities.remove(name, actor=actor())
    if not removed:
        _say(_("there is no registration authority %(name)s"), name=name)
        return 1
    return 0


@registration_authority.command("list")
@common_options
def list_registration_authorities(data: Path, config: Path | None) -> None:
    """List names, key ids and scopes, one JSON object a line."""
    with _opened(data, config) as opened:
        for entry in opened.parts.registration_authorities.entries():
            click.echo(json.dumps({"name": entry.name, "kid": entry.key_id, "scopes": sorted(entry.scopes)}))


# ------------------------------------------------------------------ authorities and certificates


@ca.command()
@common_options
def authorities(data: Path, config: Path | None) -> None:
    """List the authorities, one JSON object a line."""
    with _opened(data, config) as opened:
        for authority in opened.parts.authorities.reload():
            latest = opened.parts.publisher.latest(authority.name)
            click.echo(
                json.dumps(
                    {
                        "name": authority.name,
                        "kind": authority.kind,
                        "issuer": authority.issuer_name,
                        "serial": authority.serial,
                        "not_after": authority.issuer.not_after.isoformat(),
                        "profiles": {name: each.version for name, each in sorted(authority.profiles.items())},
                        "crl_number": latest.number if latest else None,
                        "crl_next_update": latest.next_update.isoformat() if latest else None,
                    }
                )
            )


@ca.group()
def certificate() -> None:
    """Certificates on record."""


@certificate.command("show")
@click.option("--authority", required=True)
@click.option("--serial", required=True, help="Hexadecimal.")
@click.option("--pem", "as_pem", is_flag=True, help="Write the certificate itself.")
@common_options
def show_certificate(authority: str, serial: str, as_pem: bool, data: Path, config: Path | None) -> None:
    """Show what is on record of one certificate."""
    with _opened(data, config) as opened:
        opened.parts.authorities.get(authority)
        record = opened.parts.ledger.certificate(authority, _serial(serial))
    if as_pem and record.certificate_der is not None:
        click.echo(pem(record.certificate_der), nl=False)
    else:
        click.echo(json.dumps(certificate_json(record)))


def _serial(text: str) -> str:
    return text.lower().replace(":", "").lstrip("0")


# ------------------------------------------------------------------ revocation and lists


@ca.command()
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
    with _opened(data, config) as opened:
        parts = opened.parts
        record = parts.revocation.find(parts.authorities.get(authority).name, _serial(serial))
        _check_change(record, reason)
        facts = {
            "serial": record.serial,
            "subject": record.subject,
            "until": record.not_after.date(),
            "reason": reason,
        }
        if not apply:
            _say(
                _("would change 1 certificate (%(reason)s): serial %(serial)s, %(subject)s, until %(until)s"),
                **facts,
            )
            _say_dry()
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
            crl_number = _root_publisher(opened).publish(authority, actor=actor()).number
            click.echo(json.dumps(done.as_json() | {"crl_number": crl_number}))
        else:
            click.echo(json.dumps(done.as_json()))


def _check_change(record: CertificateRecord, reason: str) -> None:
    """Refuse in the dry run what the act would refuse."""
    if record.status == REVOKED:
        raise AlreadyRevokedError(record.serial, record.revoked_at.isoformat() if record.revoked_at else "")
    if reason == RELEASE and record.status != ON_HOLD:
        raise NotOnHoldError(record.serial)


@ca.group()
def crl() -> None:
    """Revocation lists."""


@crl.command("publish")
@click.option("--authority", default=None, help="Default: all that have their keys on the CA's own token.")
@common_options
def publish_crl(authority: str | None, data: Path, config: Path | None) -> None:
    """Make and publish a new list now. Naming a root opens the offline token."""
    with _opened(data, config) as opened:
        parts = opened.parts
        chosen = (
            [each for each in parts.authorities.reload() if not each.is_root]
            if authority is None
            else [parts.authorities.get(authority)]
        )
        for each in chosen:
            publisher = _root_publisher(opened) if each.is_root else parts.publisher
            made = publisher.publish(each.name, actor=actor())
            click.echo(
                json.dumps(
                    {
                        "authority": made.authority,
                        "number": made.number,
                        "entries": made.entries,
                        "next_update": made.next_update.isoformat(),
                    }
                )
            )


def _root_publisher(opened: _Opened) -> CrlPublisher:
    parts = opened.parts
    return CrlPublisher(
        parts.database,
        parts.audit,
        parts.clock,
        authorities=parts.authorities,
        signer=Signer(opened.roots.key, token=opened.roots.label),
        files=parts.files,
    )


# ------------------------------------------------------------------ certificates of the system


@ca.command()
@click.option("--authority", required=True)
@click.option("--profile", required=True, type=click.Choice(PROFILES))
@click.option("--csr", "csr_file", required=True, type=INPUT)
@click.option("--common-name", required=True)
@click.option("--organization", default="")
@click.option("--organizational-unit", default="")
@click.option("--dns", "names", multiple=True, help="A host name or address of a TLS server.")
@click.option("--approved-by", "approved_by", multiple=True, help="Twice: the two people who approved.")
@APPLY
@common_options
def issue(
    *,
    authority: str,
    profile: str,
    csr_file: Path,
    common_name: str,
    organization: str,
    organizational_unit: str,
    names: tuple[str, ...],
    approved_by: tuple[str, ...],
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Issue a certificate of the system itself; the certificate and its chain go to stdout as PEM."""
    subject = {"country": "CN", "common_name": common_name}
    if organization:
        subject["organization"] = organization
    if organizational_unit:
        subject["organizational_unit"] = organizational_unit
    csr_pem = csr_file.read_bytes().decode("ascii", errors="replace")
    with _opened(data, config) as opened:
        desk = SystemCertificates(opened.parts, actor=actor())
        request = desk.check(
            authority=authority,
            profile=profile,
            csr_pem=csr_pem,
            subject=subject,
            names=names,
            approved_by=approved_by,
        )
        if not apply:
            draft = desk.draft(authority, request)
            _say(
                _("would issue %(profile)s for %(subject)s until %(until)s"),
                profile=profile,
                subject=common_name,
                until=draft.not_after.date(),
            )
            _say_dry()
            return
        record = desk.issue(authority, request, csr_pem=csr_pem, approved_by=approved_by)
        click.echo(_pem(record), nl=False)
        for above in opened.parts.authorities.chain(opened.parts.authorities.get(authority)):
            click.echo(above.certificate_pem, nl=False)


def _pem(record: CertificateRecord) -> str:
    return pem(record.certificate_der or b"")
