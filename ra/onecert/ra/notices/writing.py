"""Writes a mail: one message in both languages, from facts that people typed and that may be hostile.

RFC 5322 and MIME by the standard library. No header takes a fact; the address is held to a narrow form, so no
header can be injected. A text that looks like the number of an identity card stops the mail.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from onecert.ra.notices.errors import NoticeRefusedError
from onecert.ra.notices.texts import TEXTS, NoticeKind
from onecert.server.languages import gettext, set_language

__all__ = ["check_address", "is_address", "write_mail"]

MAX_FACT = 300
# Narrower than RFC 5321: no quotes, no comments, no address literals, ASCII only.
_LOCAL = r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})*")
_IDCARD = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")


def check_address(text: str) -> str:
    """Return the address, or raise `NoticeRefusedError` when it is not of the form that is sent to."""
    if not is_address(text):
        raise NoticeRefusedError("address")
    return text


def is_address(text: str) -> bool:
    """Whether mail goes to it: narrower than RFC 5321 allows."""
    return len(text) <= 254 and ".." not in text and _ADDRESS.fullmatch(text) is not None


def write_mail(
    kind: NoticeKind, *, to: str, facts: Mapping[str, object], sender: str, notice_id: str, at: datetime
) -> EmailMessage:
    """The message, ready to be sent; the same notice has the same Message-ID however often it is sent.

    Raises:
        NoticeRefusedError: the address is none, or a fact holds the number of an identity card.
    """
    text = TEXTS[kind]
    known = {name: _clean(value) for name, value in facts.items()}
    if any(isinstance(value, str) and _IDCARD.search(value) for value in known.values()):
        raise NoticeRefusedError("idcard")
    subjects, bodies = [], []
    for language in ("zh", "en"):
        with set_language(language, "onecert.ra"):
            subjects.append(gettext(text.subject, days=int(str(known.get("days", 0)))))
            bodies.append("\n\n".join(gettext(paragraph, **known) for paragraph in text.paragraphs))
    address = Address(addr_spec=check_address(sender))
    message = EmailMessage(policy=SMTP)
    message["From"] = address
    message["To"] = Address(addr_spec=check_address(to))
    message["Subject"] = " / ".join(subjects)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{notice_id}@{address.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n----------\n\n".join(bodies) + "\n", cte="base64")
    message["Content-Language"] = "zh, en"
    return message


def _clean(value: object) -> object:
    """A text on one line: no control characters, no text-direction marks. A time or a title stays as it is
    and speaks the language that it is asked in."""
    if not isinstance(value, str):
        return value
    plain = "".join(char if unicodedata.category(char)[0] not in "CZ" else " " for char in value)
    return " ".join(plain.split())[:MAX_FACT]
