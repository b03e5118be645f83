"""Puts the sending of notices together from the settings."""

from onecert.ra.ca.authorities import Directory
from onecert.ra.config import RaConfig
from onecert.ra.notices.carriers import Carrier, Outbox, Smtp
from onecert.ra.notices.facts import Facts
from onecert.ra.notices.sending import Notices
from onecert.ra.vault.sealed import Vault
from onecert.server.members import Context

__all__ = ["make_notices"]


def make_notices(config: RaConfig, context: Context, *, vault: Vault, directory: Directory) -> Notices:
    """With a mail server in the settings by SMTP, otherwise into `DATA/ra/outbox`."""
    carrier: Carrier = Outbox(context.data / "outbox")
    if config.smtp_host:
        carrier = Smtp(
            config.smtp_host,
            config.smtp_port,
            implicit_tls=config.smtp_tls == "implicit",
            ca_file=config.smtp_ca_file,
            user=config.smtp_user,
            password_file=config.smtp_password_file,
            timeout_s=config.smtp_timeout.total_seconds(),
        )
    return Notices(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        vault=vault,
        facts=Facts(
            database=context.database,
            vault=vault,
            directory=directory,
            operators=context.operators,
            office=config.office_mail,
        ),
        carrier=carrier,
        sender=config.mail_from,
        registration_authority=config.registration_authority,
    )
