"""Announces the registration authority to the server: `onecert up` runs it when it is installed."""

from onecert.ra.app import create_app
from onecert.ra.config import RaConfig
from onecert.ra.service import make_ra
from onecert.ra.states import ROLES
from onecert.ra.token_keys import TokenKeys
from onecert.server.jobs import Job
from onecert.server.members import Context, Member, Service

__all__ = ["build", "make_keys", "member"]


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
            Job("ra.orders", config.resend_every, ra.dispatch.run),
            Job("ra.revocations", config.resend_every, ra.revoking.run),
        ],
        checks={"token": keys.check},
        audit_key=keys.find_order_key(),
        find_audit_key=keys.find_order_key,
        close=close,
    )


member = Member(
    name="ra",
    config=RaConfig,
    migrations="onecert.ra.migrations",
    catalogue="onecert.ra",
    roles=ROLES,
    build=build,
)
