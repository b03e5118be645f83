"""Announces the registration authority to the server: `onecert up` runs it when it is installed."""

from collections.abc import Iterator
from datetime import timedelta

from onecert.ra.app import create_app
from onecert.ra.config import RaConfig
from onecert.ra.evidence.examining import evidence_faults, examine_evidence
from onecert.ra.operators.roles import ROLES
from onecert.ra.service import make_ra
from onecert.ra.vault.token_keys import TokenKeys
from onecert.server.errors import ServiceError
from onecert.server.jobs import Job, Scope
from onecert.server.members import Context, Kept, Member, Service

BATCHES_EVERY = timedelta(seconds=2)

__all__ = ["build", "keep", "make_keys", "member"]


def make_keys(config: RaConfig, context: Context) -> TokenKeys:
    """The RA's own token: a SoftHSM token unless the settings name another module."""
    return TokenKeys(
        label=config.token_label,
        module=config.token_module,
        store=context.shared / "softhsm",
        pin_file=config.token_pin_file or context.data / "token.pin",
    )


def build(config: RaConfig, context: Context) -> Service:
    """Build the service; the token is opened at first use, so a missing token does not stop the pages."""
    keys = make_keys(config, context)
    ra = make_ra(config, context, keys)

    def close() -> None:
        ra.close()
        keys.close()

    return Service(
        app=create_app(member, context, ra),
        jobs=[
            Job("ra.batches", BATCHES_EVERY, ra.batch_work.run),
            Job("ra.orders", config.resend_every, ra.dispatch.run),
            Job("ra.figures", timedelta(minutes=15), ra.figures.run),
            Job("ra.public-tries", timedelta(hours=1), ra.tries.forget_old),
            Job("ra.evidence", timedelta(hours=6), ra.evidence_keeping.run, scope=Scope.FOLDER),
            Job("ra.forgotten-scans", timedelta(hours=6), ra.forgotten_scans.run),
            Job("ra.revocations", config.resend_every, ra.revoking.run),
            Job("ra.search", config.resend_every, ra.backfill.run),
            Job("ra.emergencies", timedelta(seconds=1), ra.emergency_work.run),
            Job("ra.handovers", config.resend_every, ra.handovers.run),
            Job("ra.notices.due", timedelta(minutes=10), ra.notices_due.run),
            Job("ra.notices.send", config.notices_every, ra.notices.run),
            Job("ra.register", config.registry_every, ra.entries.findings.register.refresh),
        ],
        checks={"token": keys.check},
        audit_key=keys.find_order_key(),
        find_audit_key=keys.find_order_key,
        close=close,
    )


def keep(config: RaConfig, context: Context) -> Kept:
    """Say what backups of this service need: its key, which a drill tries by asking the token for it."""
    keys = make_keys(config, context)
    return Kept(audit_key=keys.find_order_key, faults=lambda: _faults(keys, context), close=keys.close)


def _faults(keys: TokenKeys, context: Context) -> Iterator[str]:
    try:
        if keys.unseal(keys.seal(b"drill", b"drill"), b"drill") != b"drill":
            yield "personal-data"
        keys.order_key()
        yield from evidence_faults(context, keys)
    except ServiceError as exc:
        yield f"{exc} [{exc.code}]"


member = Member(
    name="ra",
    config=RaConfig,
    migrations="onecert.ra.migrations",
    catalogue="onecert.ra",
    roles=ROLES,
    build=build,
    keep=keep,
    examine=examine_evidence,
)
