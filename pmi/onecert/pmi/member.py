"""The PMI as a member of the house: what the server needs to run it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

from onecert.hsm import PrivateKey
from onecert.pmi.app import create_app
from onecert.pmi.authorities.examining import examine
from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.config import PmiConfig
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.life.revocation import SECURITY
from onecert.pmi.parts import assemble
from onecert.pmi.status.ocsp_app import OcspApp
from onecert.pmi.status.published import StatusApp
from onecert.pmi.tokens import AUDIT_KEY, PmiToken, make_token
from onecert.server.errors import ServiceError
from onecert.server.jobs import Job
from onecert.server.languages import _
from onecert.server.members import Context, Kept, Member, Service

__all__ = ["build", "keep", "member"]

log = logging.getLogger(__name__)


def build(config: PmiConfig, context: Context) -> Service:
    """Build the service; what an interruption left behind is resolved first."""
    parts = assemble(config, context)
    _attempt("interrupted grants", lambda: parts.issuing.resolve_intents(context.clock.now()))
    _attempt("revocation lists", lambda: parts.publisher.renew(context.clock.now()))
    return Service(
        app=create_app(parts),
        status=OcspApp(parts.responder, StatusApp(context.database, parts.authorities, parts.publisher)),
        jobs=(
            Job("pmi.acrl", timedelta(seconds=30), parts.publisher.renew),
            Job("pmi.authorities", timedelta(days=1), parts.key_renewals.warn),
            Job("pmi.ocsp", timedelta(minutes=1), parts.responder.renew),
            Job("pmi.departures", timedelta(seconds=15), parts.offices.carry_out_due),
            Job("pmi.rebinding", timedelta(minutes=1), parts.rebindings.propose),
            Job("pmi.decisions", timedelta(hours=6), lambda at: _discard(parts.memory.prune(at))),
            Job("pmi.batches", timedelta(seconds=10), lambda at: _discard(parts.batches.resume())),
            Job("pmi.intents", timedelta(minutes=1), lambda at: _discard(parts.issuing.resolve_intents(at))),
        ),
        checks={
            "token": parts.token.check,
            "lists": parts.publisher.check_fresh,
            "trust list": parts.holders.check,
        },
        audit_key=_audit_key(parts.token),
        find_audit_key=lambda: _audit_key(parts.token),
        close=parts.close,
    )


def _discard(_count: int) -> None:
    """A job answers nothing."""


def _audit_key(token: PmiToken) -> PrivateKey | None:
    try:
        return token.own_key(AUDIT_KEY)
    except ServiceError:
        log.exception("audit heads cannot be signed now")
        return None


def _attempt(what: str, act: Callable[[], object]) -> None:
    """At start nothing may keep the status service from serving: log, and leave it to the jobs."""
    try:
        act()
    except ServiceError:
        log.exception("not done at start", extra={"what": what})


def keep(config: PmiConfig, context: Context) -> Kept:
    """Say what backups of this service need."""
    token = make_token(config, data=context.data, shared=context.shared)
    return Kept(audit_key=lambda: _audit_key(token), faults=lambda: _faults(token), close=token.close)


def _faults(token: PmiToken) -> Iterator[str]:
    try:
        token.check()
        token.own_key(AUDIT_KEY)
    except ServiceError as exc:
        yield f"{exc} [{exc.code}]"


member = Member(
    name="pmi",
    config=PmiConfig,
    migrations="onecert.pmi.migrations",
    catalogue="onecert.pmi",
    roles={
        OFFICER: _("Attribute officer"),
        APPROVER: _("Attribute approver"),
        SECURITY: _("Security staff: take attribute certificates out of use"),
        ADMINISTRATOR: _("Administrator of attribute authorities"),
        AUDITOR: _("Auditor"),
    },
    build=build,
    keep=keep,
    examine=examine,
)
