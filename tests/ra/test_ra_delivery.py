"""One-time codes and the hand-over: who gets in, who does not, and what is on record afterwards."""

import re
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from ra_fakes import IDCARD, idcard, make_csr

from onecert.ra.applications.following import Followed
from onecert.ra.certificates.records import find_by_application
from onecert.ra.delivery.codes import ALPHABET, FETCH, Codes, shown_code, typed
from onecert.ra.delivery.handing import Recipient
from onecert.ra.delivery.tables import codes, deliveries, public_tries
from onecert.ra.errors import (
    CodeRefusedError,
    NotFoundError,
    RecipientInvalidError,
    TooManyTriesError,
    WrongStateError,
)
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Business, State
from onecert.ra.notices.tables import notices
from onecert.server.models import audit_entries
from onecert.server.operators.errors import OperatorError, SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOME = "192.0.2.7"
PERSON = Recipient("张三", "idcard", IDCARD)


@pytest.fixture
def media(ra):
    return ra.operator("qian", "clerk.media", person=idcard(110))


def wrong(code: str) -> str:
    return ("Z" if code[0] != "Z" else "Y") + code[1:]


@only_sqlite
def test_a_code_opens_its_application_and_nothing_else(ra, media) -> None:
    """The right pair is taken, also as people type it; another number, code or purpose is refused alike."""
    made, other = ra.issue(), ra.issue(ra.entry("citizen"))
    given = ra.service.delivery.give_fetch_code(media, made.id)
    opened, certificate = ra.service.delivery.open_fetch(
        made.number, f" {shown_code(given.code).lower()} ", source=HOME
    )
    assert opened.application.id == made.id == certificate.application_id
    for number, code in [
        (other.number, given.code),
        (made.number, wrong(given.code)),
        (made.number, ""),
        ("20261121-999999", given.code),
        ("", given.code),
        ("٢٠261121-000001", given.code),
    ]:
        with pytest.raises(CodeRefusedError) as caught:
            ra.service.delivery.open_fetch(number, code, source=HOME)
        assert caught.value.facts == {}
    with pytest.raises(CodeRefusedError):
        ra.service.delivery.open_key(made.number, given.code, source=HOME)


def test_the_alphabet_has_no_look_alikes_and_full_width_is_read() -> None:
    """None of 0 O 1 I L U; what a Chinese keyboard types is the same code."""
    assert len(set(ALPHABET)) == len(ALPHABET) == 30
    assert set("0O1ILU").isdisjoint(ALPHABET)
    assert typed("Ｋ７ｗｍ－３Ｐ－x r９ｔ") == "K7WM3PXR9T"


def test_five_wrong_tries_end_a_code_and_a_new_one_opens(ra, media) -> None:
    """After the fifth wrong one even the right one is refused; the clerk gives another."""
    made = ra.issue()
    given = ra.service.delivery.give_fetch_code(media, made.id)
    for _try in range(5):
        with pytest.raises(CodeRefusedError):
            ra.service.delivery.open_fetch(made.number, wrong(given.code), source=HOME)
    with pytest.raises(CodeRefusedError):
        ra.service.delivery.open_fetch(made.number, given.code, source=HOME)
    with ra.database.reading() as connection:
        assert Codes.standing(connection, made.id, FETCH).ended_why == "locked"
    again = ra.service.delivery.give_fetch_code(media, made.id)
    assert ra.service.delivery.open_fetch(made.number, again.code, source=HOME)


@only_sqlite
def test_a_code_ends_with_its_days_and_with_its_successor(ra, media) -> None:
    """A new code ends the one before; both end after the days of the setting."""
    made = ra.issue()
    first = ra.service.delivery.give_fetch_code(media, made.id)
    second = ra.service.delivery.give_fetch_code(media, made.id)
    with pytest.raises(CodeRefusedError):
        ra.service.delivery.open_fetch(made.number, first.code, source=HOME)
    assert ra.service.delivery.open_fetch(made.number, second.code, source=HOME)
    ra.clock.advance(ra.service.config.code_life)
    with pytest.raises(CodeRefusedError):
        ra.service.delivery.open_fetch(made.number, second.code, source=HOME)


def test_tries_are_limited_for_an_address_and_for_an_application(ra, media) -> None:
    """60 tries from one address, 40 for one number in a quarter of an hour; then it opens again."""
    made = ra.issue()
    given = ra.service.delivery.give_fetch_code(media, made.id)
    for number in range(60):
        with pytest.raises(CodeRefusedError):
            ra.service.delivery.open_fetch(f"20261121-9{number:05d}", "x", source=HOME)
    with pytest.raises(TooManyTriesError):
        ra.service.delivery.open_fetch(made.number, given.code, source=HOME)
    for _try in range(40):
        ra.service.delivery.open_fetch(made.number, given.code, source="198.51.100.1")
    with pytest.raises(TooManyTriesError):
        ra.service.delivery.open_fetch(made.number, given.code, source="198.51.100.2")
    ra.clock.advance(timedelta(minutes=15))
    assert ra.service.delivery.open_fetch(made.number, given.code, source=HOME)
    ra.service.tries.forget_old(ra.clock.now() + timedelta(minutes=15))
    assert ra.rows(public_tries) == []


@only_sqlite
def test_the_database_holds_no_code(ra, media) -> None:
    """Only keyed hashes; the audit trail and the life line say that a code was given, not which."""
    made = ra.issue()
    given = ra.service.delivery.give_fetch_code(media, made.id)
    [row] = ra.rows(codes)
    assert given.code not in repr(row)
    assert ra.events(made.id)[-1] == "code_given"


@only_sqlite
def test_the_hand_over_is_recorded_with_the_document_and_its_number_sealed(ra, media) -> None:
    """The number is masked in the open; name and number are sealed; the state is handed over."""
    made = ra.issue()
    done = ra.service.delivery.hand_over(media, made.id, PERSON)
    assert done.state is State.DELIVERED
    [row] = ra.rows(deliveries)
    assert (row["how"], row["operator_id"], row["document_type"]) == ("counter", "qian", "idcard")
    assert row["document_masked"] == "440300***********5"
    assert IDCARD not in repr(dict(row))
    assert "张三" not in repr(dict(row))
    assert ra.service.delivery.recipient_of(media, made.id) == PERSON
    with pytest.raises(WrongStateError):
        ra.service.delivery.hand_over(media, made.id, PERSON)


@pytest.mark.parametrize(
    "recipient",
    [
        Recipient("", "idcard", IDCARD),
        Recipient("张三", "idcard", IDCARD[:-1] + "6"),
        Recipient("张三", "licence", IDCARD),
        Recipient("张三", "passport", "<b>"),
    ],
)
@only_sqlite
def test_an_incomplete_recipient_hands_nothing_over(ra, media, recipient) -> None:
    """No name, a wrong check digit, no such document, no number: refused, still issued."""
    made = ra.issue()
    with pytest.raises(RecipientInvalidError):
        ra.service.delivery.hand_over(media, made.id, recipient)
    assert ra.load(made.id).state is State.ISSUED


@only_sqlite
def test_who_may_give_codes_and_hand_over(ra, media, monkeypatch) -> None:
    """Not the entry clerk, not another point, not before issuing, nor a reviewer by policy."""
    made = ra.issue()
    for act in (
        ra.service.delivery.give_fetch_code,
        lambda who, id_: ra.service.delivery.hand_over(who, id_, PERSON),
    ):
        with pytest.raises(OperatorError):
            act(ra.entry_clerk, made.id)
    with pytest.raises(WrongStateError):
        ra.service.delivery.give_fetch_code(media, ra.submit(ra.entry(authority="summit")).id)
    with pytest.raises(NotFoundError):
        ra.service.delivery.give_fetch_code(media, "00000000-0000-0000-0000-000000000000")
    both = ra.operator("both", "clerk.media", "clerk.review", person=idcard(111))
    theirs = ra.submit(ra.entry(authority="harbour"))
    ra.applications.approve(both, theirs.id, content_sha256=theirs.content_sha256)
    ra.dispatch.carry_out(theirs.id)
    monkeypatch.setattr(ra.service.delivery._steps, "_duties", Duties.from_settings(["make-review"]))
    with pytest.raises(SamePersonError):
        ra.service.delivery.give_fetch_code(both, theirs.id)


def test_the_applicant_fetches_downloads_and_confirms(ra, media) -> None:
    """On the public pages, without an account: four files, then the receipt; the code then has ended."""
    made = ra.issue()
    given = ra.service.delivery.give_fetch_code(media, made.id)
    visitor = ra.browser(None)
    visitor.get(f"/fetch/{made.number}")
    assert f'value="{made.number}"' in visitor.page
    form = {"number": made.number, "code": given.code}
    assert visitor.post("/fetch", {**form, "code": wrong(given.code)}).status_code == 403
    assert given.code not in visitor.page
    answer = visitor.post("/fetch", form)
    assert "深圳市示例科技有限公司" in visitor.text
    assert answer.headers["Cache-Control"] == "no-store"
    files = {
        name: visitor.post("/fetch/file", {**form, "format": name}) for name in ("pem", "chain", "der", "p7b")
    }
    own = x509.load_pem_x509_certificate(files["pem"].data)
    assert own == x509.load_der_x509_certificate(files["der"].data)
    chain = x509.load_pem_x509_certificates(files["chain"].data)
    assert chain[0] == own
    assert set(chain) == set(pkcs7.load_der_pkcs7_certificates(files["p7b"].data))
    assert visitor.post("/fetch/confirm", form).status_code == 422
    assert ra.load(made.id).state is State.ISSUED
    visitor.post("/fetch/confirm", {**form, "received": "yes"})
    assert "on record" in visitor.text
    assert ra.load(made.id).state is State.DELIVERED
    assert ra.rows(deliveries)[0]["how"] == "fetched"
    assert visitor.post("/fetch", form).status_code == 403


@only_sqlite
def test_confirming_a_replaced_certificate_tells_the_authority(ra, media) -> None:
    """A change is fetched with the code: the old one is revoked with the receipt, as at the counter."""
    first = ra.issue()
    with ra.database.reading() as connection:
        old = find_by_application(connection, first.id)
    followed = Followed(
        business=Business.CHANGE,
        authority=old.authority,
        serial_hex=old.serial_hex,
        reason="affiliationChanged",
    )
    entry = ra.entry(organization_name="深圳市示例技术有限公司", csr=make_csr())
    draft = ra.applications.follow(ra.entry_clerk, followed, entry, request_key="c")
    approved = ra.approve(ra.applications.submit(ra.entry_clerk, draft.id))
    second = ra.dispatch.carry_out(approved.id)
    given = ra.service.delivery.give_fetch_code(media, second.id)
    opened, _certificate = ra.service.delivery.open_fetch(second.number, given.code, source=HOME)
    done = ra.service.delivery.confirm(opened)
    ra.dispatch.tell_delivery(done.order_id)
    assert ra.ca.status["pearl", old.serial_hex]["status"] == "revoked"
    assert ra.service.delivery.confirm(opened).state is State.DELIVERED


@only_sqlite
def test_the_clerks_pages_show_a_code_once_and_keep_what_was_typed(ra, media) -> None:
    """The code is on the page that made it and on no other; a refused recipient comes back filled in."""
    made = ra.issue()
    clerk = ra.browser(media)
    clerk.get(f"/applications/{made.id}/hand-over")
    clerk.post(f"/applications/{made.id}/code", {"purpose": "fetch"})
    shown = re.search(r'code-shown mono">([2-9A-Z-]{12})<', clerk.page)[1]
    assert ra.service.delivery.open_fetch(made.number, shown, source=HOME)
    clerk.get(f"/applications/{made.id}/hand-over")
    assert shown not in clerk.page
    form = {"name": "张三", "document_type": "idcard", "document_number": "1"}
    assert clerk.post(f"/applications/{made.id}/hand-over", form).status_code == 422
    assert 'value="张三"' in clerk.page
    clerk.post(f"/applications/{made.id}/hand-over", {**form, "document_number": IDCARD})
    assert ra.load(made.id).state is State.DELIVERED


@only_sqlite
def test_a_code_is_mailed_to_the_agent_when_the_box_is_ticked(ra, media, caplog) -> None:
    """Ticked where there is an address; the mail's code opens the page it names; the code is nowhere else."""
    made = ra.issue(ra.entry(email="agent@example.com"))
    clerk = ra.browser(media)
    clerk.get(f"/applications/{made.id}/hand-over")
    assert re.search(r'name="mail"[^>]* checked', clerk.page)
    clerk.post(f"/applications/{made.id}/code", {"purpose": "fetch", "mail": "yes"})
    assert "A mail with this code goes to agent@example.com" in clerk.text
    shown = re.search(r"code-shown mono\">([^<]+)<", clerk.page)[1]
    assert shown not in str([dict(row) for row in ra.rows(notices)])
    ra.service.notices.run(ra.clock.now())
    ra.service.notices.run(ra.clock.now())
    (file,) = (ra.context.data / "outbox").glob("*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    said = mail.get_content()
    assert mail["To"] == "agent@example.com"
    assert f"/fetch/{made.number}" in said
    found = re.search(r"One-time code: (\S+)", said)[1]
    assert found == shown
    assert ra.service.delivery.open_fetch(made.number, found, source=HOME)
    for code in (shown, typed(shown)):
        assert code not in caplog.text
        assert code not in str([dict(row) for row in ra.rows(audit_entries)])


@only_sqlite
def test_no_mail_without_the_box_or_without_an_address(ra, media) -> None:
    """No box without an address; a form that ticks it all the same gives the code and says so."""
    with_address, without = ra.issue(ra.entry(email="a@example.com")), ra.issue(ra.entry("citizen", email=""))
    clerk = ra.browser(media)
    clerk.get(f"/applications/{without.id}/hand-over")
    assert 'name="mail"' not in clerk.page
    clerk.post(f"/applications/{without.id}/code", {"purpose": "fetch", "mail": "yes"})
    assert "No mail was sent" in clerk.text
    assert "code-shown" in clerk.page
    clerk.get(f"/applications/{with_address.id}/hand-over")
    clerk.post(f"/applications/{with_address.id}/code", {"purpose": "fetch"})
    assert "code-shown" in clerk.page
    assert ra.rows(notices) == []
