"""Mass revocations by officers at a page: prepared and shown there, signed with the officer's own token.

The PIN is typed for each signature and kept nowhere. What is signed goes through the same checks as a
document that comes over the wire: the account, its key, that the second officer is another person, and that
what is confirmed is what was shown.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ca.errors import MassRevocationChangedError, MassRevocationStateError
from onecert.ca.revocation.mass import CONFIRMED, PROPOSED, RUNNING, STOPPED, MassRevocation, MassRevocations
from onecert.ca.revocation.mass_documents import (
    CONFIRMATION_TYPE,
    LINES_MAX,
    PROPOSAL_TYPE,
    RESUMPTION_TYPE,
    STOP_TYPE,
    read_proposal,
)
from onecert.ca.revocation.mass_selection import Selected
from onecert.ca.revocation.security_officers import SECURITY_OFFICER, OfficerTokens
from onecert.server.clock import Clock
from onecert.server.operators import Operator, check_role, check_usable

__all__ = ["LINES_MAX", "OfficerDesk", "Wish", "new_number", "selection_of_lines"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A proposal as it is prepared; number and moment are chosen once, so that it is sent twice in vain."""

    number: str
    created_at: str  # ISO, as it is signed
    authority: str
    selection: Mapping[str, Any]
    content: bytes  # the lines, where the selection names lines
    reason: str
    invalidity_date: datetime | None
    why: str

    def payload(self, officer: str) -> dict[str, Any]:
        """The content that the officer signs."""
        return {
            "officer": officer,
            "created_at": self.created_at,
            "mass_revocation": self.number,
            "authority": self.authority,
            "selection": dict(self.selection),
            "reason": self.reason,
            "invalidity_date": self.invalidity_date.isoformat() if self.invalidity_date else None,
            "requested_by": [officer],
            "why": self.why,
        }


class OfficerDesk:
    """Where an officer who is signed in prepares and signs."""

    def __init__(self, service: MassRevocations, tokens: OfficerTokens, clock: Clock) -> None:
        self._service = service
        self._tokens = tokens
        self._clock = clock

    def preview(self, operator: Operator, wish: Wish) -> Selected:
        """What the proposal would freeze; signs and changes nothing.

        Raises:
            RoleRequiredError, CaError
        """
        self._check(operator)
        return self._service.preview(read_proposal(wish.payload(operator.id)), wish.content)

    def propose(self, operator: Operator, wish: Wish, *, pin: str, seen_sha256: str) -> MassRevocation:
        """Sign the proposal and freeze its list; the same again changes nothing.

        Args:
            seen_sha256: of the serials, as the preview showed them.

        Raises:
            MassRevocationChangedError: the selection is not what was shown any more.
            OfficerTokenError: not this PIN, or not now. CaError
        """
        if self.preview(operator, wish).serials_sha256 != seen_sha256:
            raise MassRevocationChangedError(wish.number)
        document = self._signed(operator, PROPOSAL_TYPE, wish.payload(operator.id), pin)
        made, _is_new = self._service.propose(document)
        return self._service.add_lines(made.mass_revocation, wish.content) if wish.content else made

    def confirm(
        self, operator: Operator, number: str, *, pin: str, proposal_sha256: str, serials_sha256: str
    ) -> MassRevocation:
        """Confirm as the second officer what was shown; done already by the same one, nothing happens.

        Raises:
            SecondPersonError: the same person, by this account or another, or nobody can tell.
            MassRevocationChangedError, MassRevocationStateError, MassRevocationExpiredError
            OfficerTokenError: not this PIN, or not now.
        """
        self._check(operator)
        made = self._service.show(number)
        if made.state != PROPOSED:
            if made.confirmed_by == operator.actor:
                return made
            raise MassRevocationStateError(number, made.state)
        if (made.proposal_sha256, made.serials_sha256) != (proposal_sha256, serials_sha256):
            raise MassRevocationChangedError(number)
        content = {
            "mass_revocation": number,
            "proposal_sha256": proposal_sha256,
            "serials_sha256": serials_sha256,
            "certificates": made.certificates,
            "confirmed_by": [operator.id],
        }
        return self._service.confirm(self._signed(operator, CONFIRMATION_TYPE, content, pin))

    def stop(self, operator: Operator, number: str, *, pin: str, why: str) -> MassRevocation:
        """Stop it; one officer may. Stopped already, nothing happens."""
        return self._note(operator, number, STOP_TYPE, pin, why, done=(STOPPED,))

    def resume(self, operator: Operator, number: str, *, pin: str, why: str) -> MassRevocation:
        """Go on with one that was stopped. Under way already, nothing happens."""
        return self._note(operator, number, RESUMPTION_TYPE, pin, why, done=(CONFIRMED, RUNNING))

    def _note(
        self, operator: Operator, number: str, typ: str, pin: str, why: str, *, done: tuple[str, ...]
    ) -> MassRevocation:
        self._check(operator)
        made = self._service.show(number)
        if made.state in done:
            return made
        content = {"mass_revocation": number, "requested_by": [operator.id], "why": why}
        document = self._signed(operator, typ, content, pin)
        return self._service.stop(document) if typ == STOP_TYPE else self._service.resume(document)

    def _check(self, operator: Operator) -> None:
        check_usable(operator, at=self._clock.now())
        check_role(operator, SECURITY_OFFICER)

    def _signed(self, operator: Operator, typ: str, content: Mapping[str, Any], pin: str) -> bytes:
        return self._tokens.signed(operator.id, content, typ=typ, pin=pin, at=self._clock.now())


def new_number() -> str:
    """The number of a new proposal."""
    return f"mr-{uuid.uuid4()}"


def selection_of_lines(kind: str, text: str) -> tuple[dict[str, Any], bytes]:
    """The selection of lines that somebody pasted or uploaded, and the lines as they are sent after it."""
    lines = [line.strip() for line in text.splitlines()]
    content = "".join(f"{line}\n" for line in lines if line).encode()
    head = {
        "kind": kind,
        "count": content.count(b"\n"),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {"lines": head}, content
