"""Actions of a web application: permitted with the role, refused with reasons, closed when anything fails."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from onecert.verifier import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.decision.question import Answer, Resource, Result
from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import Department, DepartmentConfig
from onecert.verifier.enforce.web import DeniedError, Guard, RequiredRoles, ServiceDecider
from onecert.verifier.enforce.web.asgi import PrivilegeMiddleware as AsgiPrivileges
from onecert.verifier.enforce.web.flask import Privileges
from onecert.verifier.enforce.web.guard import Act
from onecert.verifier.enforce.web.wsgi import GRANTED, Address, PrivilegeMiddleware
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.web.wsgi import CERTIFICATE

APPROVE = Act(action="approve", resource=Resource(type="Form", id="7"))
ADDRESSES = [
    Address(path=r"/forms/(?P<id>[0-9]+)/approve", methods=("POST",), action="approve", type="Form"),
    Address(path=r"/", methods=("GET",)),
]


@dataclass
class Says:
    """Decides what it was told to, and keeps what it was asked."""

    result: Result = Result.PERMIT
    obligations: tuple[str, ...] = ()
    error: Exception | None = None
    asked: list[Any] = field(default_factory=list)

    id, reasons = "d-1", ()

    def decide(self, certificate: Any, attribute_certificates: Any, act: Act, *, at: Any) -> Says:
        self.asked.append((certificate, attribute_certificates.certificates, act))
        if self.error is not None:
            raise self.error
        return self

    @property
    def answer(self) -> Answer:
        return Answer(result=self.result, obligations=self.obligations)

    @property
    def is_permitted(self) -> bool:
        return self.result is Result.PERMIT


@pytest.fixture
def office(make_city: Callable[..., Any], tmp_path: Any) -> Any:
    """A city, its department, and a guard whose policy is that approving needs the role of an approver."""
    city = make_city()
    path = tmp_path / "enforce.toml"
    path.write_text(city.config())
    top = read_config(path, trusted_owner=False)
    city.open = Department(DepartmentConfig.read(top), look_every=timedelta(0))
    rules = RequiredRoles(
        {"approve": {"urn:onecert:role:tax.approver"}}, prover=city.open.prover, verifier=city.open.verifier
    )
    city.open.people(city.at)
    city.guard = Guard(rules, source=city.open.folder, clock=lambda: city.at)
    city.zhang, city.li = city.person("zhang", 1), city.person("li", 2)
    return city


def test_permitted_with_the_role_and_denied_without(office: Any) -> None:
    """zhang is an approver, li a reader: permitted; denied with the reasons; revoked: denied at once."""
    serial = office.grant(office.zhang, "urn:onecert:role:tax.approver")
    office.grant(office.li, "urn:onecert:role:tax.reader")
    assert office.guard.check(office.zhang.der, APPROVE).decision.is_permitted
    with pytest.raises(DeniedError) as caught:
        office.guard.check(office.li.der, APPROVE)
    assert [reason.code for reason in caught.value.decision.reasons] == ["NO_RULE"]
    office.revoke(serial)
    with pytest.raises(DeniedError) as caught:
        office.guard.check(office.zhang.der, APPROVE)
    assert "REVOKED" in [reason.code for reason in caught.value.decision.reasons]
    with pytest.raises(RefusedError) as nobody:
        office.guard.check(None, APPROVE)
    assert nobody.value.code == "PRIVILEGE_NOBODY"


def test_a_stale_list_is_not_a_no(office: Any) -> None:
    """The authority's list has run out: could not check, which is 503 and not 403."""
    office.grant(office.zhang, "urn:onecert:role:tax.approver")
    office.publish_acrl(this_update=office.at - timedelta(hours=30), lasts=timedelta(hours=24))
    with pytest.raises(CouldNotCheckError) as caught:
        office.guard.check(office.zhang.der, APPROVE)
    assert caught.value.code == "PRIVILEGE_NOT_DECIDED"
    assert caught.value.facts["reason"] == "STATUS_UNKNOWN"


def test_presented_certificates_come_first_and_prove_only_their_holder(office: Any) -> None:
    """Somebody else's certificate proves nothing; one's own is enough without the folder; rubbish refused."""
    serial = office.grant(office.zhang, "urn:onecert:role:tax.approver")
    path = office.privileges / "certificates" / f"{serial:x}.der"
    value = base64.b64encode(path.read_bytes()).decode()
    path.unlink()
    assert office.guard.check(office.zhang.der, APPROVE, presented=[value]).decision.is_permitted
    with pytest.raises(DeniedError):
        office.guard.check(office.li.der, APPROVE, presented=[f":{value}:"])
    for rubbish, code in (
        ("%%%", "CREDENTIALS_MALFORMED"),
        ("A" * 70_000, "TOO_LARGE"),
        ("AA==," * 80, "TOO_MANY"),
    ):
        with pytest.raises(MalformedError) as caught:
            office.guard.check(office.zhang.der, APPROVE, presented=[rubbish])
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (Says(Result.DENY), "PRIVILEGE_DENIED"),
        (Says(Result.INDETERMINATE), "PRIVILEGE_DENIED"),
        (Says(Result.NOT_APPLICABLE), "PRIVILEGE_DENIED"),
        (Says(error=ZeroDivisionError()), "PRIVILEGE_NOT_DECIDED"),
        (Says(error=CouldNotCheckError("POLICY_STALE")), "POLICY_STALE"),
        (Says(obligations=("unknown",)), "PRIVILEGE_OBLIGATION"),
        (Says(obligations=("fails",)), "PRIVILEGE_OBLIGATION"),
        (Says(obligations=("breaks",)), "PRIVILEGE_OBLIGATION"),
    ],
)
def test_nothing_but_a_permit_permits(office: Any, says: Says, code: str) -> None:
    """Every other answer, an engine that breaks, an obligation that nobody fulfils: not permitted."""
    handlers = {"fails": lambda _: False, "breaks": lambda _: 1 // 0}
    guard = Guard(says, obligations=handlers, clock=lambda: office.at)
    with pytest.raises((RefusedError, CouldNotCheckError)) as caught:
        guard.check(office.zhang.der, APPROVE)
    assert caught.value.code == code


def test_obligations_are_fulfilled_or_handed_on(office: Any) -> None:
    done: list[str] = []
    says = Says(obligations=("note", "show-warning"))
    guard = Guard(says, obligations={"note": lambda each: done.append(each.id)}, clock=lambda: office.at)
    granted = guard.check(office.zhang.der, APPROVE, handles=("show-warning",))
    assert done == ["d-1"]
    assert granted.obligations == ("show-warning",)


def make_app(guard: Guard, who: Callable[[], Any], **settings: Any) -> Any:
    app = Flask(__name__)
    privileges = Privileges(guard, **settings)
    app.wsgi_app = _As(app.wsgi_app, who)  # type: ignore[method-assign]  # as Flask documents it

    @app.post("/forms/<form_id>/approve")
    @privileges.privileged("approve", resource=lambda form_id: Resource(type="Form", id=form_id))
    def approve(form_id: str) -> str:
        return f"approved {form_id} {privileges.granted.decision.id}"

    @app.post("/broken")
    @privileges.privileged("approve", resource=lambda: 1 // 0)
    def broken() -> str:
        pytest.fail("let in")

    return app.test_client()


class _As:
    """What CertificateMiddleware leaves in the environment."""

    def __init__(self, application: Any, who: Callable[[], Any]) -> None:
        self.application, self.who = application, who

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.application({**environ, CERTIFICATE: self.who()}, start_response)


def test_flask_views(office: Any) -> None:
    """The view runs, or an answer says why not: JSON, a page in the browser's language, one's own."""
    office.grant(office.zhang, "urn:onecert:role:tax.approver")
    zhang, li = (office.open.verifier.verify(each.der, at=office.at) for each in (office.zhang, office.li))
    who = [zhang]
    client = make_app(office.guard, lambda: who[0])
    assert client.post("/forms/7/approve").text.startswith("approved 7 ")
    assert client.post("/broken").status_code == 503
    who[0] = li
    answer = client.post("/forms/7/approve", headers={"Accept": "application/json", "Accept-Language": "en"})
    assert (answer.status_code, answer.json["code"]) == (403, "PRIVILEGE_DENIED")
    assert answer.json["reasons"][0]["code"] == "NO_RULE"
    page = client.post("/forms/7/approve", headers={"Accept-Language": "zh-CN"})
    assert (page.status_code, "您无权执行此操作：approve" in page.text) == (403, True)
    who[0] = None
    assert client.post("/forms/7/approve").status_code == 403
    own = make_app(office.guard, lambda: li, denied=lambda error: Flask.response_class(f"own {error.code}"))
    page = own.post("/forms/7/approve")
    assert (page.status_code, page.text) == (403, "own PRIVILEGE_DENIED")


def test_hostile_resources_are_escaped(office: Any) -> None:
    """A form id with markup reaches neither the page nor a header as such."""
    client = make_app(Guard(Says(Result.DENY), clock=lambda: office.at), lambda: office.zhang.der)
    page = client.post("/forms/<script>alert(1)</script>/approve")
    assert page.status_code in {403, 404}
    assert "<script>" not in page.text


def test_wsgi_addresses_are_closed_unless_named(office: Any) -> None:
    says = Says()
    seen: list[Any] = []

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ.get(GRANTED))
        start_response("200 OK", [])
        return [b"in"]

    application = PrivilegeMiddleware(inner, Guard(says, clock=lambda: office.at), ADDRESSES)

    def ask(method: str, path: str, **more: Any) -> str:
        told: list[str] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, CERTIFICATE: office.zhang.der, **more}
        list(application(environ, lambda status, _: told.append(status)))  # type: ignore[arg-type]  # enough of one
        return told[0][:3]

    assert ask("POST", "/forms/7/approve") == "200"
    assert says.asked[0][2].resource == Resource(type="Form", id="7")
    assert ask("GET", "/", **{GRANTED: "forged"}) == "200"
    assert seen[-1] is None
    for method, path in (
        ("GET", "/forms/7/approve"),
        ("POST", "/forms/7/approve/"),
        ("POST", "/forms/7\n/approve"),
    ):
        assert ask(method, path) == "403"
    assert ask("POST", "/forms/7/approve", HTTP_ONECERT_CREDENTIALS="%") == "400"
    says.error = CouldNotCheckError("POLICY_STALE")
    assert ask("POST", "/forms/7/approve") == "503"


def test_asgi_addresses(office: Any) -> None:
    says, sent = Says(), []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    application = AsgiPrivileges(inner, Guard(says, clock=lambda: office.at), ADDRESSES)

    def ask(path: str, kind: str = "http", **more: Any) -> Any:
        sent.clear()
        scope = {"type": kind, "method": "POST", "path": path, "headers": [(b"accept", b"application/json")]}
        asyncio.run(application({**scope, CERTIFICATE: office.zhang.der, **more}, receive, send))
        return sent

    assert ask("/forms/7/approve")[0]["status"] == 200
    says.result = Result.DENY
    denied = ask("/forms/7/approve")
    assert denied[0]["status"] == 403
    assert json.loads(denied[1]["body"])["decision_id"] == "d-1"
    assert ask("/elsewhere")[0]["status"] == 403
    assert ask("/elsewhere", "websocket")[0]["code"] == 1008


SAID = {
    "decision": "permit",
    "result": "permit",
    "reasons": [{"kind": "rule", "code": "approver-approves", "text": "rule approver-approves permits it"}],
    "obligations": ["note"],
    "decision_id": "0191",
    "roles": [],
}


def test_decisions_of_the_service(office: Any) -> None:
    """The question is the service's own form; a permit permits, a deny has its reasons."""
    asked: list[Any] = []
    said = [SAID]

    def fetch(request: FetchRequest) -> FetchAnswer:
        asked.append((request.url, json.loads(request.body or b"")))
        return FetchAnswer(data=json.dumps(said[0]).encode())

    guard = Guard(ServiceDecider("https://pmi.example/pmi/", fetch=fetch), clock=lambda: office.at)
    assert guard.check(office.zhang.der, APPROVE, handles=("note",)).decision.id == "0191"
    url, body = asked[0]
    assert url == "https://pmi.example/pmi/v1/decisions"
    assert body.keys() == {"certificate_pem", "action", "resource", "context"}
    assert body["certificate_pem"].startswith("-----BEGIN CERTIFICATE-----\n")
    said[0] = {**SAID, "decision": "deny", "result": "not_applicable"}
    with pytest.raises(DeniedError) as caught:
        guard.check(office.zhang.der, APPROVE, presented=["MAA="])
    assert caught.value.decision.reasons[0].code == "approver-approves"
    assert asked[1][1]["attribute_certificates"] == ["MAA="]


@pytest.mark.parametrize(
    "said",
    [
        {**SAID, "result": "deny"},
        {**SAID, "decision": True},
        {**SAID, "result": "PERMIT"},
        {**SAID, "obligations": None},
        {**SAID, "obligations": [1]},
        {**SAID, "reasons": [{}]},
        [SAID],
        "permit",
    ],
)
def test_other_answers_of_the_service_permit_nothing(office: Any, said: Any) -> None:
    fetch = lambda _: FetchAnswer(data=json.dumps(said).encode())  # noqa: E731  one line says it
    guard = Guard(ServiceDecider("https://pmi.example", fetch=fetch), clock=lambda: office.at)
    with pytest.raises(CouldNotCheckError) as caught:
        guard.check(office.zhang.der, APPROVE, handles=("note",))
    assert caught.value.code == "DECISION_SERVICE"
