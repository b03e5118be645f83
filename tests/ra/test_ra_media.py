"""Tokens at the counter: stock, keys that are brought, and the program with a real SoftHSM token."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ra_browser import BASE
from ra_fakes import idcard, make_csr
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from onecert.hsm import AlgorithmNotSupportedError, HolderTokens, KeyAlgorithm, PinError
from onecert.ra.certificates.records import find_by_application
from onecert.ra.counter import cli
from onecert.ra.counter.desk import Desk, DeskError, Pass, new_pin
from onecert.ra.counter.registration import Registration, RegistrationError
from onecert.ra.counter.work import Counter
from onecert.ra.errors import (
    CounterCodeError,
    InvalidApplicationError,
    KeyRepeatedError,
    MediumRefusedError,
    WrongStateError,
)
from onecert.ra.keys.origins import find_origin
from onecert.ra.keys.tables import key_origins
from onecert.ra.life.machine import Business, State
from onecert.ra.media.queue import waiting
from onecert.ra.media.stock import Stock
from onecert.ra.operators.scopes import EVERYWHERE
from onecert.ra.papers.fonts import DEFAULT_FONT
from onecert.server.operators.errors import OperatorError, SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def media(ra):
    return ra.operator("qian", "clerk.media", person=idcard(110))


def draft(ra, **changes):
    return ra.create(ra.entry(csr="", **changes))


# --- stock ----------------------------------------------------------------------------------------


def test_tokens_are_received_used_and_put_aside(ra, media) -> None:
    """Each by its number, once; the counts follow; a spoiled one is used no more."""
    stock = ra.service.stock
    assert stock.receive(media, ["ab 12", "AB13", "ab13"], kind="USB key", point=None) == 2
    assert stock.receive(media, ["AB12"], kind="USB key", point=None) == 0
    made = draft(ra)
    ra.service.key_making.bring(media, made.id, make_csr(), token_number="ab12")
    stock.put_aside(media, "AB13", event="spoiled", note="断针")
    with ra.database.reading() as connection:
        assert Stock.counts(connection, EVERYWHERE) == {
            "main": {"stock": 0, "used": 1, "spoiled": 1, "returned": 0}
        }
        medium, events = Stock.find(connection, EVERYWHERE, "AB12")
    assert (medium.state, medium.application_id) == ("used", made.id)
    assert [event.event for event in events] == ["received", "key"]
    other = draft(ra, organization_name="深圳市另一公司")
    for token, code in (("AB13", "MEDIUM_SPOILED"), ("AB12", "MEDIUM_IN_USE"), ("!", "MEDIUM_NUMBER")):
        with pytest.raises(MediumRefusedError) as caught:
            ra.service.key_making.bring(media, other.id, make_csr(), token_number=token)
        assert caught.value.code == code
    with pytest.raises(OperatorError):
        stock.receive(ra.entry_clerk, ["AB99"], kind="USB key", point=None)


def test_a_key_is_brought_once_and_becomes_what_is_reviewed(ra, media) -> None:
    """The draft gets the request; the same again changes nothing; submitted and issued it names the token."""
    made = draft(ra)
    with ra.database.reading() as connection:
        assert [each.id for each in waiting(connection, EVERYWHERE).for_key] == [made.id]
    csr = make_csr()
    first = ra.service.key_making.bring(media, made.id, csr, token_number="AB12")
    assert ra.service.key_making.bring(media, made.id, csr, token_number="AB12") == first
    assert ra.events(made.id).count("key_brought") == 1
    submitted = ra.applications.submit(ra.entry_clerk, made.id)
    with pytest.raises(WrongStateError):
        ra.service.key_making.bring(media, made.id, make_csr(), token_number="AB12")
    issued = ra.dispatch.carry_out(ra.approve(submitted).id)
    with ra.database.reading() as connection:
        assert find_by_application(connection, issued.id).token_number == "AB12"
        assert [(each.id, token) for each, token in waiting(connection, EVERYWHERE).to_write] == [
            (issued.id, "AB12")
        ]
    with pytest.raises(MediumRefusedError):
        ra.service.stock.written(media, issued.id, "AB13")
    ra.service.stock.written(media, issued.id, "AB12")
    with ra.database.reading() as connection:
        lists = waiting(connection, EVERYWHERE)
    assert not lists.to_write
    assert [each.id for each in lists.to_hand_over] == [issued.id]


@only_sqlite
def test_a_request_that_the_form_would_refuse_is_refused_here(ra, media) -> None:
    """No request, a key of another application, a clerk of another duty: nothing is kept."""
    taken = make_csr()
    ra.submit(ra.entry(authority="summit", csr=taken))
    made = draft(ra)
    with pytest.raises(InvalidApplicationError):
        ra.service.key_making.bring(media, made.id, "rubbish", token_number="AB12")
    with pytest.raises(KeyRepeatedError):
        ra.service.key_making.bring(media, made.id, taken, token_number="AB12")
    with pytest.raises(OperatorError):
        ra.service.key_making.bring(ra.reviewer, made.id, make_csr(), token_number="AB12")
    assert ra.load(made.id).key_sha256 is None
    assert ra.rows(key_origins) == []


@only_sqlite
def test_who_brought_the_key_does_not_review_it(ra) -> None:
    """One account with both roles brings the key of a colleague's draft, and must not approve it."""
    both = ra.operator("both", "clerk.media", "clerk.review", person=idcard(111))
    made = draft(ra)
    ra.service.key_making.bring(both, made.id, make_csr(), token_number="AB12")
    submitted = ra.applications.submit(ra.entry_clerk, made.id)
    with pytest.raises(SamePersonError):
        ra.applications.approve(both, made.id, content_sha256=submitted.content_sha256)
    assert ra.approve(submitted).state is State.APPROVED


@only_sqlite
def test_a_typed_request_takes_the_place_of_the_tokens(ra, media) -> None:
    """The entry clerk saves another request: the certificate is not said to be on the token."""
    made = draft(ra)
    brought = ra.service.key_making.bring(media, made.id, make_csr(), token_number="AB12")
    saved = ra.applications.save(ra.entry_clerk, made.id, ra.entry(), revision=brought.revision)
    with ra.database.reading() as connection:
        assert find_origin(connection, made.id, saved.key_sha256) is None


# --- the program ----------------------------------------------------------------------------------


def _nobody(_environ, _start_response):
    raise AssertionError("outside of the registration")


class AtDesk:
    """The counter's PC: its tokens, its notes, and the registration over WSGI."""

    def __init__(self, ra, folder: Path, store: Path) -> None:
        self.ra = ra
        self.desk = Desk(folder / "desk")
        self.tokens = HolderTokens(notes=folder / "notes", store=store)
        self.http = httpx.Client(
            transport=httpx.WSGITransport(app=DispatcherMiddleware(_nobody, {"/ra": ra.app})),
            base_url=BASE + "/",
        )

    def sign_in(self, operator) -> Counter:
        code, _until = self.ra.service.passes.give_code(operator)
        told = Registration(self.http).exchange(f"{code[:4]}-{code[4:].lower()}")
        self.desk.keep_pass(Pass(BASE, told["pass"], told["until"], told["operator"]))
        return self.counter()

    def counter(self) -> Counter:
        return Counter(self.tokens, self.desk, Registration(self.http, self.desk.the_pass().given))


@pytest.fixture
def pc(ra, tmp_path: Path, softhsm_store: Path) -> Iterator[AtDesk]:
    made = AtDesk(ra, tmp_path, softhsm_store)
    yield made
    made.http.close()


@only_sqlite
def test_from_an_empty_token_to_one_in_the_holders_hand(ra, media, pc, tmp_path: Path) -> None:
    """make → review → write → check → PIN letter; each step again changes nothing."""
    counter, made = pc.sign_in(media), draft(ra)
    first = counter.make(made.number)
    assert first.is_new_key
    assert not counter.make(made.number).is_new_key
    csr = x509.load_pem_x509_csr(first.csr_pem.encode())
    done = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-subject"],
        input=first.csr_pem,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "深圳" in csr.subject.rfc4514_string()
    assert "verify OK" in done.stdout + done.stderr
    with pytest.raises(RegistrationError) as caught:
        counter.write(made.number)
    assert caught.value.code == "MEDIUM_NOT_ISSUED"
    ra.dispatch.carry_out(ra.approve(ra.applications.submit(ra.entry_clerk, made.id)).id)
    for _again in range(2):
        token = counter.write(made.number)
    assert token.serial == first.token.serial
    with ra.database.reading() as connection:
        record = find_by_application(connection, made.id)
    assert record.token_number == token.serial.upper()
    assert f"{counter.check(made.number).serial_number:x}" == record.serial_hex
    assert ra.events(made.id).count("key_brought") == 1
    pin = pc.desk.pin(token.serial)
    assert re.fullmatch(r"[0-9]{8}", pin)
    files = [path for path in (tmp_path / "desk").rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    pc.desk.forget_pin(token.serial)
    with pytest.raises(DeskError):
        counter.check(made.number)
    assert pin not in "".join(path.read_text() for path in files if path.exists())


@only_sqlite
def test_it_goes_on_after_a_break_and_makes_no_second_key(ra, media, pc, monkeypatch) -> None:
    """The line is cut when the request is sent; the same command again sends the same key's request."""
    counter, made = pc.sign_in(media), draft(ra)
    ask = Registration.bring
    monkeypatch.setattr(Registration, "bring", lambda *_a, **_k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        counter.make(made.number)
    monkeypatch.setattr(Registration, "bring", ask)
    done = counter.make(made.number)
    assert not done.is_new_key
    key = x509.load_pem_x509_csr(done.csr_pem.encode()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pc.tokens.open(done.token.serial, pc.desk.pin(done.token.serial)) as token:
        mine = token.load_key(made.number).public_key()
        assert mine.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
        assert token.key_labels() == [made.number]


@only_sqlite
def test_another_key_takes_the_place_of_the_first_once_it_is_there(ra, media, pc) -> None:
    """SM2, which the token cannot make, leaves the first key alone; P-256 replaces it, also in the draft."""
    counter, made = pc.sign_in(media), draft(ra)
    first = counter.make(made.number)
    with pytest.raises(AlgorithmNotSupportedError):
        counter.make(made.number, algorithm=KeyAlgorithm.SM2, again=True)
    assert counter.make(made.number).application.key_sha256 == first.application.key_sha256
    second = counter.make(made.number, again=True)
    assert second.token.serial == first.token.serial
    assert second.application.key_sha256 != first.application.key_sha256
    assert counter.make(made.number).application.key_sha256 == second.application.key_sha256
    with pc.tokens.open(second.token.serial, pc.desk.pin(second.token.serial)) as token:
        assert token.key_labels() == [f"{made.number} (2)"]


@only_sqlite
def test_a_token_that_is_not_empty_is_not_erased_unasked(ra, media, pc) -> None:
    """Named for another application it is refused; with `erase` it is made ready anew."""
    counter, made, other = pc.sign_in(media), draft(ra), draft(ra, organization_name="深圳市另一公司")
    first = counter.make(made.number)
    assert counter.needs_erasing(other.number, first.token.serial) == first.token
    assert counter.needs_erasing(made.number, None) is None
    with pytest.raises(DeskError) as caught:
        counter.make(other.number, serial=first.token.serial)
    assert caught.value.code == "TOKEN_NOT_EMPTY"
    ra.applications.withdraw(ra.entry_clerk, ra.applications.submit(ra.entry_clerk, made.id).id)
    again = counter.make(other.number, serial=first.token.serial, erase=True)
    with pc.tokens.open(again.token.serial, pc.desk.pin(again.token.serial)) as token:
        assert token.key_labels() == [other.number]


def test_unlocking_gives_a_new_pin_and_closes_the_case(ra, media, pc) -> None:
    """Not before it is approved; the key stays; the case is done; the old PIN opens nothing."""
    counter, made = pc.sign_in(media), draft(ra)
    first = counter.make(made.number)
    ra.dispatch.carry_out(ra.approve(ra.applications.submit(ra.entry_clerk, made.id)).id)
    token = counter.write(made.number)
    before = pc.desk.pin(token.serial)
    pc.desk.forget_pin(token.serial)
    with ra.database.reading() as connection:
        record = find_by_application(connection, made.id)
    case = ra.service.cases.open(
        ra.entry_clerk, Business.UNLOCK, record.authority, record.serial_hex, note="忘记口令", request_key="u"
    )
    with pytest.raises(DeskError) as caught:
        counter.unlock(case.number)
    assert caught.value.code == "UNLOCK_NOT_APPROVED"
    ra.service.cases.approve(ra.reviewer, case.id, content_sha256=case.content_sha256)
    assert counter.unlock(case.number).serial == first.token.serial
    assert counter.check(made.number).serial_number == int(record.serial_hex, 16)
    assert ra.service.reach.case(media, case.id).state is State.DONE
    with pytest.raises(PinError):
        pc.tokens.open(token.serial, before)


@only_sqlite
def test_a_pass_is_one_clerks_for_a_day_and_for_the_counter_alone(ra, media, pc) -> None:
    """A code is good once; a pass opens nothing but the counter; it ends with sign-out and with the day."""
    code, _until = ra.service.passes.give_code(media)
    given = Registration(pc.http).exchange(code)["pass"]
    with pytest.raises(RegistrationError):
        Registration(pc.http).exchange(code)
    bearer = {"Authorization": f"Bearer {given}"}
    made = draft(ra)
    assert pc.http.get(f"v1/counter/applications/{made.number}", headers=bearer).status_code == 200
    assert pc.http.get("v1/applications", headers=bearer).status_code == 401
    for header in ({}, {"Authorization": "Bearer x"}):
        assert pc.http.get(f"v1/counter/applications/{made.number}", headers=header).status_code == 401
    with pytest.raises(OperatorError):
        ra.service.passes.give_code(ra.entry_clerk)
    Registration(pc.http, given).sign_out()
    with pytest.raises(CounterCodeError):
        ra.service.passes.operator(given)
    again = Registration(pc.http).exchange(ra.service.passes.give_code(media)[0])["pass"]
    ra.clock.advance(datetime(2026, 1, 2, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(CounterCodeError):
        ra.service.passes.operator(again)


@only_sqlite
def test_the_command_says_what_it_would_destroy_and_writes_the_letter(
    ra, media, pc, tmp_path, monkeypatch
) -> None:
    """Through the command line: make, a dry run before a second key, the letter; the PIN is forgotten."""
    pc.sign_in(media)
    made = draft(ra)
    monkeypatch.setattr(cli._Place, "http", lambda *_a: pc.http)
    given = pc.desk.the_pass()
    pc.desk.keep_pass(Pass(given.ra, given.given, "9999-01-01T00:00:00+00:00", given.operator))
    places = ["--home", str(tmp_path / "desk"), "--softhsm", str(pc.tokens._store)]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(
            cli.counter, [arguments[0], *places, *arguments[1:]], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout

    serial = run("make", made.number).strip()
    assert made.number in run("make", made.number, "--again")
    assert ra.events(made.id).count("key_brought") == 1
    assert serial in {row["token_number"] for row in json.loads(run("tokens", "--json"))}
    letter = tmp_path / "letter.pdf"
    run("pin-letter", made.number, "--out", str(letter), "--font", str(DEFAULT_FONT))
    assert letter.read_bytes().startswith(b"%PDF")
    assert letter.stat().st_mode & 0o077 == 0
    assert pc.desk.pin(serial) is None


def test_the_program_stands_apart_from_the_service() -> None:
    """What runs at the counter knows neither the web framework nor the service behind the pages."""
    code = (
        "import sys, onecert.ra.counter.cli;"
        "sys.exit(sum(name.split('.')[0] == 'flask' or name == 'onecert.ra.service' for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_random_pins_are_no_runs() -> None:
    """Eight digits that a token takes, never one of those that everybody tries."""
    assert all(len(set(new_pin())) > 4 for _draw in range(200))


# --- the pages ------------------------------------------------------------------------------------


@only_sqlite
def test_the_media_page_receives_shows_and_gives_a_code(ra, media) -> None:
    """Numbers are received; a wrong one comes back with all that was typed; the code is shown."""
    clerk = ra.browser(media)
    clerk.get("/media")
    assert clerk.post("/media/receive", {"numbers": "AB12\n??", "kind": "USB key"}).status_code == 422
    assert "AB12" in clerk.page
    clerk.post("/media/receive", {"numbers": "AB12\r\nAB13\r\n", "kind": "USB key"})
    assert "2 tokens are received" in clerk.text
    clerk.get("/media?token=ab12")
    clerk.post("/media/aside", {"token": "AB12", "event": "spoiled", "note": "断针"})
    assert "断针" in clerk.text
    clerk.get("/media")
    clerk.post("/media/code")
    code = re.search(r'code-shown mono">([2-9A-Z-]{12})<', clerk.page)[1]
    assert ra.service.passes.exchange(code, source="192.0.2.1")
