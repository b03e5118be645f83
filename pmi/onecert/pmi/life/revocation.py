"""Revokes attribute certificates, puts them on hold and releases them: one, or many by one confirmed act.

Reasons are those of RFC 5280, section 5.3.1, that fit an attribute certificate. Revoking is for good; a hold
(certificateHold) can be released. Each act is one transaction with its audit entries; new lists follow at
once, and decisions go by the record, so that it counts from the next one on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from onecert.pmi.authorities.states import ADMINISTRATOR, check_not_suspended
from onecert.pmi.errors import GrantStateError, ReasonUnknownError, RequestWrongError
from onecert.pmi.grants.request import DELEGATION
from onecert.pmi.life.changes import Changes
from onecert.pmi.life.errors import CertificateStateError, SelectionChangedError
from onecert.pmi.repository.search import STATUSES, Record, load_certificate, load_certificates
from onecert.pmi.status.acrl import Acrl
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, check_role, check_usable

__all__ = ["ACTS", "MAX_AT_ONCE", "REASONS", "REVOKERS", "SECURITY", "Done", "Revocations", "Selection"]

# Whoever may take a certificate out of use: also the staff at night, who may do nothing else.
SECURITY = "attribute.security"
REVOKERS = ("attribute.officer", "attribute.approver", SECURITY)
RELEASERS = ("attribute.officer", "attribute.approver")
MAX_AT_ONCE = 10_000

REASONS: dict[str, Message] = {
    "privilegeWithdrawn": _("the role was taken back"),
    "affiliationChanged": _("the holder has left the office"),
    "keyCompromise": _("the holder's key is compromised"),
    "aACompromise": _("the authority's key is compromised"),
    "superseded": _("replaced by another certificate"),
    "cessationOfOperation": _("no longer needed"),
    "unspecified": _("no reason given"),
}
ACTS: dict[str, Message] = {"revoke": _("revoke"), "hold": _("hold"), "release": _("release")}


@dataclass(frozen=True)
class Selection:
    """What an act would be done to; confirmed by its hash."""

    act: str
    reason: str
    records: Sequence[Record]

    @cached_property
    def sha256(self) -> str:
        """Of the act, the reason and the serial numbers: the same whatever was done to them meanwhile."""
        content = {"act": self.act, "reason": self.reason, "serials": sorted(r.serial for r in self.records)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def check_shown(self, sha256: str) -> None:
        """Raises SelectionChangedError when this is not what was shown."""
        if sha256 != self.sha256:
            raise SelectionChangedError(len(self.records), self.sha256)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an act has changed: those that were changed already are not among ``changed``."""

    records: Sequence[Record]
    changed: Sequence[Record]
    acrls: dict[str, Acrl | None]


class Revocations:
    """Revokes, holds and releases, and has the lists published."""

    def __init__(self, *, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    def revoke(self, serial: str, *, reason: str, operator: Operator) -> tuple[Record, Acrl | None]:
        """Revoke one certificate. A second time changes nothing and answers with what is on record.

        Returns:
            The record, and the list on which it stands; None when the list could not be published just now.
            The revocation counts all the same, and the timer publishes the list.

        Raises:
            CertificateUnknownError, ReasonUnknownError, GrantStateError: nothing was revoked.
        """
        return _single(self._act("revoke", [serial], reason, operator))

    def hold(self, serial: str, *, operator: Operator) -> tuple[Record, Acrl | None]:
        """Put one certificate on hold. Raises CertificateStateError when it is neither valid nor on hold."""
        return _single(self._act("hold", [serial], "", operator))

    def release(self, serial: str, *, operator: Operator) -> tuple[Record, Acrl | None]:
        """Let one certificate count again. Raises CertificateStateError when it is not on hold."""
        return _single(self._act("release", [serial], "", operator))

    def preview(self, serial: str, *, reason: str) -> Record:
        """Return the certificate that ``revoke`` would revoke; refuse what it would refuse."""
        return self.select("revoke", [serial], reason=reason).records[0]

    def select(self, act: str, serials: Sequence[str], *, reason: str = "") -> Selection:
        """Return what ``together`` would act on; refuse what it would refuse."""
        with self._database.reading() as connection:
            return _select(connection, act, serials, reason)

    def together(
        self, act: str, serials: Sequence[str], *, reason: str = "", content_sha256: str, operator: Operator
    ) -> Done:
        """Revoke, hold or release many at once: all of them or, when one cannot be, none.

        Args:
            act: one of ACTS.
            content_sha256: of the selection that was shown. The same again changes nothing.

        Raises:
            SelectionChangedError: something else was shown.
            CertificateUnknownError, CertificateStateError, GrantStateError: nothing was changed.
        """
        return self._act(act, serials, reason, operator, shown=content_sha256)

    def _act(
        self, act: str, serials: Sequence[str], reason: str, operator: Operator, shown: str | None = None
    ) -> Done:
        may = RELEASERS if act == "release" else REVOKERS
        check_role(operator, *may, ADMINISTRATOR)
        now = self._clock.now()
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            selection = _select(connection, act, serials, reason)
            for record in selection.records:
                # Delegations are the business of those who answer for the authorities.
                check_role(operator, *((ADMINISTRATOR,) if record.kind == DELEGATION else may))
                if act == "release":
                    check_not_suspended(record.state, record.revoked_by)
            if shown is not None:
                selection.check_shown(shown)
            if act == "revoke":
                changed = self._changes.revoke(
                    connection, selection.records, reason=reason, actor=operator.actor, at=now
                )
            elif act == "hold":
                changed = self._changes.hold(connection, selection.records, actor=operator.actor, at=now)
            else:
                changed = self._changes.release(connection, selection.records, actor=operator.actor, at=now)
        acrls = self._changes.publish(selection.records)
        with self._database.reading() as connection:
            records = load_certificates(connection, [record.serial for record in selection.records])
        return Done(records=records, changed=changed, acrls=acrls)


def _select(connection: Connection, act: str, serials: Sequence[str], reason: str) -> Selection:
    if act not in ACTS:
        raise RequestWrongError("act", _("unknown"))
    if act == "revoke" and reason not in REASONS:
        raise ReasonUnknownError(reason, REASONS)
    if act != "revoke" and reason:
        raise RequestWrongError("reason", _("only a revocation has one"))
    if not 0 < len(serials) <= MAX_AT_ONCE:
        raise RequestWrongError("serials", _("choose one at least, and 10,000 at most"))
    if len(serials) == 1:
        records = [load_certificate(connection, serials[0])]
    else:
        records = load_certificates(connection, serials)
    for record in records:
        _check(act, record)
    return Selection(act, reason, records)


# In which states an act does something, or has been done already.
_STATES = {
    "revoke": {"issued", "held", "revoked"},
    "hold": {"issued", "held"},
    "release": {"held", "issued"},
}


def _check(act: str, record: Record) -> None:
    if record.state in _STATES[act]:
        return
    if act == "revoke":
        raise GrantStateError(record.grant_id, STATUSES[record.state])
    raise CertificateStateError(record.serial, STATUSES[record.state])


def _single(done: Done) -> tuple[Record, Acrl | None]:
    record = done.records[0]
    return record, done.acrls[record.authority]
