"""A supervision per test: database of its own, officers with keys in software, three CAs with samples."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.members import Context
from onecert.server.operators import Operators
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.draft import Draft, parse_draft
from onecert.supervision.editor import Editor
from onecert.supervision.errors import PinRefusedError, TokenNotReadyError
from onecert.supervision.member import member
from onecert.supervision.root_file import Ceremony, holder_document, read_holder, sign_ceremony
from onecert.supervision.roots import Imported
from onecert.supervision.service import Supervision, make_supervision
from onecert.verifier.identity.check_digits import idcard_check_digit
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
FIRM = "91440300MA5DEM004J"
PROFILES = Path(__file__).parents[2] / "demo" / "profiles"
HOLDERS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("gu", "xu", "tan", "bai")}
CA_KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("pearl", "harbour", "summit")}
KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
NAMES = {"pearl": "珠江CA", "harbour": "海港CA", "summit": "高峰CA"}


class SoftKeys:
    """Officers' keys and the service's own in software. ``away``: the service's token does not answer.

    Whoever has an entry in ``pins`` must type it; the others need no PIN.
    """

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.used: list[str] = []
        self.timestamp_keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.away = False
        self.pins: dict[str, str] = {}

    def token_label(self, officer: str) -> str:
        return f"list-{officer}"

    @contextmanager
    def key(self, officer: str, *, pin: str, create: bool = False) -> Iterator[ec.EllipticCurvePrivateKey]:
        if self.pins.get(officer, pin) != pin:
            raise PinRefusedError("PIN_WRONG", officer=officer, left=9, seconds=1)
        if create:
            self.keys.setdefault(officer, ec.generate_private_key(ec.SECP256R1()))
        self.used.append(officer)
        yield self.keys[officer]

    def change_pin(self, officer: str, *, old: str, new: str) -> None:
        with self.key(officer, pin=old):
            self.pins[officer] = new

    def forget_wrong_pins(self, officer: str) -> None:
        """Nothing is counted here."""

    def timestamp_key(self, label: str, *, create: bool = False) -> ec.EllipticCurvePrivateKey:
        if self.away:
            raise TokenNotReadyError("away")
        if create:
            self.timestamp_keys.setdefault(label, ec.generate_private_key(ec.SECP256R1()))
        return self.timestamp_keys[label]


def person(number: int) -> str:
    """The number of a synthetic person, born 1900."""
    first = f"44030019000101{number:03d}"
    return first + idcard_check_digit(first)


@dataclass
class World:
    """The supervision below the web layer, and drafts to break."""

    context: Context
    clock: FixedClock
    keys: SoftKeys
    supervision: Supervision
    certificates: dict[str, str] = field(default_factory=dict)

    @property
    def editor(self) -> Editor:
        return self.supervision.editor

    def operator(self, name: str, number: int, *roles: str) -> None:
        with self.context.database.transaction() as connection:
            self.context.operators.add(
                connection,
                name,
                name.capitalize(),
                roles or ("list.officer",),
                person(number),
                T + 3650 * DAY,
            )

    def officers(self, *, root: bool = True) -> None:
        """Two officers, two people, and the root that names them."""
        for number, name in enumerate(("wang", "li"), start=1):
            self.operator(name, number)
            self.editor.add_officer(name, actor="test")
        if root:
            self.import_root(self.draft_root(threshold=2, holders=("gu", "xu", "tan")))

    def draft_root(self, *, holders: Sequence[str] = (), **options: Any) -> Ceremony:
        """The next root, which nobody has signed yet."""
        files = [read_holder(holder_document(name, HOLDERS[name], at=T)) for name in holders]
        return self.supervision.roots.draft(
            holders=files, threshold=options.pop("threshold", None), actor="test", **options
        )

    def import_root(
        self, ceremony: Ceremony, *signers: str, holders: Sequence[str] = (), apply: bool = True
    ) -> Imported:
        """Sign a root (two of the three, unless told otherwise) and take it in."""
        for name in signers or ("gu", "xu"):
            ceremony = sign_ceremony(ceremony, HOLDERS[name])
        files = [read_holder(holder_document(name, HOLDERS[name], at=T)) for name in holders]
        return self.supervision.roots.take_in(ceremony.root, holders=files, actor="test", apply=apply)

    @property
    def root(self) -> TrustRoot:
        """The root in force, as departments read it."""
        return load_trust_root(self.supervision.roots.newest().document)

    def draft_json(self) -> dict[str, Any]:
        services = []
        for name, zh in NAMES.items():
            services.append(
                {
                    "id": name,
                    "name": {"zh": zh, "en": f"{name.title()} CA"},
                    "entity": {"zh": f"{zh}公司", "en": f"{name.title()} Ltd"},
                    "certificate_pem": self.certificates[name],
                    "history": [{"status": "granted", "from": "2026-01-01T00:00:00Z"}],
                    "identity_profile": json.loads((PROFILES / f"{name}.json").read_text("utf-8")),
                    "contact": {"hotline": "0755-10000000"},
                    "supply_points": {
                        "crl": [f"http://127.0.0.1:8080/ca/{name}.crl"],
                        "ocsp": [f"http://127.0.0.1:8080/ca/{name}/ocsp"],
                    },
                }
            )
        services[0]["samples"] = [
            {"certificate_pem": leaf_pem("pearl", FIRM), "id": f"uscc:{FIRM}", "class": "organisation"},
            {"certificate_pem": leaf_pem("pearl", FIRM[:-1] + "K"), "refused": "ID_CHECK_DIGIT"},
        ]
        return {
            "operator": {"zh": "示例管理局", "en": "Example office"},
            "territory": "CN-44",
            "services": services,
        }

    def draft(self) -> Draft:
        return parse_draft(self.draft_json())

    def profile(self, name: str) -> dict[str, Any]:
        """An identity profile of the demonstration city."""
        profile: dict[str, Any] = json.loads((PROFILES / f"{name}.json").read_text("utf-8"))
        return profile

    def leaf(self, ca: str, number: str = FIRM, **options: Any) -> str:
        """A firm's certificate of one of the CAs, PEM."""
        return leaf_pem(ca, number, **options)

    def other_ca(self) -> str:
        """The certificate of a CA that is on no list, PEM."""
        return ca_pem("月亮CA", ec.generate_private_key(ec.SECP256R1()))

    def publish(self) -> int:
        """Import (when nothing is open), sign twice, publish."""
        for name in ("wang", "li"):
            self.editor.sign(name, actor=f"operator:{name}")
        return self.editor.publish(actor="test").sequence

    def events(self) -> list[str]:
        with self.context.database.reading() as connection:
            return [
                row[0] for row in connection.execute(text("SELECT event FROM audit_entries ORDER BY seq"))
            ]


def ca_pem(name: str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    key = key or CA_KEYS[name]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES.get(name, name))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(T - 1000 * DAY)
        .not_valid_after(T + 3000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def leaf_pem(ca: str, number: str, *, serial: int = 9, name: str = "示例公司") -> str:
    value = f"1@0006ZZ1{base64.b64encode(number.encode()).decode()}".encode()
    oid = x509.ObjectIdentifier("2.16.156.112548")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[ca])]))
        .public_key(CA_KEYS[ca].public_key())
        .serial_number(serial)
        .not_valid_before(T - DAY)
        .not_valid_after(T + DAY)
        .add_extension(x509.UnrecognizedExtension(oid, bytes([0x0C, len(value)]) + value), critical=False)
        .add_extension(KEY_USAGE, critical=True)
        .sign(CA_KEYS[ca], hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def build_world(tmp_path: Path, url: str) -> World:
    """A supervision on that database, migrated; whoever asks closes the database."""
    folder = tmp_path / "supervision"
    folder.mkdir(exist_ok=True)
    database = Database(url)
    migrate(database, "onecert.server.migrations", "onecert.supervision.migrations")
    clock = FixedClock(T)
    audit = AuditTrail("supervision", clock)
    context = Context(
        name="supervision",
        data=folder,
        shared=tmp_path,
        database=database,
        audit=audit,
        clock=clock,
        operators=Operators(folder, audit=audit, clock=clock, roles=member.roles),
        public_url="https://127.0.0.1:8443/supervision",
        status_url="http://127.0.0.1:8080/supervision",
        connect=lambda _: httpx.Client(),
    )
    keys = SoftKeys()
    return World(
        context=context,
        clock=clock,
        keys=keys,
        supervision=make_supervision(SupervisionConfig(), context, keys),
        certificates={name: ca_pem(name) for name in NAMES},
    )


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    """``make_world(url)`` is a supervision on that database, migrated."""
    databases: list[Database] = []

    def make(url: str) -> World:
        made = build_world(tmp_path, url)
        databases.append(made.context.database)
        return made

    yield make
    for database in databases:
        database.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating for every test would take most of the time."""
    path = tmp_path_factory.mktemp("migrated") / "supervision.db"
    database = Database(f"sqlite:///{path}")
    migrate(database, "onecert.server.migrations", "onecert.supervision.migrations")
    database.close()  # the last connection folds the WAL into the file
    assert not path.with_name("supervision.db-wal").exists()
    return path


@pytest.fixture
def world(make_world: Callable[[str], World], migrated_file: Path, tmp_path: Path) -> World:
    shutil.copy(migrated_file, tmp_path / "supervision.db")
    return make_world(f"sqlite:///{tmp_path}/supervision.db")
