"""The stage of the demo's story: running services, signed-in people, a department, and foreign software."""

import base64
import secrets
import socket
import ssl
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from applicant import make_request, openssl, sign
from authorities import ROLE_AUTHORITY
from city import LICENSED, City
from commands import ENVIRONMENT, CommandError, Process
from cryptography.hazmat.primitives import serialization
from desk import Desk

from onecert.server.documents import sign_document

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Two firms of applicants.csv: a renamed one, and one that the register of legal entities has cancelled.
COMPANY, OTHER = "91440300MA5DEM004J", "91440300MA5DEM0A63"
DIGEST = {"pearl": "rsa-sha256", "harbour": "ecdsa-sha256", "summit": "ecdsa-sha256"}
# After something was fetched between two files, a department tries again after a minute.
PATIENCE_S = 75
VISIT = timedelta(seconds=4)  # the term of a visitor's certificate, short enough to wait for its end


class Stage:
    """What the story acts with; every method does what some person's or department's software does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        https, http = free_ports()
        self.city = City(folder / "city", https_port=https, http_port=http)
        self.services: Process | None = None
        self.department: Process | None = None
        self.office: Process | None = None
        self.land: Process | None = None
        self.others: list[ThreadingHTTPServer] = []  # what serves beside this city
        self.desks: list[Desk] = []
        self.rows: list[dict[str, str]] = []
        self.issued: dict[str, dict[str, Any]] = {}
        self.home = folder / "applicants"

    def clear(self) -> None:
        """Close browsers and stop programs."""
        for desk in self.desks:
            desk.close()
        self.desks.clear()
        for process in (self.office, self.land, self.department, self.services):
            if process is not None:
                process.stop()
        self.office = self.land = self.department = self.services = None
        for server in self.others:
            server.shutdown()
            server.server_close()
        self.others.clear()

    def wait(self, reached: Callable[[], bool]) -> bool:
        """Give the department, which asks every second, its time."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if reached():
                return True
            time.sleep(0.3)
        return False

    def http(self) -> httpx.Client:
        """A client that trusts the city's TLS certificate."""
        return httpx.Client(
            verify=ssl.create_default_context(cafile=str(self.city.papers / "operations-root.pem")),
            timeout=20,
        )

    def desk(self, service: str, operator: str) -> Desk:
        """Sign an operator in with a one-time link."""
        link = self.city.command("operators", "link", service, operator).strip().splitlines()[-1]
        desk = Desk(f"{self.city.https}/{service}", link, str(self.city.papers / "operations-root.pem"))
        self.desks.append(desk)
        return desk

    def of(self, authority: str | None, uscc: str) -> str:
        """The key of the issued organisation certificate of this entity."""
        return next(
            row["key"]
            for row in self.rows
            if row["key"] in self.issued
            and row["type"] == "organisation"
            and row["uscc"] == uscc
            and authority in (None, row["authority"])
        )

    def start_department(self) -> None:
        """Start the department's program in its own environment."""
        folder = self.folder / "department"
        folder.mkdir()
        papers = self.city.papers
        self.department = Process(
            [
                ROOT / ".tools" / "department" / "bin" / "python",
                HERE / "department.py",
                "--folder",
                folder,
                "--application",
                "tax-office",
                "--trust-list",
                f"{self.city.http}/supervision/trust-list.json",
                "--trust-root",
                papers / "trust-root.json",
                "--attribute-authority",
                papers / f"{ROLE_AUTHORITY}.pem",
                "--attribute-list",
                f"{self.city.http}/pmi/{ROLE_AUTHORITY}.acrl",
                "--decisions",
                f"{self.city.https}/pmi/v1/decisions",
                "--tls-anchor",
                papers / "operations-root.pem",
            ],
            self.folder / "department.log",
            environment={key: value for key, value in ENVIRONMENT.items() if key != "PYTHONPATH"},
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Ask the department's program."""
        assert self.department is not None
        answer = httpx.request(method, self.department.urls[0] + path, json=body, timeout=30)
        return answer.status_code, answer.json()

    def login(self, key: str, *, replay: bool = False) -> tuple[int, dict[str, Any]]:
        """Log in as the holder of this key, signing with openssl."""
        session = secrets.token_hex(8)
        challenge = self.ask("POST", "/challenge", {"session": session})[1]
        signature = sign(self.home / f"{key}.key", base64.b64decode(challenge["data"]))
        authority = next(row["authority"] for row in self.rows if row["key"] == key)
        body = {
            "session": session,
            "challenge": challenge["id"],
            "certificate": (self.home / f"{key}.pem").read_text("ascii"),
            "signature": base64.b64encode(signature).decode(),
            "algorithm": DIGEST[authority],
        }
        answer = self.ask("POST", "/login", body)
        return self.ask("POST", "/login", body) if replay else answer

    def openssl_verify(self, authority: str, key: str) -> Any:
        """openssl verify with our lists of both levels."""
        crls = []
        for name in (authority, f"{authority}-root"):
            der = self.http().get(f"{self.city.http}/ca/{name}.crl").content
            crls.append(openssl("crl", "-inform", "DER", data=der).stdout)
        lists = self.folder / f"{authority}-crls.pem"
        lists.write_bytes(b"".join(crls))
        papers = self.city.papers
        return openssl(
            "verify",
            "-crl_check_all",
            "-CAfile",
            papers / f"{authority}-root.pem",
            "-untrusted",
            papers / f"{authority}.pem",
            "-CRLfile",
            lists,
            self.home / f"{key}.pem",
            check=False,
        )

    def openssl_ocsp(self, authority: str, key: str) -> str:
        """openssl ocsp, answer verified up to the root."""
        papers = self.city.papers
        done = openssl(
            "ocsp",
            "-issuer",
            papers / f"{authority}.pem",
            "-cert",
            self.home / f"{key}.pem",
            "-CAfile",
            papers / f"{authority}-root.pem",
            "-verify_other",
            papers / f"{authority}.pem",
            "-url",
            f"{self.city.http}/ca/{authority}/ocsp",
            check=False,
        )
        text = (done.stdout + done.stderr).decode(errors="replace")
        return text if "Response verify OK" in text else "not verified: " + text

    def verify_command(self, key: str) -> list[str | Path]:
        """Arguments of onecert-verify for one certificate with the city's list and CRLs."""
        folder = self.folder / "crls"
        folder.mkdir(exist_ok=True)
        crls: list[str | Path] = []
        for name in LICENSED:
            path = folder / f"{name}.crl"
            path.write_bytes(self.http().get(f"{self.city.http}/ca/{name}.crl").content)
            crls += ["--crl", path]
        trust_list = self.folder / "trust-list.json"
        trust_list.write_bytes(self.http().get(f"{self.city.http}/supervision/trust-list.json").content)
        root = self.city.papers / "trust-root.json"
        return [
            "certificate",
            "--trust-list",
            trust_list,
            "--trust-root",
            root,
            *crls,
            "--json",
            self.home / f"{key}.pem",
        ]

    def foreign_certificate(self) -> str:
        """A certificate of a CA that nobody listed, made by openssl."""
        key, cert = self.home / "unknown.key", self.home / "unknown.pem"
        openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-keyout",
            key,
            "-out",
            cert,
            "-subj",
            "/CN=unknown CA",
            "-addext",
            "keyUsage=digitalSignature",
            "-addext",
            "basicConstraints=CA:FALSE",
        )
        return cert.read_text("ascii")

    def order_for_a_visitor(self) -> tuple[dict[str, Any], bool, datetime]:
        """Another acceptance point's own software orders a certificate for a term of seconds, twice.

        Returns:
            the CA's answer, whether the same order brought the same certificate again, and its end.
        """
        key, public = self.home / "kiosk.key", self.city.papers / "kiosk.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl("pkey", "-in", key, "-pubout", "-out", public)
        self.city.command(
            "ca", "registration-authority", "add", "kiosk", "--key", public, "--scope", "pearl:citizen"
        )
        citizen = next(row for row in self.rows if row["type"] == "citizen")
        now = datetime.now(UTC).replace(microsecond=0)
        order = {
            "order": str(uuid.uuid4()),
            "registration_authority": "kiosk",
            "created_at": now.isoformat(),
            "authority": "pearl",
            "profile": "citizen",
            "profile_version": 1,
            "subject": {"common_name": citizen["name"], "country": "CN", "locality": citizen["locality"]},
            "identity": {"idcard": citizen["idcard"]},
            "csr_pem": make_request(self.home, "visitor").read_text("ascii"),
            "not_after": (now + VISIT).isoformat(),
            "application_sha256": "00" * 32,
            "approved_by": ["clerk1", "clerk2"],
        }
        signer = serialization.load_pem_private_key(key.read_bytes(), None)
        document = sign_document(order, typ="onecert-order+json", keys=[signer])
        headers = {"Content-Type": "application/jose+json"}
        first, second = (
            self.http().post(f"{self.city.https}/ca/v1/orders", content=document, headers=headers)
            for _ in range(2)
        )
        first.raise_for_status()
        same = second.status_code == 200 and second.json()["serial"] == first.json()["serial"]
        return first.json(), same, now + VISIT


def refusal(act: Any) -> str:
    """What a command says when it refuses; empty when it did not."""
    try:
        act()
    except CommandError as exc:
        return exc.said
    return ""


def why(answer: dict[str, Any]) -> dict[str, Any]:
    """The decision and its reasons, short."""
    reasons = [reason.get("text") or reason.get("rule") or reason for reason in answer.get("reasons", [])]
    return {"decision": answer.get("decision") or answer.get("code"), "reasons": reasons}


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]


def pem(der: bytes) -> str:
    """DER as a PEM certificate."""
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def matches(key: Path, certificate_pem: str) -> bool:
    """Whether a private key file belongs to a certificate."""
    mine = openssl("pkey", "-in", key, "-pubout").stdout
    return mine == openssl("x509", "-noout", "-pubkey", data=certificate_pem.encode()).stdout


def free_ports() -> tuple[int, int]:
    """Two ports that nobody uses now."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
