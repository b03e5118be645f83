"""The server: two ports, dispatch, TLS with optional client certificates, peers, stop."""

import contextlib
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import select

from onecert.server.clock import FixedClock
from onecert.server.config import DatabaseConfig, ServerConfig, Settings
from onecert.server.database import Database
from onecert.server.errors import ConfigError, ServiceError
from onecert.server.jobs import Job
from onecert.server.members import Context, Member, Service
from onecert.server.models import audit_entries, audit_heads
from onecert.server.operators import SignInConfig
from onecert.server.serve import CannotListenError, Server
from onecert.server.system import System
from onecert.server.tls import ensure_certificate
from onecert.verifier.jws import key_id

NOW = datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    greeting: str = "hello"


def demo_member(name: str, *, broken: bool = False) -> Member:
    """A member whose application answers with what it was asked, and asks its peer on /ask."""

    def build(config: DemoConfig, context: Context) -> Service:
        if broken:
            raise ServiceError("DEMO_BROKEN", status=503, text="the demo cannot be built")
        peer = context.client("two" if name == "one" else "one")
        state = {"closed": False, "sick": False}

        def app(environ, start_response):
            path = environ["PATH_INFO"]
            if path == "/ask":
                body = peer.get("echo").text
            elif path == "/slow":
                time.sleep(0.5)
                body = "slow"
            elif path == "/break":
                raise RuntimeError("broken on purpose")
            elif path == "/post":
                body = str(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
            else:
                who = environ.get("SSL_CLIENT_S_DN_CN", "nobody")
                where = f"{environ['SCRIPT_NAME']} {path} {environ['wsgi.url_scheme']}"
                body = f"{config.greeting} {name} {where} {who}"
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [body.encode()]

        def check() -> None:
            if state["sick"]:
                raise ServiceError("DEMO_SICK", status=503, text="sick")

        def work(at: datetime) -> None:
            with context.database.transaction() as connection:
                context.audit.record(connection, event="demo.worked", actor="job:demo", subject=name)

        service = Service(
            app=app,
            status=app if name == "one" else None,
            jobs=[Job("demo", timedelta(hours=1), work)],
            checks={"health": check},
            audit_key=ec.generate_private_key(ec.SECP256R1()),
            close=lambda: state.update(closed=True),
        )
        service.state = state  # type: ignore[attr-defined]  # for the tests to look into
        return service

    return Member(
        name=name,
        config=DemoConfig,
        migrations="onecert.server.migrations",
        catalogue="onecert.server",
        roles={},
        build=build,
    )


def make_settings(**server: object) -> Settings:
    config = ServerConfig(https_port=0, http_port=0, threads=4)
    sections = {"server": replace(config, **server), "sign_in": SignInConfig()}
    for name in ("one", "two"):
        sections |= {name: DemoConfig(), f"database.{name}": DatabaseConfig()}
    return Settings(sections)


@contextlib.contextmanager
def serving(data: Path, **server: object) -> Iterator[Server]:
    running = Server([demo_member("one"), demo_member("two")], data, make_settings(**server))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture
def https(server: Server, tmp_path: Path) -> Iterator[httpx.Client]:
    with client(server, tmp_path) as made:
        yield made


def client(server: Server, tmp_path: Path, *, cert: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=tmp_path / "data" / "tls" / "certificate.pem")
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if cert is not None:
        context.load_cert_chain(*cert)
    return httpx.Client(base_url=server.https_url, verify=context, timeout=10)


def test_paths_lead_to_services(https: httpx.Client, server: Server) -> None:
    assert https.get("one/a/b").text == "hello one /one /a/b https nobody"
    assert https.get("two").text == "hello two /two  https nobody"
    assert httpx.get(server.http_url + "one/x").text == "hello one /one /x http nobody"


def test_what_is_not_there(https: httpx.Client, server: Server) -> None:
    """Service two has nothing public, so http does not know it."""
    assert httpx.get(server.http_url + "two/x").status_code == 404
    assert https.get("three/x").status_code == 404
    assert httpx.get(server.http_url).status_code == 404


def test_landing_page_names_the_services(https: httpx.Client) -> None:
    page = https.get("")
    assert page.status_code == 200
    assert "/one/" in page.text


def test_services_ask_each_other_without_a_socket(https: httpx.Client) -> None:
    assert https.get("one/ask").text == "hello two /two /echo https nobody"
    assert https.get("two/ask").text == "hello one /one /echo https nobody"


def test_peer_somewhere_else_is_reached_over_tls(tmp_path: Path) -> None:
    """Service one is told that two runs elsewhere: there, a second server with other data answers."""
    with serving(tmp_path / "other") as other:
        peers = {"two": other.https_url + "two"}
        anchors = (tmp_path / "other" / "tls" / "certificate.pem",)
        with (
            serving(tmp_path / "data", peers=peers, peer_anchors=anchors) as here,
            client(here, tmp_path) as asking,
        ):
            before = other.system.https
            assert asking.get("one/ask").text == "hello two /two /echo https nobody"
            assert before is other.system.https
        with serving(tmp_path / "data", peers=peers) as here, client(here, tmp_path) as asking:
            assert asking.get("one/ask").status_code == 500, (
                "a peer that no anchor vouches for is not trusted"
            )


def test_application_that_breaks(https: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = https.get("one/break")
    assert (answer.status_code, answer.text) == (500, "internal error\n")
    assert "an application broke" in caplog.text


def test_request_that_is_too_large(tmp_path: Path) -> None:
    with serving(tmp_path / "data", request_max_bytes=1000) as running, client(running, tmp_path) as asking:
        assert asking.post("one/post", content=b"x" * 1000).text == "1000"
        assert asking.post("one/post", content=b"x" * 1001).status_code == 413


def test_health(https: httpx.Client, server: Server) -> None:
    assert https.get("healthz").text == "ok\n"
    ready = httpx.get(server.http_url + "readyz")
    assert ready.status_code == 200
    assert ready.json()["services"]["one"] == {"database": "ok", "process": "ok", "health": "ok"}
    (process,) = ready.json()["processes"]["one"]
    assert (process["role"], process["state"], process["pid"]) == ("service", "running", os.getpid())
    server.system.services["two"].state["sick"] = True  # type: ignore[attr-defined]
    ready = httpx.get(server.http_url + "readyz")
    assert ready.status_code == 503
    assert ready.json()["services"]["two"] == {
        "database": "ok",
        "process": "ok",
        "health": "DEMO_SICK",
    }


def test_process_that_stops_says_so_while_it_still_answers(https: httpx.Client, server: Server) -> None:
    """Whoever shares out requests sees it in readiness; requests that come all the same are answered."""
    server.system.drain()
    ready = httpx.get(server.http_url + "readyz")
    assert ready.status_code == 503
    assert ready.json()["services"]["one"]["process"] == "STOPPING"
    assert [each["state"] for each in ready.json()["processes"]["one"]] == ["stopping"]
    assert https.get("healthz").status_code == 200


def test_metrics_count_requests_and_jobs(https: httpx.Client, server: Server) -> None:
    https.get("one/a")
    server.system.run_due_jobs()
    text = httpx.get(server.http_url + "metrics").text
    assert 'onecert_requests_total{method="GET",port="https",service="one",status="200"}' in text
    assert 'onecert_job_runs_total{job="demo",result="done",service="one"}' in text


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/one/readyz", "/one/metrics"])
def test_details_are_for_monitors(server: Server, path: str) -> None:
    def ask(address: str) -> str:
        answer: list[str] = []
        environ = {
            "PATH_INFO": path,
            "REQUEST_METHOD": "GET",
            "REMOTE_ADDR": address,
            "wsgi.url_scheme": "http",
        }
        list(server.system.http(environ, lambda status, headers, exc_info=None: answer.append(status)))
        return answer[0]

    assert ask("127.0.0.1") == "200 OK"
    assert ask("192.0.2.1") == "403 Forbidden"
    assert ask("") == "403 Forbidden"


def test_stop_ends_requests_signs_heads_and_closes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    running = Server([demo_member("one")], data, make_settings())
    running.start()
    service = running.system.services["one"]
    answers: list[int] = []
    with client(running, tmp_path) as asking:
        thread = threading.Thread(target=lambda: answers.append(asking.get("one/slow").status_code))
        thread.start()
        time.sleep(0.2)
        running.stop()
        thread.join()
    assert answers == [200], "a request that runs is finished"
    assert service.state["closed"]  # type: ignore[attr-defined]
    database = Database(f"sqlite:///{data / 'one' / 'one.db'}")
    with database.reading() as connection:
        entries = connection.execute(select(audit_entries).order_by(audit_entries.c.seq)).all()
        newest_head = max(connection.scalars(select(audit_heads.c.seq)))
    database.close()
    assert entries[0].event == "service.started"
    assert entries[-1].event == "service.stopped"
    assert newest_head == entries[-1].seq
    assert len(list((data / "one" / "audit-keys").glob("*.pem"))) == 1


def test_service_that_cannot_be_built_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as caught:
        Server([demo_member("one"), demo_member("two", broken=True)], tmp_path / "data", make_settings())
    assert caught.value.code == "DEMO_BROKEN"


# cheroot drops the socket that it could not bind without closing it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_port_in_use_is_said_plainly(server: Server, tmp_path: Path) -> None:
    port = int(server.http_url.rstrip("/").rpartition(":")[2])
    with pytest.raises(CannotListenError) as caught:
        Server([demo_member("one")], tmp_path / "more", make_settings(http_port=port))
    assert caught.value.facts["address"] == f"127.0.0.1:{port}"
    assert "in use" in str(caught.value)


# --- TLS ---


def issue(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None, *, ca: bool = False
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=issuer[0].subject if issuer else subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=NOW - timedelta(hours=1),
            not_valid_after=NOW + timedelta(hours=1),
        )
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
    )
    if not ca:
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write(
    folder: Path, name: str, made: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made[0].public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        made[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


def test_client_certificate_arrives(tmp_path: Path) -> None:
    """root -> operations CA (the anchor, no root itself) -> clerk; asked for, not required."""
    root = issue("root", ca=True)
    operations = issue("operations", root, ca=True)
    write(tmp_path / "data" / "operator-anchors", "operations", operations)
    clerk = write(tmp_path, "clerk", issue("clerk-7", operations))
    with serving(tmp_path / "data") as running:
        with client(running, tmp_path, cert=clerk) as with_certificate:
            assert with_certificate.get("one/x").text.endswith(" clerk-7")
        with client(running, tmp_path) as without:
            assert without.get("one/x").text.endswith(" nobody")


def test_client_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "data" / "operator-anchors", "operations", issue("operations", ca=True))
    stranger = write(tmp_path, "stranger", issue("clerk-7", issue("operations", ca=True)))
    with (
        serving(tmp_path / "data") as running,
        client(running, tmp_path, cert=stranger) as asking,
        pytest.raises(httpx.TransportError),
    ):
        asking.get("one/x")


def test_header_cannot_pretend_a_certificate(https: httpx.Client) -> None:
    assert https.get("one/x", headers={"SSL_CLIENT_S_DN_CN": "clerk-7"}).text.endswith(" nobody")


def test_new_anchor_and_new_certificate_count_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onecert.server.tls._LOOK_AGAIN_S", 0.0)
    operations = issue("operations", ca=True)
    clerk = write(tmp_path, "clerk", issue("clerk-7", operations))
    with serving(tmp_path / "data") as running:
        with client(running, tmp_path, cert=clerk) as asking:
            assert asking.get("one/x").text.endswith(" nobody"), "without anchors no certificate is asked for"
        write(tmp_path / "data" / "operator-anchors", "operations", operations)
        with client(running, tmp_path, cert=clerk) as asking:
            assert asking.get("one/x").text.endswith(" clerk-7")
        (tmp_path / "data" / "operator-anchors" / "operations.pem").write_text("-----BEGIN half a file")
        with client(running, tmp_path, cert=clerk) as asking:
            assert asking.get("one/x").text.endswith(" clerk-7"), (
                "the old files serve until the new are whole"
            )


def test_own_tls_certificate(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, "server", issue("server", ca=False))
    with serving(tmp_path / "data", tls_certificate=certificate, tls_key=key) as running:
        context = ssl.create_default_context(cafile=certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        assert httpx.get(running.https_url + "healthz", verify=context).text == "ok\n"
    assert not (tmp_path / "data" / "tls").exists()


def test_tls_files_that_do_not_fit(tmp_path: Path) -> None:
    certificate, _ = write(tmp_path, "a", issue("a"))
    _, key = write(tmp_path, "b", issue("b"))
    with pytest.raises(ConfigError, match="tls_certificate"):
        Server(
            [demo_member("one")], tmp_path / "data", make_settings(tls_certificate=certificate, tls_key=key)
        )


def test_processes_of_one_folder_make_one_certificate(tmp_path: Path) -> None:
    """Started at the same moment, none finds another's key beside a certificate."""
    with ThreadPoolExecutor(4) as pool:
        each = [pool.submit(ensure_certificate, tmp_path / "tls", host="127.0.0.1", at=NOW) for _ in range(4)]
    assert [one.result()[2] for one in each].count(True) == 1
    certificate, key, _is_new = each[0].result()
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)


def test_self_signed_certificate_is_kept_and_renewed(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    certificate, key, is_new = ensure_certificate(folder, host="127.0.0.1", at=NOW)
    first = certificate.read_bytes()
    assert is_new
    assert key.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert ensure_certificate(folder, host="127.0.0.1", at=NOW + timedelta(days=600))[2] is False
    assert certificate.read_bytes() == first
    assert ensure_certificate(folder, host="pki.example.cn", at=NOW + timedelta(days=710))[2] is True
    renewed = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = renewed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "pki.example.cn"]


def test_silent_connections_stop_nobody(server: Server, https: httpx.Client) -> None:
    """20 connections that say nothing, to a server of 4 threads; a real client is answered at once."""
    host, port = "127.0.0.1", int(server.https_url.rstrip("/").rpartition(":")[2])
    silent = [socket.create_connection((host, port)) for _ in range(20)]
    begun = time.monotonic()
    assert https.get("one/x").status_code == 200
    assert time.monotonic() - begun < 3
    for each in silent:
        each.close()


def test_plain_http_on_the_https_port(server: Server) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(server.https_url.replace("https", "http"))
    assert httpx.get(server.http_url + "healthz").status_code == 200


def test_audit_key_that_was_away_at_start_signs_from_when_it_is_back(tmp_path: Path) -> None:
    """The token of the audit key comes back while the service runs: no restart is needed."""
    here, key = [False], ec.generate_private_key(ec.SECP256R1())
    whole = demo_member("one")

    def build(config: DemoConfig, context: Context) -> Service:
        service = whole.build(config, context)
        service.audit_key, service.find_audit_key = None, lambda: key if here[0] else None
        return service

    clock = FixedClock(datetime(2026, 11, 21, 9, tzinfo=UTC))
    system = System([replace(whole, build=build)], tmp_path / "data", make_settings(), clock=clock)
    keys = tmp_path / "data" / "one" / "audit-keys"
    try:
        assert system.run_due_jobs() == 2
        assert not keys.exists()
        here[0] = True
        clock.advance(timedelta(minutes=1))
        assert system.run_due_jobs() == 1
        assert [file.stem for file in keys.iterdir()] == [key_id(key.public_key())]
    finally:
        system.close()
