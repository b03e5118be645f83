"""What the rule table makes of holders before and after a change of status, by the verifier's own function.

Made-up certificates stand for the kinds of holders: issued before or after the change, logging in before,
after and when the grace is over; and a document that was signed before, with a timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.server.languages import Message, _, current_language, format_datetime, gettext
from onecert.verifier.messages import message
from onecert.verifier.service_status import Moments, ServiceStatusError, check_service
from onecert.verifier.trust_list import StatusEntry, TrustedService

__all__ = ["RuleRow", "rule_rows"]

_LITTLE = timedelta(hours=1)


@dataclass(frozen=True)
class RuleRow:
    """One kind of holder; the verdicts for a person, in the current language."""

    text: str
    before: str
    after: str
    accepted_before: bool
    accepted_after: bool


def rule_rows(old: TrustedService | None, new: TrustedService, entry: StatusEntry) -> list[RuleRow]:
    """What a change to ``entry`` does, under the present list and under the one with it."""
    start = entry.start
    issued = _last_grant(new, start)
    cases: list[tuple[Message, Moments]] = [
        (_("Certificate issued before, login at %(at)s"), _login(issued, start + _LITTLE)),
    ]
    if entry.existing_until is not None:
        late = entry.existing_until + _LITTLE
        cases.append((_("Certificate issued before, login at %(at)s, after the grace"), _login(issued, late)))
    cases += [
        (
            _("Certificate issued after the change, login at %(at)s"),
            _login(start + _LITTLE, start + 2 * _LITTLE),
        ),
        (
            _("Document signed before with a timestamp, checked at %(at)s"),
            Moments(issued=issued, used=start - _LITTLE, checked=start + _LITTLE, time_proved=True),
        ),
    ]
    return [_row(text, moments, old, new) for text, moments in cases]


def _login(issued: datetime, at: datetime) -> Moments:
    return Moments(issued=issued, used=at, checked=at)


def _last_grant(service: TrustedService, start: datetime) -> datetime:
    """A moment before the change at which certificates were issued under a grant."""
    grants = [entry.start for entry in service.history if entry.status.value == "granted"]
    before = [grant for grant in grants if grant < start]
    return max(before, default=start - 2 * _LITTLE)


def _row(text: Message, moments: Moments, old: TrustedService | None, new: TrustedService) -> RuleRow:
    before, after = _verdict(old, moments), _verdict(new, moments)
    what = gettext(text, at=format_datetime(moments.checked))
    return RuleRow(what, before[1], after[1], before[0], after[0])


def _verdict(service: TrustedService | None, moments: Moments) -> tuple[bool, str]:
    if service is None:
        return False, gettext(_("not on the list"))
    try:
        verdict = check_service(service, moments)
    except ServiceStatusError as exc:
        return False, gettext(
            _("refused: %(text)s (%(code)s)"), text=exc.text(current_language()), code=exc.code
        )
    notes = [message(code, current_language()) for code in verdict.warnings]
    return True, gettext(_("; ")).join([gettext(_("accepted")), *notes])
