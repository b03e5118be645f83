"""Announces the supervision to the server: `onecert up` runs it when it is installed."""

import hashlib
import logging
import socket
from collections.abc import Iterator

from onecert.server.errors import ServiceError
from onecert.server.jobs import Job
from onecert.server.languages import _
from onecert.server.members import Context, Kept, Member, Service
from onecert.supervision.app import create_app
from onecert.supervision.bundle_job import BundleJob
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.issuance_job import IssuanceJob
from onecert.supervision.officers import TokenOfficerKeys
from onecert.supervision.service import make_keys, make_supervision
from onecert.supervision.status import StatusApp
from onecert.supervision.watch import Watch

__all__ = ["build", "keep", "member"]

log = logging.getLogger(__name__)


def build(config: SupervisionConfig, context: Context) -> Service:
    """Build the service. Officers' tokens are opened only by the commands that sign.

    Each host has files of its own, so each has a job of its own to keep them; what the jobs write together,
    the record puts in order.
    """
    keys = make_keys(config, context)
    supervision = make_supervision(config, context, keys)
    watch = Watch(supervision)
    try:
        watch.run(context.clock.now())
    except ServiceError as exc:
        # The files are served as they are; the job tries again, and readiness tells when it is too late.
        log.error("the trust timestamp could not be signed", extra={"code": exc.code})
    issuances = IssuanceJob(supervision.issuance_reports, supervision.issuance_records, context.clock)
    jobs = [
        Job(_job_name(context, "published"), config.sync_every, watch.run),
        Job(_job_name(context, "issuances"), config.sync_every, issuances.run),
    ]
    if config.bundle_every:
        jobs.append(Job(_job_name(context, "bundle"), config.bundle_every, BundleJob(supervision).run))
    return Service(
        app=create_app(member, context, supervision),
        status=StatusApp(supervision.published, max_age=config.status_max_age),
        jobs=jobs,
        checks={"token": keys.check, "trust-list": watch.check, "issuances": issuances.check},
        audit_key=keys.audit_key(),
        find_audit_key=keys.audit_key,
        close=keys.close,
    )


def keep(config: SupervisionConfig, context: Context) -> Kept:
    """Say what backups of this service need; the number of the list guards itself."""
    keys = make_keys(config, context)
    return Kept(audit_key=keys.audit_key, faults=lambda: _faults(keys), close=keys.close)


def _faults(keys: TokenOfficerKeys) -> Iterator[str]:
    try:
        keys.check()
    except ServiceError as exc:
        yield f"{exc} [{exc.code}]"


def _job_name(context: Context, what: str) -> str:
    place = f"{socket.gethostname()}:{context.data.absolute()}".encode()
    return f"supervision.{what}.{hashlib.sha256(place).hexdigest()[:8]}"


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
    keep=keep,
    kept_after=("ca",),
)
