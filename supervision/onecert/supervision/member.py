"""Announces the supervision to the server: `onecert up` runs it when it is installed."""

from onecert.server.jobs import Job
from onecert.server.languages import _
from onecert.server.members import Context, Member, Service
from onecert.supervision.app import create_app
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.service import make_keys, make_supervision
from onecert.supervision.status import StatusApp
from onecert.supervision.watch import Watch

__all__ = ["build", "member"]


def build(config: SupervisionConfig, context: Context) -> Service:
    """Build the service. Officers' tokens are opened only by the commands that sign."""
    keys = make_keys(config, context)
    supervision = make_supervision(config, context, keys)
    watch = Watch(supervision.editor, supervision.published)
    watch.run(context.clock.now())
    return Service(
        app=create_app(member, context, supervision),
        status=StatusApp(supervision.published, max_age=config.status_max_age),
        jobs=[Job("supervision.published", config.sync_every, watch.run)],
        checks={"token": keys.check, "trust-list": watch.check},
        audit_key=keys.audit_key(),
        find_audit_key=keys.audit_key,
        close=keys.close,
    )


member = Member(
    name="supervision",
    config=SupervisionConfig,
    migrations="onecert.supervision.migrations",
    catalogue="onecert.supervision",
    roles={
        "list.officer": _("List officer"),
        "list.editor": _("List editor"),
        "auditor": _("Auditor"),
    },
    build=build,
)
