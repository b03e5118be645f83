"""How a mail leaves: into a folder on disk (the default), or to a mail server by SMTP (RFC 5321, RFC 3207).

SMTP goes over TLS only: without STARTTLS nothing is sent, not even the user's name. Each carrier is called
outside any transaction.
"""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from onecert.ra.notices.errors import DeliveryError
from onecert.server.folders import make_private_folder, write_file

__all__ = ["Carrier", "Outbox", "Smtp"]


class Carrier(Protocol):
    """Hands a mail over, or raises `DeliveryError`."""

    def deliver(self, message: EmailMessage, *, notice_id: str) -> None: ...


class Outbox:
    """One file for each mail, complete or absent; the same notice again is the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, message: EmailMessage, *, notice_id: str) -> None:
        """Write `<id>.eml` into the folder, mode 0600 in 0700."""
        try:
            write_file(make_private_folder(self._folder) / f"{notice_id}.eml", message.as_bytes())
        except OSError as exc:
            raise DeliveryError(exc.strerror or type(exc).__name__, is_final=False) from exc


class Smtp:
    """A mail server."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        implicit_tls: bool = False,
        ca_file: Path | None = None,
        user: str | None = None,
        password_file: Path | None = None,
        timeout_s: float = 20,
    ) -> None:
        self._place = (host, port)
        self._implicit_tls = implicit_tls
        self._ca_file = ca_file
        self._user = user
        self._password_file = password_file
        self._timeout_s = timeout_s

    def deliver(self, message: EmailMessage, *, notice_id: str) -> None:
        """Hand it over; final when the server refuses the recipient or the content for good.

        A connection that breaks before the server's last answer may have delivered: it is sent again, with
        the same Message-ID (RFC 5321, section 6.1 wants it so).
        """
        try:
            server = self._open()
            try:
                server.send_message(message)
            except BaseException:
                server.close()
                raise
        except smtplib.SMTPRecipientsRefused as exc:
            code, answer = next(iter(exc.recipients.values()))
            raise DeliveryError(_shown(code, answer), is_final=code >= 500) from exc
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as exc:
            raise DeliveryError(_shown(exc.smtp_code, exc.smtp_error), is_final=exc.smtp_code >= 500) from exc
        except smtplib.SMTPResponseException as exc:  # sign-in, greeting: ours to mend, not the recipient's
            raise DeliveryError(_shown(exc.smtp_code, exc.smtp_error), is_final=False) from exc
        except (smtplib.SMTPException, OSError, UnicodeError) as exc:
            raise DeliveryError(f"{type(exc).__name__}: {exc}"[:150], is_final=False) from exc
        # It has the mail; how it says good-bye changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self._ca_file)
        host, port = self._place
        if self._implicit_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._timeout_s, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=self._timeout_s)
        try:
            if not self._implicit_tls:
                server.starttls(context=context)
            if self._user and self._password_file:
                server.login(self._user, self._password_file.read_text(encoding="utf-8").strip())
        except BaseException:
            server.close()
            raise
        return server


def _shown(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return f"{code} {' '.join(text.split())}"[:150]
