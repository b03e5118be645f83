"""What the CA issues reaches the supervision's record, and from there the department.

harbour (CA) -> report -> supervision -> record -> department; a thief has harbour's keys.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ca_ceremonies import hold, rekeyed_file
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from werkzeug.test import Client

from onecert.ca.errors.reports import (
    NotReportingError,
    ReportRefusedError,
    SupervisionAwayError,
    UnreportedError,
)
from onecert.ca.reports.issuance_reports import KEY_LABEL, REPORT_TYP, IssuanceReports
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.verifier import CouldNotCheckError, Verifier, VerifyError, open_verifier
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.strict_json import format_time

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def supervision_conftest() -> Any:
    """The fixtures' module of the supervision's tests, which builds one."""
    name = "supervision_world"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "supervision" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Line(httpx.BaseTransport):
    """The way to the supervision, which may break before the request or before the answer."""

    def __init__(self, app: Any) -> None:
        self.inner = httpx.WSGITransport(app=app, raise_app_exceptions=False)
        self.is_away = False
        self.loses_answers = False
        self.instead: httpx.Response | None = None
        self.posts = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("away")
        if self.instead is not None:
            return self.instead
        self.posts += 1
        answer = self.inner.handle_request(request)
        answer.read()
        if self.loses_answers:
            raise httpx.ReadTimeout("lost")
        return answer


class City:
    """harbour's CA, a supervision whose list obliges it to report, and a department."""

    def __init__(self, ca: Any, folder: Path, make: Callable[[str], Any]) -> None:
        from onecert.supervision.app import create_app  # noqa: PLC0415 - after the conftest
        from onecert.supervision.member import member  # noqa: PLC0415 - as above

        self.ca, self.folder = ca, folder
        authority = ca.parts.authorities.get("harbour")
        self.supervision = make(f"sqlite:///{folder}/supervision.db")
        self.supervision.certificates["harbour"] = authority.certificate_pem
        self.line = Line(create_app(member, self.supervision.context, self.supervision.supervision))
        self.publish()
        self.reports = self.make_reports()
        self.the.issuance_reports.add_reporter("harbour", self.reports.public_key_pem(), actor="test")
        assert ca.service
        # The service's own: responder and timestamp authority.
        self.own = self.reports.run()
        self.line.posts = 0
        self.department = self.make_department()

    @property
    def the(self) -> Any:
        return self.supervision.supervision

    def make_reports(self, **services: str) -> IssuanceReports:
        return IssuanceReports(
            self.ca.parts.database,
            self.ca.parts.audit,
            self.ca.clock,
            token=self.ca.token,
            services=services or {"harbour": "harbour"},
            client=lambda: httpx.Client(transport=self.line, base_url="https://127.0.0.1:8443"),
            alarm_after=timedelta(hours=1),
            joined=self.ca.parts.authorities.line,
        )

    def publish(self) -> None:
        from onecert.supervision.draft import parse_draft  # noqa: PLC0415 - as above

        content = self.supervision.draft_json()
        service = next(each for each in content["services"] if each["id"] == "harbour")
        service["issuance_log"] = True
        service["supply_points"]["crl"] = [self.ca.parts.authorities.get("harbour").issuer.crl_url]
        self.supervision.officers()
        self.supervision.editor.import_draft(parse_draft(content), actor="test")
        self.supervision.publish()
        self.the.release(actor="test")

    def release(self) -> None:
        self.the.release(actor="test")
        self.the.issuance_records.release(actor="test")

    def advance(self, by: timedelta) -> None:
        self.ca.clock.advance(by)
        self.supervision.clock.advance(by)
        self.release()

    def make_department(self) -> Verifier:
        folder = self.folder / "department"
        folder.mkdir(exist_ok=True)
        (folder / "trust-root.json").write_bytes((self.the.published / "trust-root.json").read_bytes())
        return open_verifier(
            folder,
            trust_list="http://127.0.0.1:8080/supervision/trust-list.json",
            application="tax",
            fetch=self.fetch,
        )

    def fetch(self, request: FetchRequest) -> FetchAnswer:
        from onecert.supervision.status import StatusApp  # noqa: PLC0415 - as above

        service, _, path = request.url.removeprefix("http://127.0.0.1:8080/").partition("/")
        ca, supervision = self.ca.service.status, StatusApp(self.the.published, max_age=MINUTE)
        answer = Client({"ca": ca, "supervision": supervision}[service]).get(f"/{path}")
        if answer.status_code != 200:
            raise CouldNotCheckError("FETCH_STATUS", url=request.url, status=answer.status_code)
        return FetchAnswer(data=answer.data)

    def verdict(self, der: bytes) -> str:
        """What the department says: the code, or whose word the time of issue is."""
        try:
            return str(self.department.verify(der, at=self.ca.clock.now()).as_dict()["issue_time"])
        except VerifyError as exc:
            return exc.code

    def issue(self) -> bytes:
        der: bytes = self.ca.issue().record.certificate_der
        return der

    def steal(self, honest_der: bytes, not_before: datetime) -> bytes:
        """A certificate like an honest one, made with the CA's key, and backdated."""
        honest = x509.load_der_x509_certificate(honest_der)
        builder = x509.CertificateBuilder(
            issuer_name=honest.issuer,
            subject_name=honest.subject,
            public_key=honest.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=not_before,
            not_valid_after=honest.not_valid_after_utc,
        )
        for extension in honest.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        authority = self.ca.parts.authorities.get("harbour")
        made = builder.sign(self.ca.token.key(authority.key_label), hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)

    def entries(self) -> int:
        found: int = self.the.issuance_reports.reporters()[0].entries
        return found - self.own

    def reported(self) -> int:
        return self.reports.standing()[0].reported - self.own


@pytest.fixture
def city(lite: Any, tmp_path: Path) -> Iterator[City]:
    conftest = supervision_conftest()
    databases: list[Database] = []

    def make(url: str) -> Any:
        made = conftest.build_world(tmp_path, url)
        databases.append(made.context.database)
        return made

    yield City(lite, tmp_path, make)
    for database in databases:
        database.close()


def test_issued_reported_published_accepted(city: City) -> None:
    der = city.issue()
    city.release()
    assert city.verdict(der) == "CA_ISSUE_NOT_ON_RECORD"
    assert city.reports.run() == 1
    assert city.reports.run() == 0
    city.release()
    city.advance(MINUTE)
    assert city.verdict(der) == "recorded"
    assert (city.entries(), city.line.posts) == (1, 1)
    assert (city.reported(), city.reports.standing()[0].oldest_unreported) == (1, None)


def test_a_department_that_cannot_ask(city: City) -> None:
    """Not on record is a no; a record that cannot be had is no answer at all."""
    der = city.issue()
    city.reports.run()
    assert city.verdict(der) == "ISSUANCE_RECORD_MISSING"
    city.release()
    city.advance(MINUTE)
    assert city.verdict(der) == "recorded"
    city.department = city.make_department()
    (city.the.published / "issuance-record.json").unlink()
    assert city.verdict(der) == "recorded", "from the copy, until it is over"


def test_a_thief_after_the_withdrawal(city: City) -> None:
    """Backdated, unreported: refused. Reported by the thief, as of ten days ago: counts from now on."""
    from onecert.verifier.trust_list import Status, StatusEntry  # noqa: PLC0415 - one test needs it

    honest = city.issue()
    city.reports.run()
    city.advance(30 * MINUTE)
    withdrawn = StatusEntry(status=Status.WITHDRAWN, start=T + 10 * MINUTE, existing_until=T + 30 * DAY)
    city.supervision.editor.add_status("harbour", withdrawn, actor="test")
    city.supervision.publish()
    city.advance(MINUTE)
    assert city.verdict(honest) == "recorded"
    stolen = city.steal(honest, T - 10 * DAY)
    assert city.verdict(stolen) == "CA_ISSUE_NOT_ON_RECORD"
    row = {
        "sha256": hashlib.sha256(stolen).hexdigest(),
        "serial": "7",
        "issued_at": format_time(T - 10 * DAY),
    }
    payload = {"service": "harbour", "certificates": [row]}
    city.the.issuance_reports.take(
        sign_document(payload, typ=REPORT_TYP, keys=[city.ca.token.key(KEY_LABEL)])
    )
    city.advance(MINUTE)
    assert city.verdict(stolen) == "CA_NOT_GRANTED_AT_ISSUE"
    assert city.verdict(honest) == "recorded"


def test_the_supervision_is_away(city: City) -> None:
    """Issuing goes on; nothing is lost, and the age of what waits is known."""
    city.line.is_away = True
    ders = [city.issue() for _ in range(3)]
    with pytest.raises(SupervisionAwayError):
        city.reports.run()
    assert city.reports.standing()[0].oldest_unreported == T
    city.advance(59 * MINUTE)
    city.reports.check()
    city.advance(2 * MINUTE)
    with pytest.raises(UnreportedError):
        city.reports.check()
    city.line.is_away = False
    assert city.make_reports().run() == 3
    city.reports.check()
    city.advance(MINUTE)
    assert [city.verdict(der) for der in ders] == ["recorded"] * 3


def test_the_answer_is_lost(city: City) -> None:
    """The supervision has it, the CA does not know: it reports again, and that changes nothing."""
    der = city.issue()
    city.line.loses_answers = True
    for _ in range(2):
        with pytest.raises(SupervisionAwayError):
            city.reports.run()
    assert (city.entries(), city.reported()) == (1, 0)
    city.line.loses_answers = False
    city.issue()
    assert city.reports.run() == 2
    assert city.entries() == 2
    city.advance(MINUTE)
    assert city.verdict(der) == "recorded"


def test_in_order_and_in_batches(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecert.ca.reports.issuance_reports._CERTIFICATES_MAX", 2)
    monkeypatch.setattr("onecert.ca.reports.issuance_reports._ENTRIES_MAX", 4)
    for _ in range(5):
        city.issue()
        city.ca.clock.advance(timedelta(seconds=1))
    assert city.reports.run() == 5
    assert (city.entries(), city.line.posts) == (5, 3)
    city.reports.begin_again("harbour", actor="test")
    assert city.reports.run() == 5 + city.own
    assert city.entries() == 5
    with pytest.raises(NotReportingError):
        city.reports.begin_again("summit", actor="test")


def test_a_key_that_is_not_registered(city: City) -> None:
    city.the.issuance_reports.remove_reporter("harbour", actor="test")
    city.issue()
    with pytest.raises(ReportRefusedError) as caught:
        city.reports.run()
    assert caught.value.facts["said"] == "ISSUANCE_REPORT_SIGNATURE"
    city.the.issuance_reports.add_reporter("harbour", city.reports.public_key_pem(), actor="test")
    assert city.reports.run() == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={}),
        httpx.Response(200, json=[1]),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"service": "harbour", "new": 0, "known": 0}),
        httpx.Response(200, json={"service": "harbour", "new": "1", "known": None}),
        httpx.Response(200, json={"service": "summit", "new": 1, "known": 0}),
        httpx.Response(503, json={"code": "DATABASE_UNAVAILABLE"}),
        httpx.Response(302, headers={"Location": "/"}),
    ],
)
def test_no_acknowledgement(city: City, answer: httpx.Response) -> None:
    city.issue()
    city.line.instead = answer
    with pytest.raises((SupervisionAwayError, ReportRefusedError)):
        city.reports.run()
    city.line.instead = None
    assert city.reports.run() == 1


def test_one_authority_that_fails_does_not_stop_the_other(city: City) -> None:
    city.issue()
    with pytest.raises(ReportRefusedError):
        city.make_reports(**{"harbour-root": "moon", "harbour": "harbour"}).run()
    assert city.entries() == 1


def test_a_re_keyed_authority_goes_on_reporting(city: City) -> None:
    """harbour gets a new key: from the first order that it fills, its certificates are on the record, too."""
    city.issue()
    hold(city.ca, rekeyed_file(orders_from="2026-12-01T00:00:00+08:00"))
    city.reports.run()  # what the old one issued, and the responder of the new one
    city.advance(11 * DAY)
    known = city.entries()
    assert city.ca.issue().record.authority == "harbour-b"
    old, new = city.reports.standing()
    assert (old.authority, old.service, new.authority, new.service) == (
        "harbour", "harbour", "harbour-b", "harbour"
    )  # fmt: skip
    assert new.oldest_unreported is not None
    assert city.reports.run() >= 1
    assert city.entries() > known
    assert [each.oldest_unreported for each in city.reports.standing()] == [None, None]
    assert city.reports.run() == 0
    # All of it once more: the supervision knows each already.
    known = city.entries()
    city.reports.begin_again("harbour-b", actor="test")
    assert city.reports.run() >= 1
    assert city.entries() == known


def test_a_service_of_its_own_is_named_in_the_settings(city: City) -> None:
    hold(city.ca, rekeyed_file(orders_from="2026-12-01T00:00:00+08:00"))
    reports = city.make_reports(**{"harbour": "harbour", "harbour-b": "harbour-2027"})
    assert reports.services() == {"harbour": "harbour", "harbour-b": "harbour-2027"}


def test_nothing_is_reported_unless_the_settings_say_so(lite: Any) -> None:
    lite.issue()
    jobs = {job.name: job for job in lite.service.jobs}
    jobs["ca.reports"].run(T)
    lite.service.checks["reports"]()


def test_on_both_engines(world: Any) -> None:
    """The trail is read in the order of the commits; authorities have cursors of their own."""
    posted: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        certificates = decode_payload(request.content)["certificates"]
        posted.append(len(certificates))
        return httpx.Response(200, json={"service": "harbour", "new": len(certificates), "known": 0})

    reports = IssuanceReports(
        world.parts.database,
        world.parts.audit,
        world.clock,
        token=world.token,
        services={"harbour": "harbour"},
        client=lambda: httpx.Client(transport=httpx.MockTransport(handle), base_url="https://127.0.0.1/"),
        alarm_after=timedelta(hours=1),
    )
    assert reports.run() == sum(posted)
    own = sum(posted)
    for _ in range(3):
        world.issue()
    assert reports.standing()[0].oldest_unreported == T
    assert reports.run() == 3
    assert reports.run() == 0
    assert (posted[-1], reports.standing()[0].reported) == (3, own + 3)
    reports.begin_again("harbour", actor="test")
    assert reports.run() == own + 3


def decode_payload(document: bytes) -> Any:
    payload = json.loads(document)["payload"]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
