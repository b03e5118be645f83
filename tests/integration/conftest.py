"""Running services as processes, and a registration authority's software that is not ours to trust.

Test modules import nothing from here: ask for a fixture by its name.
"""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server.contexts import open_member
from onecert.server.documents import sign_document

sys.path.insert(0, str(Path(__file__).parent))

from warm import Program, Warm

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith("ONECERT_") or key == "ONECERT_PKCS11_MODULE"
}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@cache
def warm_process() -> Warm:
    """What starts the processes of all tests here."""
    return Warm(ENVIRONMENT)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Starts `onecert` as a process that need not load the libraries first."""
    yield warm_process()
    warm_process().close()
    warm_process.cache_clear()


@pytest.fixture(autouse=True)
def _warm(warm: Warm) -> None:
    """It is closed after the last test."""


def command(data: Path, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `onecert … --data DATA` as a process of its own."""
    done = warm_process().run([*map(str, arguments), "--data", str(data)], ENVIRONMENT)
    if check:
        assert done.returncode == 0, done.stderr
    return done


class Running:
    """`onecert up` on a data folder; can be killed and started again on the same ports."""

    def __init__(self, data: Path, *members: str) -> None:
        self.data = data
        self.members = members
        self.https, self.http = free_port(), free_port()
        self.log = data / "services.log"
        self.process: Program | None = None
        self._clients: list[httpx.Client] = []

    def start(self) -> "Running":
        with self.log.open("ab") as log:
            self.process = warm_process().popen(
                [
                    "up",
                    "--data",
                    str(self.data),
                    "--members",
                    ",".join(self.members),
                    "--https-port",
                    str(self.https),
                    "--http-port",
                    str(self.http),
                ],
                ENVIRONMENT,
                stderr=log.fileno(),
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), self.log.read_text()[-3000:]
        return self

    def kill(self) -> None:
        """As a power cut would, for this process."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(30)
        self.process.stdout.close()
        self.process = None
        return status

    def client(self, service: str) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.data / "tls" / "certificate.pem"))
        made = httpx.Client(base_url=f"https://127.0.0.1:{self.https}/{service}", verify=context, timeout=30)
        self._clients.append(made)
        return made

    def close(self) -> None:
        """End the process and the clients, whatever state they are in."""
        if self.process is not None:
            self.kill()
        for client in self._clients:
            client.close()

    def status(self, path: str, **request: Any) -> httpx.Response:
        """Ask the status service (plain http): GET, or POST when there is content."""
        method = "POST" if "content" in request else "GET"
        return httpx.request(method, f"http://127.0.0.1:{self.http}{path}", timeout=30, **request)

    def sign_in(self, service: str, operator: str) -> httpx.Client:
        """A browser in which this operator has followed a one-time link."""
        opened = open_member(service, self.data)
        with opened.context.database.transaction() as connection:
            place = f"/{service}/sign-in/{opened.context.operators.create_link(connection, operator)}"
        opened.close()
        client = self.client(service)
        client.base_url = f"https://127.0.0.1:{self.https}/"
        page = client.get(place)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert token, page.text
        origin = {"Origin": f"https://127.0.0.1:{self.https}"}
        assert client.post(place, data={"csrf_token": token[1]}, headers=origin).status_code == 303
        client.base_url = f"https://127.0.0.1:{self.https}/{service}/"
        return client


class Orders:
    """A registration authority's order desk with a key in memory; every order is for another citizen."""

    def __init__(
        self, authority: str, name: str = "ra-test", *, key: ec.EllipticCurvePrivateKey | None = None
    ) -> None:
        self.authority, self.name = authority, name
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self._lock = threading.Lock()
        self._count = 0

    @property
    def public_pem(self) -> str:
        return (
            self.key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def _idcard(self) -> str:
        with self._lock:
            self._count += 1
            count = self._count
        # Nobody alive: born from 1900 on, the sequence of one office.
        born = date(1900, 1, 1) + timedelta(days=count // 900)
        body = f"440300{born:%Y%m%d}{count % 900 + 100:03d}"
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]

    def payload(self, **changes: Any) -> dict[str, Any]:
        """What an order says; ``changes`` replace parts of it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")])
        request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
        number = self._idcard()
        return {
            "order": str(uuid.uuid4()),
            "registration_authority": self.name,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "authority": self.authority,
            "profile": "citizen",
            "profile_version": 1,
            "subject": {"common_name": f"示例{number[-6:]}", "country": "CN", "locality": "深圳市"},
            "identity": {"idcard": number},
            "csr_pem": request.public_bytes(serialization.Encoding.PEM).decode(),
            "application_sha256": "ab" * 32,
            "approved_by": ["clerk1", "clerk2"],
        } | changes

    def sign(self, payload: dict[str, Any], typ: str = "onecert-order+json") -> bytes:
        return sign_document(payload, typ=typ, keys=[self.key])

    def revocation(self, serial: str, reason: str = "keyCompromise") -> bytes:
        payload = {
            "revocation": str(uuid.uuid4()),
            "registration_authority": self.name,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "authority": self.authority,
            "serial": serial,
            "reason": reason,
            "invalidity_date": None,
            "requested_by": ["security1"],
        }
        return self.sign(payload, "onecert-revocation+json")

    @staticmethod
    def post(client: httpx.Client, path: str, document: bytes) -> httpx.Response:
        return client.post(path, content=document, headers={"Content-Type": "application/jose+json"})


@pytest.fixture
def run_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    return command


@pytest.fixture(scope="session")
def held_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Orders]:
    """The data folder of the CA harbour (P-256) after its ceremony, to be copied, and a registered order
    key."""
    folder = tmp_path_factory.mktemp("held-ca")
    data, orders = folder / "data", Orders("harbour")
    data.mkdir(mode=0o700)
    command(data, "ca", "ceremony", ROOT / "demo/ceremonies/harbour.toml", "--apply")
    key = folder / "ra.pem"
    key.write_text(orders.public_pem)
    scopes = ["--scope", "harbour:citizen", "--scope", "harbour:organisation"]
    command(data, "ca", "registration-authority", "add", orders.name, "--key", key, *scopes)
    return data, orders


@pytest.fixture
def order_desk() -> Callable[..., Orders]:
    """``order_desk("harbour")`` is a registration authority's desk; it is registered by whoever uses it."""
    return Orders


@pytest.fixture
def make_ca(held_ca: tuple[Path, Orders]) -> Iterator[Callable[..., tuple[Running, Orders]]]:
    """``make_ca(folder, "ca", "ra")`` is that CA in a new folder, and who orders from it; not yet started."""
    made: list[Running] = []

    def make(folder: Path, *members: str) -> tuple[Running, Orders]:
        held, orders = held_ca
        shutil.copytree(held, folder / "data")
        made.append(Running(folder / "data", *(members or ("ca",))))
        return made[-1], Orders(orders.authority, orders.name, key=orders.key)

    yield make
    for running in made:
        running.close()


@pytest.fixture
def make_running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """``make_running(data, "ra")`` runs members on a data folder of one's own; killed after the test."""
    made: list[Running] = []

    def make(data: Path, *members: str) -> Running:
        made.append(Running(data, *members))
        return made[-1]

    yield make
    for running in made:
        running.close()


@pytest.fixture
def one_ca(tmp_path: Path, make_ca: Callable[..., tuple[Running, Orders]]) -> tuple[Running, Orders]:
    """The CA service with one authority (P-256) and a registered order key; not yet started."""
    return make_ca(tmp_path)
