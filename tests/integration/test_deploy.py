"""What deploy/ describes is what runs: the same processes by hand, one certificate through all of them."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from onecert.hsm import ModuleError, find_module

sys.path.insert(0, str(Path(__file__).parent))

from deploy_site import (
    APPLICATION,
    HEADER,
    MEMBERS,
    NEW_KEY,
    ROOT,
    SERVICES,
    Site,
    needs,
    run,
    set_up,
    wait_for,
)


@pytest.fixture(scope="module")
def site(postgresql_server: Path) -> Iterator[Site]:
    """A city of one licensed CA, set up with the commands of docs/operator.md on the running processes."""
    nginx = needs("nginx", "nginx-light")
    needs("curl", "curl")
    try:
        find_module()
    except ModuleError as exc:
        pytest.skip(f"needs SoftHSM: {exc}")
    # Sockets have short names, and nginx's workers another user, so this is not pytest's folder.
    home = Path(tempfile.mkdtemp(prefix="onecert-site-"))
    database = f"site_{os.getpid()}"
    where = {"host": str(postgresql_server), "user": "tester"}
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    made = Site(home, database, postgresql_server)
    try:
        made.prepare()
        made.start(*SERVICES)
        made.start_nginx(nginx)
        set_up(made)
        yield made
    finally:
        made.stop()
        with psycopg.connect(**where, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
            for name in SERVICES:
                connection.execute(f"DROP ROLE IF EXISTS onecert_{name}")
        shutil.rmtree(home, ignore_errors=True)


def test_each_process_holds_only_its_members(site: Site) -> None:
    """Importing another service fails in each environment, and so does anything that only tests need."""
    look = "import json, sys; from importlib.util import find_spec as find; "
    look += "print(json.dumps([name for name in sys.argv[1:] if find(name)]))"
    for name in SERVICES:
        asked = [
            *(f"onecert.{each}" for each in ("verifier", "hsm", "server", *SERVICES)),
            "pytest",
            "hypothesis",
        ]
        said = json.loads(run(site.pythons[name], "-c", look, *asked, env=site.environment(name)))
        assert said == [f"onecert.{each}" for each in MEMBERS[name]]


def test_no_service_opens_a_port(site: Site) -> None:
    """All four listen on sockets in the file system only, which nobody but owner and group may use."""
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A":
                listening.add(columns[9])
    for name in SERVICES:
        inodes = set()
        for each in Path(f"/proc/{site.processes[name].pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(str(each.readlink()).removeprefix("socket:[").rstrip("]"))
        assert not inodes & listening, name
        for path in ("https.sock", "http.sock"):
            assert (site.home / "run" / name / path).stat().st_mode & 0o777 == 0o660
        assert not (site.home / "data" / name / "tls").exists()


def test_database_roles_see_only_their_own_schema(site: Site) -> None:
    for name in SERVICES:
        with psycopg.connect(
            host=str(site.postgres), user=f"onecert_{name}", dbname=site.database
        ) as connection:
            seen = connection.execute(
                "SELECT DISTINCT schemaname FROM pg_tables WHERE has_schema_privilege(schemaname, 'USAGE')"
                " AND schemaname NOT IN ('pg_catalog', 'information_schema', 'public')"
            ).fetchall()
            assert seen == [(name,)]
            may = connection.execute(
                "SELECT has_database_privilege(%s, 'CREATE')", (site.database,)
            ).fetchone()
            assert may == (False,)
    with psycopg.connect(host=str(site.postgres), user="tester", dbname=site.database) as connection:
        kept = connection.execute(
            "SELECT rolname, left(rolpassword, 13) FROM pg_authid WHERE rolname LIKE 'onecert%' ORDER BY 1"
        )
        assert kept.fetchall() == [(f"onecert_{name}", "SCRAM-SHA-256") for name in sorted(SERVICES)]


def test_health_check_of_the_compose_file(site: Site) -> None:
    """The very command of the compose file, in each service's environment."""
    found = re.search(r'"CMD", "python3", "-c", "([^"]+)"', (ROOT / "docker-compose.yml").read_text())
    assert found is not None
    for name in SERVICES:
        run(site.pythons[name], "-c", site.replace(found[1]), env=site.environment(name))
    stopped = site.environment("ca") | {"SERVICE": "nobody"}
    assert b"Error" in run(site.pythons["ca"], "-c", site.replace(found[1]), env=stopped, check=False)


def test_one_certificate_through_everything(site: Site) -> None:
    """Clerk 1 enters, clerk 2 approves, RA -> nginx -> CA issues, openssl believes it, staff revoke."""
    body = {
        "type": "organisation",
        "authority": "harbour",
        "fields": APPLICATION,
        "csr_pem": site.request("company").read_text(),
        "submit": True,
    }
    with (
        site.client("clerk1") as entry,
        site.client("clerk2") as review,
        site.client("security1") as security,
    ):
        made = entry.post("/ra/v1/applications", json=body)
        assert made.status_code == 201, made.text
        path = f"/ra/v1/applications/{made.json()['id']}"
        seen = {"content_sha256": made.json()["content_sha256"]}
        assert entry.post(f"{path}/approve", json=seen).json()["code"] == "SAME_PERSON"
        approved = review.post(f"{path}/approve", json=seen)
        assert approved.json()["state"] == "issued", approved.text
        serial = approved.json()["certificate"]["serial"]
        certificate = entry.get(f"/ra/v1/certificates/harbour/{serial}").json()
        (site.home / "company.pem").write_text(certificate["certificate_pem"])
        log = (site.home / "log" / "onecert.log").read_text()
        assert re.search(r'"host":"localhost","method":"POST","path":"/ca/v1/orders","status":201', log)

        assert verify(site) == (True, "good")
        revoked = security.post(
            f"/ra/v1/certificates/harbour/{serial}/revoke", json={"reason": "keyCompromise"}
        )
        assert revoked.status_code == 200, revoked.text
        # OCSP by POST says so at once; the list when the cache's minute is over, or from the CA itself.
        assert verify(site)[1] == "revoked"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(site.home / "run/ca/http.sock"))) as direct:
            fresh = run(
                "openssl",
                "crl",
                "-inform",
                "DER",
                "-noout",
                "-text",
                data=direct.get("http://ca/ca/harbour.crl").content,
            )
        assert serial.upper().encode() in fresh.upper()


def verify(site: Site) -> tuple[bool, str]:
    """Whether `openssl verify` accepts the company's certificate with both lists, and what OCSP says."""
    lists = b""
    for name in ("harbour", "harbour-root"):
        answer = httpx.get(f"{site.http}/ca/{name}.crl")
        assert answer.status_code == 200
        lists += run("openssl", "crl", "-inform", "DER", data=answer.content)
    (site.home / "lists.pem").write_bytes(lists)
    root, issuer, leaf = (site.home / f"{name}.pem" for name in ("harbour-root", "harbour", "company"))
    said = run(
        "openssl",
        "verify",
        "-crl_check_all",
        "-CAfile",
        root,
        "-untrusted",
        issuer,
        "-CRLfile",
        site.home / "lists.pem",
        leaf,
        check=False,
    )
    ocsp = run("openssl", "ocsp", "-issuer", issuer, "-cert", leaf, "-CAfile", root, "-verify_other", issuer,
               "-url", f"{site.http}/ca/harbour/ocsp", check=False)  # fmt: skip
    assert b"Response verify OK" in ocsp, ocsp
    found = re.search(rb": (good|revoked|unknown)", ocsp)
    return b": OK" in said, found[1].decode() if found else ""


def test_sign_in_on_pages(site: Site) -> None:
    """The page names the certificate's holder; the session holds with that certificate only."""
    with site.client("clerk1") as browser, site.client() as stranger, site.client("clerk2") as other:
        page = browser.get("/ra/sign-in")
        assert "<strong>clerk1</strong>" in page.text
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        entered = browser.post(
            "/ra/sign-in/certificate", data={"csrf_token": token}, headers={"Origin": site.https}
        )
        assert entered.status_code == 303, entered.text
        home = browser.get("/ra/", follow_redirects=True)
        assert home.status_code == 200
        assert "clerk1" in home.text
        assert home.headers["Strict-Transport-Security"]
        stolen = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        assert stranger.get("/ra/", headers=stolen).status_code == 303
        assert other.get("/ra/", headers=stolen).status_code == 303


def test_forged_certificate_header_is_nobodys(site: Site) -> None:
    """Someone outside claims clerk 1's certificate, with every spelling that might reach the service."""
    escaped = urllib.parse.quote(
        site.identity("clerk1")[0].read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
    names = [
        HEADER,
        HEADER.lower(),
        HEADER.replace("-", "_"),
        "X-Client_Certificate",
        "Client-Cert",
        "SSL-Client-Cert",
        "X-SSL-Client-Cert",
    ]
    with site.client("clerk1") as real:
        assert real.get("/ra/v1/applications").status_code == 200
    twice = [(HEADER, ""), (HEADER, escaped)]
    with site.client() as outside:
        for service in SERVICES:
            for forged in ([(HEADER, escaped)], [(HEADER.replace("-", "_"), escaped)], twice):
                page = outside.get(f"/{service}/sign-in", headers=forged)
                assert page.status_code == 200
                assert "clerk1" not in page.text
        for name in names:
            assert outside.get("/ra/v1/applications", headers=[(name, escaped)]).status_code == 401
    with site.client("clerk2") as other:
        page = other.get("/ra/sign-in", headers=[(HEADER, escaped)])
        assert "<strong>clerk2</strong>" in page.text
        assert "clerk1" not in page.text


def test_forwarded_headers_are_not_believed(site: Site) -> None:
    """Outside, nobody is on the service's own machine: not by X-Forwarded-For, not by a one-time link."""
    link = site.commands("ra", ["operators", "link", "ra", "clerk1"])[0].strip().splitlines()[-1]
    assert link.startswith(f"{site.https}/ra/sign-in/")
    with site.client() as outside:
        for headers in (
            {},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Real-IP": "127.0.0.1"},
            {"Forwarded": "for=127.0.0.1"},
        ):
            assert outside.get(link, headers=headers).status_code == 403


def test_certificate_of_another_ca_is_refused_with_a_sentence(site: Site) -> None:
    pem, key = site.home / "rogue.pem", site.home / "rogue.key"
    run("openssl", "req", "-x509", *NEW_KEY, "-subj", "/CN=clerk1", "-keyout", key, "-out", pem)
    with site.client(certificate=(pem, key)) as rogue:
        answer = rogue.get("/ra/sign-in")
    assert answer.status_code == 400
    assert "运营CA" in answer.text
    assert "Your client certificate is not accepted" in answer.text


SIGNED = (
    "orders",
    "revocations",
    "deliveries",
    "searches",
    "histories",
    "batches",
    "batches/results",
    "batches/cancellations",
    "mass-revocations",
    "mass-revocations/confirmations",
    "mass-revocations/stops",
    "mass-revocations/resumptions",
)


def test_what_is_closed_outside(site: Site) -> None:
    with site.client() as outside:
        for service in SERVICES:
            for path in ("readyz", "metrics"):
                assert outside.get(f"/{service}/{path}").status_code == 404
            assert outside.get(f"/{service}/healthz").status_code == 200
        for path in (
            "/readyz",
            "/metrics",
            *(f"/ca/v1/{what}" for what in SIGNED),
            "/ca/v1/x/../orders",
            "/ca/v1/%6frders",
            "/kmc/",
            "/cab",
        ):
            assert (
                outside.post(
                    path, content=b"{}", headers={"Content-Type": "application/jose+json"}
                ).status_code
                == 404
            ), path
        assert outside.get("/ca/v1/authorities").status_code == 200
    # The inner side knows the CA's orders and nothing else; what is no order is refused by the CA itself.
    with httpx.Client(
        base_url=site.inner,
        verify=ssl.create_default_context(cafile=str(site.home / "secrets/nginx/internal.pem")),
    ) as inside:
        for what in SIGNED:
            refused = inside.post(
                f"/ca/v1/{what}", content=b"{}", headers={"Content-Type": "application/jose+json"}
            )
            assert 400 <= refused.status_code < 500, what
            assert refused.json()["code"], what
        part = b"x" * 8 * 1024 * 1024
        refused = inside.put("/ca/v1/batches/none-of-ours/parts/1", content=part)
        assert refused.json()["code"], refused.status_code
        assert inside.get("/ca/v1/openapi.json").json()["openapi"]
        assert inside.get("/ra/sign-in").status_code == 404
        assert inside.get("/ca/readyz").status_code == 404
    # Plain http: what is public and signed, and no page.
    for path in (
        "/",
        "/ra/",
        "/ra/sign-in",
        "/ca/v1/authorities",
        "/pmi/v1/decisions",
        "/readyz",
        "/ca/readyz",
        "/ca/metrics",
    ):
        assert httpx.get(site.http + path).status_code == 404, path
    assert httpx.post(f"{site.http}/supervision/trust-list.json").status_code == 403
    assert httpx.post(f"{site.http}/ca/harbour/ocsp", content=b"x" * 70_000).status_code == 413


def test_another_host_name_gets_no_answer(site: Site) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", site.ports["public"])) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="other.example.cn")


def test_monitors_see_every_service_ready(site: Site) -> None:
    """Readiness of the PMI includes the trust list, which it fetched through nginx."""

    def not_ready() -> dict[str, Any]:
        answers = {name: httpx.get(f"{site.monitors}/{name}/readyz") for name in SERVICES}
        return {name: answer.json() for name, answer in answers.items() if answer.status_code != 200}

    wait_for("all ready", lambda: not not_ready())
    assert "onecert_requests_total" in httpx.get(f"{site.monitors}/ca/metrics").text
    assert httpx.get(f"{site.monitors}/ca/v1/authorities").status_code == 404


def test_trust_list_and_cache(site: Site) -> None:
    first = httpx.get(f"{site.http}/supervision/trust-list.json")
    assert first.status_code == 200
    assert len(first.json()["signatures"]) == 2
    again = httpx.get(f"{site.http}/supervision/trust-list.json?different=query")
    assert again.headers["X-Cache-Status"] == "HIT"
    assert again.content == first.content
    unchanged = httpx.get(
        f"{site.http}/supervision/trust-list.json", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert unchanged.status_code == 304
    for name in ("trust-root", "trust-timestamp", "trust-roots/1"):
        assert httpx.get(f"{site.http}/supervision/{name}.json").status_code == 200
    assert httpx.get(f"{site.http}/supervision/trust-roots/2.json").status_code == 404
    assert httpx.get(f"{site.http}/ca/harbour.cer").status_code == 200


def test_no_search_words_in_logs(site: Site) -> None:
    """A query string may hold a person's number: it is not in nginx's log."""
    with site.client("clerk1") as clerk:
        clerk.get("/ra/v1/applications", params={"q": "search-word-7"})
    logs = [site.home / "nginx.log", *(site.home / "log").iterdir()]
    assert "/ra/v1/applications" in (site.home / "log" / "onecert.log").read_text()
    assert not [log for log in logs if "search-word-7" in log.read_text()]


def test_sign_in_is_limited(site: Site) -> None:
    """One address that hurries is told to wait; other pages go on."""
    with site.client() as outside:
        answers = [outside.get("/ra/sign-in") for _ in range(120)]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert "稍等片刻" in answers[-1].text
        assert outside.get("/supervision/healthz").status_code == 200


def test_ca_is_away_and_comes_back(site: Site) -> None:
    """kill -9: lists go on from the cache, people read a sentence, the others work; then it is back."""
    assert httpx.get(f"{site.http}/ca/harbour.crl").status_code == 200
    site.processes["ca"].kill()
    site.processes["ca"].wait()
    output = site.processes["ca"].stdout
    assert output is not None
    output.close()
    assert httpx.get(f"{site.http}/ca/harbour.crl").status_code == 200
    with site.client() as outside:
        away = outside.get("/ca/v1/authorities")
        assert away.status_code == 503
        assert "稍后再试" in away.text
        assert outside.get("/ra/healthz").status_code == 200
    site.start("ca")
    with site.client() as outside:
        assert outside.get("/ca/v1/authorities").status_code == 200


def test_stop_is_clean(site: Site) -> None:
    """SIGTERM, as docker stop sends it. The last test of this file: it ends the site."""
    assert set(site.stop().values()) == {0}
    for name in SERVICES:
        # Warnings of tests-only Python switches aside, nothing broke on the way.
        text = (site.home / f"{name}.log").read_text()
        assert "Traceback" not in text, text[-3000:]
    assert sys.version_info[:2] >= (3, 11)
