"""What people depend on goes away while the services run: token, database, disk, process, the other service.

Each test says what still answers, what answers "not now" (503, with a hint), and that the same order brings
exactly one certificate afterwards.

What is served without the token: revocation lists, CA certificates, OCSP answers signed before (while the
record still agrees); new answers and nonces: "try later". Without the database: lists and CA certificates;
OCSP: "try later". On a full disk: all of it, and OCSP. Revoking needs the database but no token: without the
token the revocation counts, OCSP never again says "good", and the list follows when the token is back.
"""

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from onecert.server.audit.check import verify_export
from onecert.server.audit.export import export_to_file
from onecert.server.contexts import open_member
from onecert.verifier.jws import key_id

pytestmark = [pytest.mark.token, pytest.mark.timeout(120)]

Command = Callable[..., subprocess.CompletedProcess[str]]
Eventually = Callable[..., Any]
OneCa = tuple[Any, Any]
JOSE = {"Content-Type": "application/jose+json"}
AGAIN_S = 20  # a token that was away is asked again after 10 s at most


class Ca:
    """A running CA with everything that a test asks it."""

    def __init__(self, one_ca: OneCa) -> None:
        self.running, self.orders = one_ca

    def start(self) -> None:
        self.running.start()
        self.http = self.running.client("ca")

    def order(self) -> bytes:
        document: bytes = self.orders.sign(self.orders.payload())
        return document

    def post(self, document: bytes, path: str = "/v1/orders", *, language: str = "en") -> httpx.Response:
        return self.http.post(path, content=document, headers=JOSE | {"Accept-Language": language})

    def issue(self) -> tuple[x509.Certificate, x509.Certificate]:
        """A certificate and its issuer's."""
        answer = self.post(self.order())
        assert answer.status_code == 201, answer.text
        return tuple(  # type: ignore[return-value]  # these two
            x509.load_pem_x509_certificate(pem.encode())
            for pem in (answer.json()["certificate_pem"], answer.json()["chain_pem"][0])
        )

    def revoke(self, certificate: x509.Certificate) -> httpx.Response:
        return self.post(self.orders.revocation(f"{certificate.serial_number:x}"), "/v1/revocations")

    def crl(self) -> x509.CertificateRevocationList:
        answer = self.running.status("/ca/harbour.crl")
        assert answer.status_code == 200
        return x509.load_der_x509_crl(answer.content)

    def is_listed(self, certificate: x509.Certificate) -> bool:
        return self.crl().get_revoked_certificate_by_serial_number(certificate.serial_number) is not None

    def ocsp(self, pair: tuple[x509.Certificate, x509.Certificate], nonce: bytes | None = None) -> Any:
        """The certificate's status, or, when there is none, the status of the answer."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(*pair, hashes.SHA1())
        if nonce:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        answer = self.running.status(
            "/ca/harbour/ocsp",
            content=builder.build().public_bytes(serialization.Encoding.DER),
            headers={"Content-Type": "application/ocsp-request"},
        )
        assert answer.status_code == 200
        said = ocsp.load_der_ocsp_response(answer.content)
        if said.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
            return said.certificate_status
        return said.response_status

    def states(self) -> Counter[str]:
        """How many orders of holders are on record, by state."""
        with self.database() as database:
            return Counter(state for (state,) in database.execute("SELECT state FROM ca_certificates" + MINE))

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.running.data / "ca" / "ca.db")) as database:
            yield database

    def not_ready(self) -> dict[str, str]:
        answer = self.http.get("/readyz")
        assert answer.status_code == 503
        return {name: code for name, code in answer.json()["checks"].items() if code != "ok"}

    def is_ready(self) -> bool:
        return self.http.get("/readyz").status_code == 200


MINE = " WHERE authority = 'harbour' AND profile = 'citizen'"
GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
TRY_LATER = ocsp.OCSPResponseStatus.TRY_LATER


@pytest.fixture
def ca(one_ca: OneCa) -> Ca:
    made = Ca(one_ca)
    made.start()
    return made


def is_not_now(answer: httpx.Response, code: str) -> bool:
    """503 problem of this code, with a sentence, a hint and when to come again."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["detail"]
    assert problem["hint"]
    assert int(answer.headers["Retry-After"]) > 0
    return True


def says_so_in_both_languages(ca: Ca, document: bytes, code: str) -> None:
    """The same refusal for now, in English and in Chinese."""
    english, chinese = (ca.post(document, language=language) for language in ("en", "zh"))
    for answer in (english, chinese):
        assert is_not_now(answer, code)
    for part in ("detail", "hint"):
        assert english.json()[part].isascii() or "“" in english.json()[part]
        assert any("一" <= character <= "鿿" for character in chinese.json()[part])


def check_whole(ca: Ca, *, issued: int) -> None:
    """Nothing half-done, nothing doubled, the list complete, the audit trail whole and signed to its end."""
    data = ca.running.data
    with ca.database() as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT serial, state, order_id FROM ca_certificates" + MINE).fetchall()
        entries = database.execute("SELECT event, subject FROM audit_entries").fetchall()
        numbers = [n for (n,) in database.execute("SELECT number FROM ca_crls WHERE authority = 'harbour'")]
    assert Counter(state for _, state, _ in rows) == {"issued": issued}
    assert len({serial for serial, *_ in rows}) == len({order for *_, order in rows}) == issued
    once = Counter(subject for event, subject in entries if event == "certificate.issued")
    assert all(once[f"harbour/{serial}"] == 1 for serial, *_ in rows)
    assert len(numbers) == len(set(numbers))
    opened = open_member("ca", data)
    export_to_file(opened.context.database, data.parent / "audit.jsonl", service="ca")
    opened.close()
    keys = {}
    for file in (data / "ca" / "audit-keys").glob("*.pem"):
        key = serialization.load_pem_public_key(file.read_bytes())
        keys[key_id(key)] = key
    report = verify_export(data.parent / "audit.jsonl", keys=keys)
    assert report.entries == len(entries)
    assert report.unsigned_entries == 0


# ------------------------------------------------------------------ the token


def test_the_token_is_moved_away_and_comes_back(ca: Ca, run_command: Command, eventually: Eventually) -> None:
    """harbour; one certificate is out, then DATA/softhsm is gone. Nothing is issued, status is answered as
    far as it can be, a revocation counts; then the folder is back."""
    pair, other = ca.issue(), ca.issue()
    assert ca.ocsp(pair) is GOOD
    order, late = ca.order(), ca.order()
    store = ca.running.data / "softhsm"
    store.rename(store.with_name("away"))

    says_so_in_both_languages(ca, order, "TOKEN_UNAVAILABLE")
    assert is_not_now(ca.post(late), "TOKEN_UNAVAILABLE")
    # The order that met the loss has its serial; those that come later leave nothing.
    assert ca.states() == {"issued": 2, "intended": 1}
    assert ca.not_ready() == {"token": "TOKEN_UNAVAILABLE"}
    assert not ca.is_listed(other[0])
    assert ca.running.status("/ca/harbour.cer").status_code == 200
    assert ca.ocsp(pair) is GOOD  # signed before
    assert ca.ocsp(pair, nonce=b"n" * 16) is TRY_LATER
    # Never asked about: good if the job has signed that ahead by now, no answer if it has not.
    assert ca.ocsp(other) in {GOOD, TRY_LATER}
    revoked = ca.revoke(pair[0])
    assert (revoked.status_code, revoked.json()["crl_number"]) == (200, None)
    assert ca.ocsp(pair) is TRY_LATER  # never "good" again
    assert not store.exists()  # nobody has begun an empty one

    store.with_name("away").rename(store)
    first = eventually(lambda: (r := ca.post(order)).status_code < 300 and r, AGAIN_S)
    again = ca.post(order)
    assert (again.status_code, again.json()) == (200, first.json())
    assert ca.post(late).status_code == 201
    assert ca.ocsp(pair) is REVOKED
    assert ca.revoke(other[0]).json()["crl_number"]
    assert ca.is_listed(pair[0])
    assert ca.is_listed(other[0])
    assert ca.is_ready()
    assert ca.running.stop() == 0
    check_whole(ca, issued=4)


def test_started_without_its_token_it_serves_status_and_issues_later(
    one_ca: OneCa, eventually: Eventually
) -> None:
    """The folder is away at start: lists are served, nobody makes an empty store in its place; when it is
    back, the running service issues."""
    ca = Ca(one_ca)
    store = ca.running.data / "softhsm"
    store.rename(store.with_name("away"))
    ca.start()
    order = ca.order()
    assert is_not_now(ca.post(order), "TOKEN_UNAVAILABLE")
    assert ca.crl().next_update_utc
    assert ca.states()["issued"] == 0
    assert not store.exists()

    store.with_name("away").rename(store)
    assert eventually(lambda: (r := ca.post(order)).status_code < 300 and r, AGAIN_S)
    assert ca.running.stop() == 0  # signs the end of the audit trail with the key that was away
    check_whole(ca, issued=1)


# ------------------------------------------------------------------ the database


def test_the_database_is_moved_away_and_comes_back(ca: Ca) -> None:
    """ca.db is moved away under the running service: nothing is written into the file that is not there any
    more, lists are served. Moved back, the service works by itself, without a restart."""
    pair, order = ca.issue(), ca.order()
    revocation = ca.orders.revocation(f"{pair[0].serial_number:x}")
    file = ca.running.data / "ca" / "ca.db"
    size = file.stat().st_size
    file.rename(file.with_name("away.db"))

    says_so_in_both_languages(ca, order, "DATABASE_UNAVAILABLE")
    assert is_not_now(ca.post(revocation, "/v1/revocations"), "DATABASE_UNAVAILABLE")
    assert "database" in ca.not_ready()
    assert ca.running.status("/healthz").status_code == 200
    assert not ca.is_listed(pair[0])
    assert ca.running.status("/ca/harbour.cer").status_code == 200
    assert ca.ocsp(pair) is TRY_LATER
    assert not file.exists()
    assert file.with_name("away.db").stat().st_size == size

    file.with_name("away.db").rename(file)
    assert ca.post(order).status_code == 201
    assert ca.post(order).status_code == 200
    assert ca.post(revocation, "/v1/revocations").status_code == 200
    assert ca.is_listed(pair[0])
    assert ca.ocsp(pair) is REVOKED
    assert ca.is_ready()
    assert ca.running.stop() == 0
    check_whole(ca, issued=2)


def test_a_lost_database_is_never_replaced_by_an_empty_one(
    ca: Ca, run_command: Command, tmp_path: Path
) -> None:
    """ca.db is away at start: the service does not start, says why and what to do, and touches nothing.
    An empty one in its place would forget every certificate and number lists from 1 again."""
    pair = ca.issue()
    ca.running.kill()
    folder = ca.running.data / "ca"
    (folder / "ca.db").rename(tmp_path / "away.db")
    before = {path.name: path.read_bytes() for path in folder.glob("ca.db*")}

    said = run_command(ca.running.data, "up", "--members", "ca", "--http-port", 0, check=False)
    assert said.returncode == 3
    assert "ca.db" in said.stderr
    assert "backup" in said.stderr
    assert {path.name: path.read_bytes() for path in folder.glob("ca.db*")} == before

    (tmp_path / "away.db").rename(folder / "ca.db")
    ca.start()
    assert ca.ocsp(pair) is GOOD
    assert ca.running.stop() == 0
    check_whole(ca, issued=1)


# ------------------------------------------------------------------ the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for block in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * block) == block:
                    pass
    return ballast


def test_the_disk_is_full_and_has_room_again(
    small_disk: Path, make_ca: Callable[..., OneCa], eventually: Eventually
) -> None:
    """harbour on a disk without a free byte, its log too. Orders and revocations answer "not now" and leave
    nothing half-done, status is answered; with room again the same orders go through, once."""
    ca = Ca(make_ca(small_disk))
    ca.start()
    pair, other = ca.issue(), ca.issue()
    ballast = fill(small_disk)
    # What the journal has room for from before may still be written; soon there is none.
    answers: list[tuple[bytes, httpx.Response]] = []
    while not answers or answers[-1][1].status_code == 201:
        assert len(answers) < 400
        document = ca.order()
        answers.append((document, ca.post(document)))
        fill(small_disk)
    order, answer = answers.pop()
    assert is_not_now(answer, "DATABASE_UNAVAILABLE")
    says_so_in_both_languages(ca, order, "DATABASE_UNAVAILABLE")
    assert "disk" in ca.post(order).json()["detail"]
    revocation = ca.orders.revocation(f"{pair[0].serial_number:x}")
    assert is_not_now(ca.post(revocation, "/v1/revocations"), "DATABASE_UNAVAILABLE")
    assert not ca.is_listed(pair[0])
    assert ca.ocsp(pair) is GOOD
    assert ca.ocsp(other, nonce=b"n" * 16) is GOOD

    ballast.unlink()
    first = eventually(lambda: (r := ca.post(order)).status_code < 300 and r, AGAIN_S)
    again = ca.post(order)
    assert (again.status_code, again.json()) == (200, first.json())
    assert ca.post(revocation, "/v1/revocations").status_code == 200
    assert ca.post(revocation, "/v1/revocations").status_code == 200
    assert ca.ocsp(pair) is REVOKED
    assert eventually(lambda: ca.is_listed(pair[0]), 40)
    for document, before in answers:
        assert ca.post(document).json() == before.json()
    assert ca.running.stop() == 0
    ca.start()
    assert ca.running.stop() == 0
    check_whole(ca, issued=2 + len(answers) + 1)


# ------------------------------------------------------------------ SIGTERM


# The client's library (httpcore) forgets a socket whose handshake the stopping server cut off.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_sigterm_under_load_finishes_what_it_began(
    ca: Ca, run_command: Command, eventually: Eventually
) -> None:
    """Six clients order without a pause when the process is told to stop: each gets a whole answer or a
    connection error, never half of one; what was not answered is known or unknown to the next process, and
    the same order brings its one certificate."""
    acknowledged: dict[bytes, Any] = {}
    unanswered: list[bytes] = []
    wrong: list[str] = []
    lock, stopped = threading.Lock(), threading.Event()

    def work() -> None:
        with ca.running.client("ca") as client:
            while not stopped.is_set():
                document = ca.order()
                try:
                    answer = client.post("/v1/orders", content=document, headers=JOSE)
                    body = answer.json()
                except httpx.TransportError:
                    unanswered.append(document)
                    stopped.wait(0.02)
                except json.JSONDecodeError:
                    wrong.append("half an answer")
                else:
                    with lock:
                        acknowledged[document] = body
                    if answer.status_code != 201:
                        wrong.append(answer.text)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) > 20)
    status = ca.running.stop()
    stopped.set()
    for thread in threads:
        thread.join()
    assert status == 0
    assert wrong == []

    with ca.database() as database:
        rows = database.execute("SELECT state, serial FROM ca_certificates" + MINE).fetchall()
    assert {body["serial"] for body in acknowledged.values()} <= {serial for _, serial in rows}
    export = ca.running.data.parent / "stopped.jsonl"
    run_command(ca.running.data, "audit", "export", "ca", "--to", export)
    assert "not covered" not in run_command(ca.running.data, "audit", "verify", export).stderr

    ca.start()
    for document in unanswered:
        assert ca.post(document).status_code in (200, 201)
    for document, body in random.sample(sorted(acknowledged.items(), key=lambda item: item[0]), 5):
        assert ca.post(document).json() == body
    assert ca.running.stop() == 0
    check_whole(ca, issued=len(acknowledged) + len(unanswered))


# ------------------------------------------------------------------ two people, and the CA of the RA


USCC = "91440300MA5DEM004J"
WANG, LI = "440300190001011018", "440300190001011026"


def register_ra(ca_data: Path, ra_data: Path, run_command: Command, tmp_path: Path) -> None:
    """The RA's order key is made on its token and registered at the CA; its clerks have accounts."""
    key = tmp_path / "orders.pem"
    run_command(ra_data, "ra", "key", "--out", key)
    scope = ["--scope", "harbour:organisation"]
    run_command(ca_data, "ca", "registration-authority", "add", "ra", "--key", key, *scope)


def add_operator(data: Path, name: str, role: str, person: str) -> None:
    opened = open_member("ra", data)
    with opened.context.database.transaction() as connection:
        until = datetime(2099, 12, 31, tzinfo=UTC)
        opened.context.operators.add(connection, name, name.title(), [role], person, until)
    opened.close()


def application() -> dict[str, Any]:
    """A firm's application with a fresh key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")])
    request = x509.CertificateSigningRequestBuilder(subject).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return {
        "type": "organisation",
        "authority": "harbour",
        "fields": {
            "organization_name": "深圳市示例科技有限公司",
            "uscc": USCC,
            "state_or_province": "广东省",
            "locality": "深圳市",
            "agent_name": "张三",
            "agent_idcard": "440300190001010015",
            "mobile": "13800000000",
            "address": "深圳市福田区示范路1号",
            "postcode": "518000",
        },
        "consent": {"version": "2026-11", "how": "paper"},
        "csr_pem": request.public_bytes(serialization.Encoding.PEM).decode(),
        "submit": True,
    }


def issued_for_ra(data: Path) -> int:
    with contextlib.closing(sqlite3.connect(data / "ca" / "ca.db")) as database:
        query = "SELECT count(*) FROM ca_certificates WHERE profile = 'organisation' AND state = 'issued'"
        return int(database.execute(query).fetchone()[0])


def test_two_clerks_who_are_one_person(
    make_ca: Callable[..., OneCa], run_command: Command, tmp_path: Path
) -> None:
    """RA and CA in one process. A second account for one person is refused; where the settings permit it, the
    approval is refused all the same, and nothing is ordered. A second person approves: one certificate."""
    running, _orders = make_ca(tmp_path, "ca", "ra")
    data = running.data
    register_ra(data, data, run_command, tmp_path)
    add_operator(data, "wang", "clerk.entry", WANG)
    arguments = ["--name", "Wang", "--role", "clerk.review", "--person", WANG, "--valid-until", "2099-12-31"]
    refused = run_command(data, "operators", "add", "ra", "wang2", *arguments, check=False)
    assert refused.returncode == 1
    assert "already has the account wang" in refused.stderr
    assert "hint:" in refused.stderr
    assert WANG not in refused.stdout + refused.stderr
    (data / "onecert.toml").write_text("[sign_in]\nallow_same_person = true\n")
    add_operator(data, "wang2", "clerk.review", WANG)
    add_operator(data, "li", "clerk.review", LI)
    running.start()

    made = running.sign_in("ra", "wang").post("v1/applications", json=application())
    assert made.status_code == 201, made.text
    approve = f"v1/applications/{made.json()['id']}/approve"
    seen = {"content_sha256": made.json()["content_sha256"]}
    twin = running.sign_in("ra", "wang2")
    for language in ("en", "zh"):
        refused_approval = twin.post(approve, json=seen, headers={"Accept-Language": language})
        assert (refused_approval.status_code, refused_approval.json()["code"]) == (403, "SAME_PERSON")
        assert refused_approval.json()["hint"]
    assert twin.get(f"v1/applications/{made.json()['id']}").json()["state"] == "submitted"
    assert issued_for_ra(data) == 0

    done = running.sign_in("ra", "li").post(approve, json=seen)
    assert (done.status_code, done.json()["state"]) == (200, "issued"), done.text
    assert running.sign_in("ra", "li").post(approve, json=seen).status_code == 409
    assert issued_for_ra(data) == 1
    assert running.stop() == 0


def test_the_ca_is_away_while_a_clerk_approves(
    make_ca: Callable[..., OneCa],
    make_running: Callable[..., Any],
    run_command: Command,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    """RA and CA in two processes. The approval stands while the CA is down, the order waits; when the CA is
    back the job brings the certificate, one."""
    ca_running, _orders = make_ca(tmp_path / "ca", "ca")
    ra_data = tmp_path / "ra"
    ra_data.mkdir(mode=0o700)
    (ra_data / "onecert.toml").write_text(
        f"[server]\npeer_anchors = ['{ca_running.data}/tls/certificate.pem']\n"
        f"[server.peers]\nca = 'https://127.0.0.1:{ca_running.https}/ca'\n"
        "[ra]\nresend_every = '1s'\n"
    )
    register_ra(ca_running.data, ra_data, run_command, tmp_path)
    for name, role, person in (("wang", "clerk.entry", WANG), ("li", "clerk.review", LI)):
        add_operator(ra_data, name, role, person)
    ca_running.start()
    ra = make_running(ra_data, "ra").start()
    made = ra.sign_in("ra", "wang").post("v1/applications", json=application())
    assert made.status_code == 201, made.text
    assert ca_running.stop() == 0

    reviewer = ra.sign_in("ra", "li")
    place = f"v1/applications/{made.json()['id']}"
    approved = reviewer.post(f"{place}/approve", json={"content_sha256": made.json()["content_sha256"]})
    assert approved.status_code == 200, approved.text
    assert approved.json()["state"] in {"approved", "ordered"}
    time.sleep(1.5)  # the job tries too
    assert reviewer.get(place).json()["state"] in {"approved", "ordered"}
    assert issued_for_ra(ca_running.data) == 0

    ca_running.start()
    found = eventually(lambda: (r := reviewer.get(place).json())["state"] == "issued" and r, 40)
    assert found["certificate"]["serial"]
    assert issued_for_ra(ca_running.data) == 1
    assert ra.stop() == ca_running.stop() == 0
