"""The CA as a member of the house: what the server needs to run it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from onecert.ca.activation.door import ActivationDoor, open_door
from onecert.ca.api import create_app
from onecert.ca.authorities.delegate_keys import destroy_ended
from onecert.ca.config import CaConfig
from onecert.ca.errors import CaError, CrlOverdueError, NoAuthorityError
from onecert.ca.issuing.recovery import LEFT_ALONE
from onecert.ca.operation.examining import examine
from onecert.ca.operation.figures import take as take_figures
from onecert.ca.operation.keeping import keep
from onecert.ca.parts import Parts, assemble
from onecert.ca.reports.assembly import issuance_reports
from onecert.ca.reports.issuance_reports import IssuanceReports
from onecert.ca.signatures.tokens import document_key
from onecert.ca.status.app import StatusApp
from onecert.server.documents import PrivateKey
from onecert.server.errors import ServiceError
from onecert.server.jobs import Job, Scope
from onecert.server.languages import _
from onecert.server.members import Context, Member, Service

__all__ = ["build", "member"]

log = logging.getLogger(__name__)

AUDIT_KEY = "audit"


def build(config: CaConfig, context: Context) -> Service:
    """Build the service; what an interruption left behind is resolved first."""
    return service_of(assemble(config, context), context)


def service_of(parts: Parts, context: Context) -> Service:
    """Build the service on parts that are put together already."""
    config = parts.config
    reports = issuance_reports(parts, context)
    door = open_door(parts.token)
    _attempt("interrupted orders", lambda: parts.recovery.run(context.clock.now()))
    _attempt("lists and certificates", lambda: refresh_files(parts))
    return Service(
        app=create_app(parts, context),
        status=StatusApp(
            parts.files, parts.responders, parts.timestamps, context.clock, max_age=config.status_max_age
        ),
        jobs=(
            Job("ca.batches", timedelta(seconds=1), lambda _at: _fill_batches(parts), Scope.WORKERS),
            Job("ca.check", timedelta(minutes=1), lambda _at: parts.check_rounds.step()),
            Job("ca.check-lists", timedelta(hours=1), lambda _at: _check_lists(parts)),
            Job("ca.crl", timedelta(seconds=30), lambda at: renew_lists(parts, at)),
            Job("ca.follow-ups", timedelta(seconds=10), lambda _at: _follow_up(parts)),
            Job("ca.search-index", timedelta(seconds=5), lambda _at: _index(parts)),
            Job("ca.delegates", timedelta(minutes=10), lambda _at: roll_delegates(parts)),
            # Each folder is filled for itself, also where other processes do the rest of the periodic work.
            Job("ca.ocsp", timedelta(seconds=30), lambda _at: parts.responders.prepare(), Scope.FOLDER),
            Job("ca.ocsp.new", timedelta(seconds=2), lambda _at: parts.responders.follow(), Scope.FOLDER),
            Job("ca.drills", timedelta(minutes=1), lambda _at: _drill(parts)),
            Job("ca.drills.asked", timedelta(seconds=1), lambda _at: _drill_as_asked(parts)),
            Job("ca.mass-revocations", timedelta(seconds=1), lambda _at: _revoke_many(parts)),
            Job("ca.reports", timedelta(seconds=30), lambda _at: _report(reports)),
            Job("ca.retention", timedelta(days=1), lambda _at: _keep_house(parts)),
            Job("ca.recovery", timedelta(seconds=5), lambda at: _recover(parts, at)),
            # What other processes changed: in the memory of each, and in the files of each folder.
            Job("ca.reload", timedelta(seconds=5), lambda _at: _reload(parts), Scope.PROCESS),
            Job("ca.files", timedelta(seconds=5), lambda _at: refresh_files(parts), Scope.FOLDER),
        ),
        checks={
            "token": parts.token.check,
            "clock": parts.clock.check,
            "authorities": lambda: check_authorities(parts),
            "lists": lambda: check_lists(parts),
            "successors": lambda: parts.issuance.lines.check_successors(context.clock.now()),
            "checker": parts.check_rounds.check,
            "reports": reports.check,
            "timestamps": parts.timestamps.check,
        },
        audit_key=_audit_key(parts),
        find_audit_key=lambda: _audit_key(parts),
        figures=lambda at: take_figures(parts, at),
        close=lambda: _close(parts, door),
    )


def renew_lists(parts: Parts, at: datetime) -> None:
    """Make every list that is due; one that cannot be made does not keep the others from it."""
    failures: list[ServiceError] = []
    for authority in parts.authorities.reload():
        try:
            for partition in () if authority.is_root else parts.publisher.partitions(authority.name):
                if parts.publisher.is_due(authority, at, partition):
                    parts.publisher.publish(authority.name, partition=partition)
        except ServiceError as exc:
            failures.append(exc)
    refresh_files(parts)
    if failures:
        raise failures[0]


def _check_lists(parts: Parts) -> None:
    parts.check_rounds.check_lists()


def roll_delegates(parts: Parts) -> None:
    """Give every responder and timestamp authority its successor in time; destroy keys that have ended."""
    parts.ocsp_delegates.roll_all()
    parts.timestamp_delegates.roll_all()
    destroy_ended(parts)


def refresh_files(parts: Parts) -> None:
    """Bring the files of the status service up to date with the record."""
    for authority in parts.authorities.reload():
        parts.files.write_certificate(
            authority.name, authority.certificate_der, others_der=authority.further_der
        )
        for partition in parts.publisher.partitions(authority.name):
            parts.publisher.write_file(authority.name, partition)


def check_authorities(parts: Parts) -> None:
    """Readiness: there is at least one authority.

    Raises:
        NoAuthorityError
    """
    if not (parts.authorities.everyone() or parts.authorities.reload()):
        raise NoAuthorityError


def check_lists(parts: Parts) -> None:
    """The alarm at half life of any list.

    Raises:
        CrlOverdueError
    """
    at = parts.clock.now()
    overdue: list[CrlOverdueError] = []
    for authority in parts.authorities.everyone():
        try:
            parts.publisher.check(authority, at)
        except CrlOverdueError as exc:
            overdue.append(exc)
    if overdue:
        raise overdue[0]


def _fill_batches(parts: Parts) -> None:
    parts.batch_work.run()


def _index(parts: Parts) -> None:
    parts.search_index.step()


def _follow_up(parts: Parts) -> None:
    parts.follow_ups.run()


def _drill(parts: Parts) -> None:
    if parts.config.drill_every:
        parts.drills.run_due(parts.config.drill_every)


def _drill_as_asked(parts: Parts) -> None:
    parts.asked_drills.run()


def _keep_house(parts: Parts) -> None:
    parts.housekeeping.run()


def _revoke_many(parts: Parts) -> None:
    parts.mass_revocation_work.run()


def _close(parts: Parts, door: ActivationDoor | None) -> None:
    if door is not None:
        door.close()
    parts.mass_revocation_work.close()
    parts.batch_work.close()
    parts.issuance.close()
    parts.token.close()


def _report(reports: IssuanceReports) -> None:
    reports.run()


def _reload(parts: Parts) -> None:
    parts.authorities.reload()


def _recover(parts: Parts, at: datetime) -> None:
    parts.recovery.run(at, older_than=LEFT_ALONE)


def _audit_key(parts: Parts) -> PrivateKey | None:
    try:
        return document_key(parts.token, AUDIT_KEY)
    except CaError:
        log.exception("audit heads cannot be signed now")
        return None


def _attempt(what: str, act: Callable[[], object]) -> None:
    """At start nothing may keep the status service from serving: log, and leave it to the jobs."""
    try:
        act()
    except Exception:
        log.exception("not done at start", extra={"what": what})


member = Member(
    name="ca",
    config=CaConfig,
    migrations="onecert.ca.migrations",
    catalogue="onecert.ca",
    roles={
        "ca.operator": _("Operator of the certification authority"),
        "ca.security": _("Security officer of the certification authority"),
        "ca.profiles": _("Profile officer of the certification authority"),
    },
    build=build,
    keep=keep,
    examine=examine,
    kept_after=("ra", "pmi"),
)
