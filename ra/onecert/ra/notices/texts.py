"""What the mails say. Each mail says it in Chinese and then in English; facts have names.

No mail holds the number of an identity document; the code of a hand-over is the only secret one carries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from onecert.server.languages import Message, _

__all__ = ["NOTICE_NAMES", "TEXTS", "NoticeKind", "NoticeText"]


class NoticeKind(StrEnum):
    """What is told."""

    RENEWAL = "renewal"  # facts: name, authority, serial, not_after, days, place
    RETURNED = "returned"  # facts: name, number, reason, place
    READY = "ready"  # facts: name, number, page, code, until, place
    ACCOUNT_ENDS = "account_ends"  # facts: account, name, valid_until, days


@dataclass(frozen=True)
class NoticeText:
    """The subject takes no facts that people typed; paragraphs do."""

    subject: Message
    paragraphs: Sequence[Message]


_SIGNED = _("This message was sent automatically; answers to it are not read.")

TEXTS: Mapping[NoticeKind, NoticeText] = MappingProxyType(
    {
        NoticeKind.RENEWAL: NoticeText(
            _("A certificate ends in %(days)s days"),
            (
                _("The certificate of %(name)s from %(authority)s ends on %(not_after)s (in %(days)s days)."),
                _("Serial number: %(serial)s"),
                _(
                    "Please renew it before then: bring the business licence or identity card, the agent's "
                    "identity card and the USB key to the acceptance point. Holder and entries stay the same."
                ),
                _("Acceptance point: %(place)s"),
                _SIGNED,
            ),
        ),
        NoticeKind.RETURNED: NoticeText(
            _("Application returned for correction"),
            (
                _("The application %(number)s of %(name)s was returned for correction."),
                _("Reason: %(reason)s"),
                _("Please bring or send what is missing to the acceptance point and name the number."),
                _("Acceptance point: %(place)s"),
                _SIGNED,
            ),
        ),
        NoticeKind.READY: NoticeText(
            _("Your certificate is ready"),
            (
                _("The certificate of %(name)s (application %(number)s) is ready to be handed over."),
                _("Fetch it here, with the application number and the one-time code: %(page)s"),
                _("One-time code: %(code)s"),
                _("The code is valid until %(until)s. Enter it on that page only, and tell it to nobody."),
                _("Acceptance point: %(place)s"),
                _SIGNED,
            ),
        ),
        NoticeKind.ACCOUNT_ENDS: NoticeText(
            _("An operator's account ends in %(days)s days"),
            (
                _("The account %(account)s of %(name)s ends on %(valid_until)s (in %(days)s days)."),
                _("If it is still needed, ask for its extension; another administrator agrees."),
                _SIGNED,
            ),
        ),
    }
)

NOTICE_NAMES: Mapping[NoticeKind, Message] = MappingProxyType(
    {
        NoticeKind.RENEWAL: _("Renewal due"),
        NoticeKind.RETURNED: _("Application returned"),
        NoticeKind.READY: _("Certificate ready"),
        NoticeKind.ACCOUNT_ENDS: _("Account ends"),
    }
)
