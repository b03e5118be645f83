"""The HTTP service: verdicts, wrong requests, who may ask, what an operator watches."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import (
    ChallengeSigner,
    RevocationEvidence,
    Verifier,
    load_trust_list,
    verify_server_challenge,
)
from onecert.verifier.cli import main
from onecert.verifier.service import create_service
from onecert.verifier.service.openapi import describe
from onecert.verifier.signed_form import EvidenceTrust

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRM_ID = "uscc:91440300MA5DEM004J"
TOKEN = "t" * 32


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Client:
    """A program that speaks WSGI, so that no network is needed."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", **environ: Any) -> tuple[int, Any]:
        said: list[Any] = []
        request = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            **environ,
        }
        data = b"".join(self.application(request, lambda status, headers: said.extend((status, headers))))
        self.headers = dict(said[1])
        is_json = "json" in self.headers["Content-Type"]
        return int(said[0].split()[0]), json.loads(data) if is_json and data else data.decode()

    def post(self, path: str, body: Any, **environ: Any) -> tuple[int, Any]:
        return self.ask("POST", path, json.dumps(body).encode(), **environ)


@pytest.fixture
def made(world: Any) -> dict[str, Any]:
    document = world.trust_list()
    evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
    trust_list = load_trust_list(document, keys=world.list_keys, at=T)
    return {
        "verifier": Verifier(trust_list=trust_list, evidence=evidence, application="tax"),
        "trust": EvidenceTrust(list_keys=world.list_keys),
        "clock": lambda: T,
    }


@pytest.fixture
def client(made: dict[str, Any]) -> Client:
    return Client(create_service(made.pop("verifier"), **made))


def test_whose_certificate(client: Client, world: Any) -> None:
    """Each of the three CAs, PEM and base64 of DER; then a refusal and its texts."""
    for ca in ("pearl", "harbour", "summit"):
        leaf = world.leaf(ca)
        for certificate in (leaf.pem.decode(), b64(leaf.der)):
            status, answer = client.post("/v1/certificates", {"certificate": certificate})
            assert (status, answer["verdict"], answer["id"]) == (200, "accepted", FIRM_ID)
    expired = world.leaf(not_after=T - timedelta(days=1)).pem.decode()
    status, answer = client.post("/v1/certificates", {"certificate": expired, "purpose": "signing"})
    assert (status, answer["verdict"], answer["code"]) == (200, "refused", "CERT_EXPIRED")
    assert answer["text"]["zh"]
    assert answer["hint"]["en"]


def test_could_not_check(world: Any) -> None:
    """No revocation list at hand: nobody is let in, and the program can tell it from a no."""
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    client = Client(create_service(Verifier(trust_list=trust_list, application="tax"), clock=lambda: T))
    _, answer = client.post("/v1/certificates", {"certificate": world.leaf().pem.decode()})
    assert (answer["verdict"], answer["code"]) == ("could-not-check", "REVOCATION_UNKNOWN")


def test_login(client: Client, world: Any) -> None:
    """A challenge, its answer, and the same answer again."""
    leaf = world.leaf()
    status, challenge = client.post("/v1/login/challenges", {"session": "s1"})
    assert status == 201
    answer = {
        "challenge": challenge["id"],
        "session": "s1",
        "certificate": leaf.pem.decode(),
        "signature": b64(leaf.sign(base64.b64decode(challenge["data"]))),
    }
    _, first = client.post("/v1/login/answers", answer)
    _, again = client.post("/v1/login/answers", answer)
    assert (first["verdict"], first["id"]) == ("accepted", FIRM_ID)
    assert (again["verdict"], again["code"]) == ("refused", "LOGIN_CHALLENGE_USED")


def test_mutual_login(world: Any, made: dict[str, Any]) -> None:
    """The service signs challenges for the client's random; one of a wrong size is a wrong request."""
    leaf, client_random = world.leaf(), bytes(range(32))
    signer = ChallengeSigner([leaf.der], leaf.key)
    client = Client(create_service(**{**made, "signer": signer}))
    status, message = client.post("/v1/login/challenges", {"session": "s1", "client": b64(client_random)})
    assert status == 201
    asked = verify_server_challenge(message, trust=leaf.der, application="tax", client=client_random, at=T)
    assert asked.challenge.id == message["id"]
    for wrong in (b"short", b"x" * 65):
        status, problem = client.post("/v1/login/challenges", {"session": "s1", "client": b64(wrong)})
        assert (status, problem["code"]) == (400, "SERVICE_REQUEST")


def test_form_and_its_evidence(client: Client, world: Any) -> None:
    """A raw signature; the record that comes along holds, and not when it was altered."""
    leaf, document = world.leaf(), json.dumps({"year": 2026}).encode()
    request = {
        "document": b64(document),
        "signature": b64(leaf.sign(b'{"year":2026}')),
        "certificate": leaf.pem.decode(),
        "evidence": True,
    }
    _, form = client.post("/v1/forms", request)
    assert (form["verdict"], form["signers"][0]["identity"]["id"]) == ("accepted", FIRM_ID)
    _, held = client.post("/v1/evidence", {"record": form["record"]})
    assert held["verdict"] == "accepted"
    record = json.loads(base64.b64decode(form["record"]))
    record["trust"]["application"] = "police"
    _, answer = client.post("/v1/evidence", {"record": b64(json.dumps(record).encode())})
    assert (answer["verdict"], answer["code"]) == ("refused", "EVIDENCE_ALTERED")
    _, other = client.post("/v1/forms", {**request, "document": b64(b'{"year":2025}')})
    assert other["verdict"] == "refused"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/certificates", b"", 400, "DOCUMENT_MALFORMED"),
        ("/v1/certificates", b"[]", 400, "SERVICE_REQUEST"),
        ("/v1/certificates", b"{}", 400, "SERVICE_REQUEST"),
        ("/v1/certificates", b'{"certificate": 5}', 400, "SERVICE_REQUEST"),
        ("/v1/certificates", b'{"certificate": "*"}', 400, "SERVICE_REQUEST"),
        ("/v1/certificates", b'{"certificate": "AA==", "certificate": "AA=="}', 400, "DOCUMENT_MALFORMED"),
        ("/v1/certificates", b'{"certificate": "AA==", "porpose": "login"}', 400, "SERVICE_REQUEST"),
        ("/v1/certificates", b'{"certificate": "AA==", "purpose": "flying"}', 400, "SERVICE_REQUEST"),
        ("/v1/login/challenges", b'{"session": ""}', 400, "SERVICE_REQUEST"),
        ("/v1/forms", b'{"signature": "AA==", "evidence": "yes"}', 400, "SERVICE_REQUEST"),
        ("/v1/nothing", b"{}", 404, "SERVICE_NOT_FOUND"),
        ("/v1/trust-list", b"{}", 405, "SERVICE_METHOD"),
    ],
)
def test_wrong_requests(client: Client, path: str, body: bytes, status: int, code: str) -> None:
    """One thing wrong at a time. Must say what, in the caller's language, and judge nothing."""
    found, problem = client.ask("POST", path, body, HTTP_ACCEPT_LANGUAGE="en")
    assert (found, problem["code"]) == (status, code)
    assert client.headers["Content-Type"] == "application/problem+json"
    assert "accepted" not in problem


def test_a_certificate_that_is_none_is_a_refusal(client: Client) -> None:
    """The request is right, what it carries is not."""
    status, answer = client.post("/v1/certificates", {"certificate": "MAA="})
    assert (status, answer["verdict"], answer["code"]) == (200, "refused", "NOT_DER")


def test_sizes_and_kinds(client: Client) -> None:
    """Too large is said before it is read; forms of web pages are not JSON."""
    large = {"CONTENT_LENGTH": str(1024 * 1024 + 1)}
    assert client.ask("POST", "/v1/certificates", **large)[0] == 413
    assert client.ask("POST", "/v1/certificates", CONTENT_LENGTH="many")[0] == 400
    assert client.ask("POST", "/v1/certificates", CONTENT_LENGTH="-1")[0] == 400
    assert client.ask("POST", "/v1/certificates", b"a=b", CONTENT_TYPE="text/plain")[0] == 415
    assert client.ask("GET", "/v1/certificates")[0] == 405


def test_who_may_ask(made: dict[str, Any]) -> None:
    """Without a token this machine only; with one, whoever has it, wherever from."""
    verifier = made.pop("verifier")
    near, far = Client(create_service(verifier, **made)), "192.0.2.7"
    assert near.ask("GET", "/v1/trust-list", REMOTE_ADDR=far)[0] == 403
    assert near.ask("GET", "/healthz", REMOTE_ADDR=far)[0] == 200
    guarded = Client(create_service(verifier, token=TOKEN, **made))
    for given in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"):
        assert guarded.ask("GET", "/v1/trust-list", HTTP_AUTHORIZATION=given)[0] == 401
    assert guarded.headers["WWW-Authenticate"] == "Bearer"
    right = {"REMOTE_ADDR": far, "HTTP_AUTHORIZATION": f"bearer {TOKEN}"}
    assert guarded.ask("GET", "/v1/trust-list", **right)[0] == 200
    with pytest.raises(ValueError, match="32"):
        create_service(verifier, token="short")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8083", 200),
        ("localhost", 200),
        ("LOCALHOST:8083", 200),
        ("[::1]:8083", 200),
        ("evil.example:8083", 403),
        ("localhost.evil.example", 403),
        ("tax.example", 403),
        ("192.0.2.7", 403),
        ("[", 403),
    ],
)
def test_a_name_that_points_here_is_not_this_machine(made: dict[str, Any], host: str, status: int) -> None:
    """A page in a browser on this machine gives its own host the address 127.0.0.1, or a proxy here passes on
    what comes from anywhere. Must be 403 without a token; over a unix socket nobody's browser can come."""
    verifier = made.pop("verifier")
    near = Client(create_service(verifier, **made))
    assert near.ask("GET", "/v1/trust-list", HTTP_HOST=host)[0] == status
    assert near.ask("GET", "/v1/trust-list", HTTP_HOST=host, REMOTE_ADDR="")[0] == 200
    guarded = Client(create_service(verifier, token=TOKEN, **made))
    right = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert guarded.ask("GET", "/v1/trust-list", HTTP_HOST=host, **right)[0] == 200


def test_what_an_operator_watches(client: Client, world: Any) -> None:
    """Answers by verdict and code, age of the list, age of each CRL."""
    client.post("/v1/certificates", {"certificate": world.leaf().pem.decode()})
    client.post("/v1/certificates", {"certificate": "MAA="})
    _, text = client.ask("GET", "/metrics")
    assert 'answers_total{call="/v1/certificates",verdict="accepted"} 1' in text
    assert 'answers_total{call="/v1/certificates",verdict="refused",code="NOT_DER"} 1' in text
    assert "trust_list_age_seconds 86400" in text
    assert 'crl_age_seconds{issuer="CN=海港CA,C=CN"} 3600' in text
    assert client.ask("GET", "/readyz") == (200, {"status": "ready", "trust_list": 1})
    assert client.ask("HEAD", "/healthz") == (200, "")


def test_an_expired_list_is_not_ready(made: dict[str, Any]) -> None:
    """Nobody can log in: the load balancer and the operator see it."""
    document = made["verifier"].trust_list(T).document

    class Gone:
        def current(self, at: datetime) -> Any:
            return load_trust_list(document, keys=made["trust"].list_keys, at=at)

    verifier = Verifier(trust_list=Gone(), application="tax")
    client = Client(create_service(verifier, clock=lambda: T + timedelta(days=40)))
    status, problem = client.ask("GET", "/readyz")
    assert (status, problem["code"]) == (503, "TRUST_LIST_EXPIRED")
    assert "trust_list_usable 0" in client.ask("GET", "/metrics")[1]


def test_description_says_what_there_is(client: Client) -> None:
    """Every path of the description answers by its method, and a wrong one does not."""
    for path, methods in describe()["paths"].items():
        [method] = methods
        status, _ = client.ask(method.upper(), path, b"{}")
        assert status in ({400} if method == "post" else {200}), path
    assert client.ask("GET", "/openapi.json")[1]["openapi"].startswith("3.1")


def test_serve_command(place: Path, world: Any) -> None:
    """The command as an operator starts it: a real socket, lists from the network, ended by a signal."""
    address = (place / "pki" / "address").read_text().strip()
    program = (
        "import sys; from datetime import datetime; from onecert.verifier.web import gate;"
        "from onecert.verifier.service import application;"
        "application.now = gate.now = lambda: datetime.fromisoformat('2026-11-21T09:00:00+00:00');"
        "from onecert.verifier.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "serve", "--folder", "pki", "--trust-list", address]
    process = subprocess.Popen(
        [*command, "--application", "tax", "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=place
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        body = json.dumps({"certificate": world.leaf().pem.decode()}).encode()
        request = urllib.request.Request(f"{url}/v1/certificates", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["id"] == FIRM_ID
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/nothing", timeout=30)
        assert caught.value.code == 404
        caught.value.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.parametrize(
    ("options", "status"), [(["--port", "70000"], 2), (["--token", "short"], 2), (["--token", "missing"], 3)]
)
def test_serve_options(
    place: Path, options: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with the options is said before anything is served."""
    Path("short").write_text("secret")
    arguments = ["serve", "--folder", "pki", "--trust-list", "http://127.0.0.1:1/", "--application", "tax"]
    try:
        found = main([*arguments, *options])
    except SystemExit as exc:
        found = int(str(exc.code))
    assert found == status
    said = capsys.readouterr()
    assert said.out + said.err
