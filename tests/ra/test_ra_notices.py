"""Notices by mail: each once, by SMTP or into the outbox, and what happens when the mail server fails."""

import asyncio
import email
import email.policy
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ra_fakes import DAY, IDCARD, T, idcard, make_key

from onecert.ra.models import applications, certificates
from onecert.ra.notices.carriers import Smtp
from onecert.ra.notices.due import Collector
from onecert.ra.notices.errors import NoticeRefusedError
from onecert.ra.notices.sending import PAUSES
from onecert.ra.notices.tables import notice_marks, notices
from onecert.ra.notices.texts import NoticeKind
from onecert.ra.notices.writing import check_address, write_mail
from onecert.server.models import audit_entries

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MAIL = "agent@example.com"
READY = {
    "name": "深圳市示例科技有限公司",
    "number": "20261121-000001",
    "page": "https://ra.example.com/fetch",
    "code": "48213377",
    "until": "2026-11-28",
    "place": "南山受理点",
}


@pytest.fixture
def outbox(ra) -> Callable[[], list[EmailMessage]]:
    """The mails that lie in the outbox."""

    def read() -> list[EmailMessage]:
        files = sorted((ra.context.data / "outbox").glob("*.eml"))
        return [parsed(file.read_bytes()) for file in files]

    return read


def parsed(octets: bytes) -> EmailMessage:
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def issued(ra, **changes: str) -> Any:
    """The certificate of an application that was issued."""
    application = ra.issue(ra.entry(**{"email": MAIL, **changes}))
    return next(row for row in ra.rows(certificates) if row["application_id"] == application.id)


def turn(ra) -> None:
    """One turn of both jobs."""
    ra.service.notices_due.run(ra.clock.now())
    ra.service.notices.run(ra.clock.now())


def states(ra) -> list[tuple[str, int | None, str]]:
    return [(row["notice"], row["step"], row["state"]) for row in ra.rows(notices)]


def ready(ra, key: str = "ready:1", to: str = MAIL, **facts: str) -> bool:
    return bool(ra.service.notices.send(NoticeKind.READY, to, {**READY, **facts}, key))


def test_a_certificate_is_told_of_once_at_each_step(ra, outbox) -> None:
    """60, 30 and 7 days before the end, however often the jobs run; a lost mark makes no second one."""
    certificate = issued(ra)
    for left in (61, 60, 59, 30, 29, 7, 6, 1):
        ra.clock.set(certificate["not_after"] - left * DAY)
        turn(ra)
        with ra.database.transaction() as connection:
            connection.execute(notice_marks.delete())
        turn(ra)
    assert states(ra) == [("renewal", step, "sent") for step in (60, 30, 7)]
    subjects = sorted(str(mail["Subject"]) for mail in outbox())
    assert [subject.partition(" / ")[2] for subject in subjects] == [
        "A certificate ends in 30 days",
        "A certificate ends in 60 days",
        "A certificate ends in 7 days",
    ]
    events = [row["event"] for row in ra.rows(audit_entries) if row["event"].startswith("notice.")]
    assert events == ["notice.sent"] * 3


@only_sqlite
def test_a_mail_speaks_both_languages_and_names_no_identity_number(ra, outbox) -> None:
    """Name, authority, day and place; neither the agent's number nor the credit code."""
    certificate = issued(ra)
    ra.clock.set(certificate["not_after"] - 60 * DAY)
    turn(ra)
    (mail,) = outbox()
    body = mail.get_content()
    for wanted in ("深圳市示例科技有限公司", "珠江CA", "Pearl CA", "还有60天", "in 60 days", "USBKey"):
        assert wanted in body
    assert IDCARD not in body
    assert certificate["uscc"] not in body
    assert mail["To"] == MAIL
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (ra.context.data / "outbox").stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in (ra.context.data / "outbox").iterdir())


def test_what_was_revoked_or_renewed_is_told_of_no_more(ra, outbox) -> None:
    """A notice that waits is dropped when it has become needless; without an address it says so."""
    revoked = issued(ra)
    renewed = issued(ra, uscc="91440300MA5DEM0A63", agent_idcard=idcard(7))
    silent = issued(ra, uscc="91440300K00000014K", agent_idcard=idcard(8), email="")
    ra.clock.set(revoked["not_after"] - 60 * DAY)
    ra.service.notices_due.run(ra.clock.now())
    with ra.database.transaction() as connection:
        connection.execute(
            certificates.update()
            .where(certificates.c.serial_hex == revoked["serial_hex"])
            .values(status="revoked")
        )
        connection.execute(
            applications.update()
            .where(applications.c.id == silent["application_id"])
            .values(follows_authority=renewed["authority"], follows_serial=renewed["serial_hex"])
        )
    ra.service.notices.run(ra.clock.now())
    assert sorted((row["about"], row["state"], row["last_error"]) for row in ra.rows(notices)) == sorted(
        [
            (f"certificate:pearl/{revoked['serial_hex']}", "needless", "revoked"),
            (f"certificate:pearl/{renewed['serial_hex']}", "needless", "renewed"),
            (f"certificate:pearl/{silent['serial_hex']}", "no_address", None),
        ]
    )
    assert outbox() == []


def test_a_return_is_told_with_its_reason_once(ra, outbox) -> None:
    """Returned twice is told twice; corrected before the mail went is not told."""
    application = ra.submit(ra.entry(email=MAIL))
    for reason in ("营业执照不清楚", "印章不全"):
        ra.applications.send_back(ra.reviewer, application.id, reason=reason)
        turn(ra)
        turn(ra)
        ra.applications.submit(ra.entry_clerk, application.id)
        ra.clock.advance(DAY / 24)
    ra.applications.send_back(ra.reviewer, application.id, reason="还是不清楚")
    ra.service.notices_due.run(ra.clock.now())
    ra.applications.submit(ra.entry_clerk, application.id)
    ra.service.notices.run(ra.clock.now())
    assert [row["state"] for row in ra.rows(notices)] == ["sent", "sent", "needless"]
    bodies = "".join(mail.get_content() for mail in outbox())
    assert "营业执照不清楚" in bodies
    assert "印章不全" in bodies
    assert "还是不清楚" not in bodies


def test_an_account_that_ends_is_told_to_the_office(ra, outbox) -> None:
    """30 and 7 days before; operators have no address of their own."""
    ra.service.notices._facts._office = "office@example.com"
    collector = Collector(database=ra.database, operators=ra.operators, tells_accounts=True)
    for left in (31, 30, 8, 7):
        ra.clock.set(T + (365 - left) * DAY)
        collector.run(ra.clock.now())
        ra.service.notices.run(ra.clock.now())
    assert states(ra).count(("account_ends", 30, "sent")) == 3
    assert states(ra).count(("account_ends", 7, "sent")) == 3
    assert {str(mail["To"]) for mail in outbox()} == {"office@example.com"}


def test_the_code_of_a_hand_over_is_sealed_until_it_is_sent_and_gone_then(ra, outbox) -> None:
    """The same key is one notice; the code stands in no column."""
    assert ready(ra)
    assert not ready(ra)
    (row,) = ra.rows(notices)
    assert READY["code"] not in str(dict(row))
    ra.service.notices.run(ra.clock.now())
    (row,) = ra.rows(notices)
    assert (row["state"], row["content_sealed"]) == ("sent", None)
    assert "领取码：48213377" in outbox()[0].get_content()


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: x@y.example",
        "a@b.example\n",
        "a@b.example, c@d.example",
        '"a b"@c.example',
        "a@[127.0.0.1]",
        "a..b@c.example",
        "张@c.example",
        "a@-c.example",
        "<a@c.example>",
        "",
    ],
)
def test_an_address_that_is_more_than_one_is_refused(address: str) -> None:
    """No header can be injected through it."""
    with pytest.raises(NoticeRefusedError):
        check_address(address)


@only_sqlite
def test_hostile_facts_stay_in_the_body_on_their_line(ra) -> None:
    """Line breaks, control characters and direction marks become blanks; no identity number goes."""
    name = "甲公司\r\nBcc: x@y.example\r\n\r\n<script>\x00\u202e"
    facts = {**READY, "name": name}
    mail = write_mail(NoticeKind.READY, to=MAIL, facts=facts, sender="o@ra.example", notice_id="1", at=T)
    read = parsed(mail.as_bytes())
    assert read["Bcc"] is None
    assert set(read.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }
    assert "甲公司 Bcc: x@y.example <script>的数字证书" in read.get_content()
    with pytest.raises(NoticeRefusedError):
        ready(ra, name=f"张三 {IDCARD}")
    assert ra.rows(notices) == []


class Inbox:
    """A mail server on loopback that does as it is told; `got` are the mails it took."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.to_recipient = "250 OK"
        self.drop = ""

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802 - aiosmtpd's
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.drop != "before":
            self.got.append(parsed(envelope.content))
        if self.drop:
            server.transport.abort()
        return "250 taken"


@pytest.fixture
def inbox(ra, tmp_path: Path) -> Iterator[tuple[Inbox, Any]]:
    """A mail server with TLS, to which the notices go."""
    key = make_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(T - 9999 * DAY)
        .not_valid_after(T + 9999 * DAY)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, SHA256())
    )
    pem, both = tmp_path / "mail.pem", tmp_path / "mail-key.pem"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    both.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem.read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)

    handler = Inbox()
    with Listening(
        lambda loop: SMTP(handler, tls_context=context, require_starttls=True, loop=loop)
    ) as server:
        ra.service.notices._carrier = Smtp("127.0.0.1", server.port, ca_file=pem, timeout_s=5)
        yield handler, server


class Listening:
    """Runs a protocol on a port of loopback, in a thread of its own."""

    def __init__(self, protocol: Callable[[asyncio.AbstractEventLoop], SMTP]) -> None:
        self._loop = asyncio.new_event_loop()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        made = self._loop.create_server(lambda: protocol(self._loop), sock=listening)
        self._server = self._loop.run_until_complete(made)
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Listening":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port; what was open ends."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def after_a_pause(ra) -> None:
    ra.clock.advance(PAUSES[-1])
    ra.service.notices.run(ra.clock.now())


@only_sqlite
def test_a_mail_goes_to_the_server_over_tls(ra, inbox) -> None:
    """One notice, one mail."""
    ready(ra)
    ra.service.notices.run(ra.clock.now())
    after_a_pause(ra)
    assert [str(mail["To"]) for mail in inbox[0].got] == [MAIL]
    assert states(ra) == [("ready", None, "sent")]


@only_sqlite
def test_a_server_whose_certificate_is_not_known_gets_nothing(ra, inbox) -> None:
    """Not known to the machine's own list: it waits, and no mail leaves."""
    ra.service.notices._carrier._ca_file = None
    ready(ra)
    ra.service.notices.run(ra.clock.now())
    assert inbox[0].got == []
    assert states(ra) == [("ready", None, "waiting")]
    assert "SSL" in ra.rows(notices)[0]["last_error"]


@only_sqlite
def test_a_recipient_that_is_refused_for_good_ends_it_and_a_busy_server_does_not(ra, inbox) -> None:
    """550 is an answer; 451 is none yet."""
    server, _listening = inbox
    server.to_recipient = "451 busy"
    ready(ra)
    ra.service.notices.run(ra.clock.now())
    assert states(ra) == [("ready", None, "waiting")]
    server.to_recipient = "550 no such user"
    after_a_pause(ra)
    assert states(ra) == [("ready", None, "failed")]
    assert ra.rows(notices)[0]["last_error"] == "550 no such user"


def test_a_server_that_is_down_is_asked_with_growing_pauses_and_an_end(ra, inbox) -> None:
    """Eight attempts, then the page says that it could not be sent; nothing is asked before its time."""
    inbox[1].stop()
    ready(ra)
    for pause in PAUSES:
        ra.service.notices.run(ra.clock.now())
        ra.clock.advance(pause / 2)
        ra.service.notices.run(ra.clock.now())
        assert states(ra) == [("ready", None, "waiting")]
        ra.clock.advance(pause / 2)
    ra.service.notices.run(ra.clock.now())
    (row,) = ra.rows(notices)
    assert (row["state"], row["attempts"], row["content_sealed"]) == ("failed", len(PAUSES) + 1, None)


@pytest.mark.parametrize(("drop", "copies"), [("before", 1), ("after", 2)])
def test_a_connection_that_breaks_in_the_middle_loses_no_mail(ra, inbox, drop: str, copies: int) -> None:
    """Broken before the server took it: once. Taken, but its answer lost: twice, with one Message-ID."""
    server, _listening = inbox
    server.drop = drop
    ready(ra)
    ra.service.notices.run(ra.clock.now())
    assert states(ra) == [("ready", None, "waiting")]
    server.drop = ""
    after_a_pause(ra)
    assert states(ra) == [("ready", None, "sent")]
    assert len(server.got) == copies
    assert len({mail["Message-ID"] for mail in server.got}) == 1


def test_two_processes_send_one_mail(ra, inbox) -> None:
    """Both have read the same row; only one claims it."""
    ready(ra)
    (row,) = ra.rows(notices)
    first, second = (type("Row", (), dict(row))() for _ in range(2))
    ra.service.notices._attempt(first)
    ra.service.notices._attempt(second)
    assert len(inbox[0].got) == 1


def test_the_page_of_renewals_lists_what_ends_soon_and_starts_a_renewal(ra) -> None:
    """Soonest first; a renewal is one click away; who cannot enter sees no button."""
    certificate = issued(ra)
    browser = ra.browser(ra.entry_clerk)
    browser.get("/renewals")
    assert "No certificate ends in this time." in browser.text
    ra.clock.set(certificate["not_after"] - 20 * DAY)
    ra.extend("wang")
    ra.extend("zhao")
    turn(ra)
    browser = ra.browser(ra.entry_clerk)
    browser.get("/renewals?days=30")
    assert "in 20 days" in browser.text
    assert "30 days Sent" in browser.text
    renew = f"/certificates/pearl/{certificate['serial_hex']}/follow/renew"
    assert renew in browser.page
    assert browser.get(renew).status_code == 200
    browser.get("/renewals?days=7")
    assert "No certificate ends in this time." in browser.text
    officer = ra.browser(ra.officer, language="zh")
    officer.get("/renewals")
    assert renew not in officer.page
    assert "还有20天" in officer.text
    for cursor in ("x", "2026-11-21T00:00:00+00:00~a", "2026-11-21~a~b", "9999-99~~"):
        assert officer.get(f"/renewals?cursor={cursor}&days=x&point=%00").status_code == 200


@only_sqlite
def test_the_page_of_notices_shows_what_could_not_be_sent_within_reach(ra, inbox) -> None:
    """Another point's notices are not there; no address and no code stand on the page."""
    certificate = issued(ra)
    ra.clock.set(certificate["not_after"] - 20 * DAY)
    ra.extend("wang")
    inbox[0].to_recipient = "550 no such user"
    turn(ra)
    browser = ra.browser(ra.entry_clerk)
    browser.get("/notices?state=failed")
    assert "550 no such user" in browser.text
    assert MAIL not in browser.page
    browser.get("/notices?state=sent&cursor=x")
    assert "No notice." in browser.text
    with ra.database.transaction() as connection:
        connection.execute(notices.update().values(point="east"))
    browser.get("/notices")
    assert "No notice." in browser.text
