"""Fixtures of the CA's tests: a whole CA with fixed time, on both databases, with a token in memory."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url

sys.path.insert(0, str(Path(__file__).parent))

from ca_fakes import FaultyLedger, SoftToken, make_csr

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.config import CaConfig
from onecert.ca.issuing.ledger import Ledger
from onecert.ca.issuing.order_notices import REVOCATION_TYPE
from onecert.ca.issuing.orders import ORDER_TYPE
from onecert.ca.member import member, service_of
from onecert.ca.parts import Parts, assemble
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.server.members import Context, Service
from onecert.server.operators import Operators, SignInConfig

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
CEREMONIES = Path(__file__).parents[2] / "demo" / "ceremonies"
USCC = "91440300MA5DEM004J"
OTHER_USCC = "91440300MA5DEM0A63"
IDCARD = "440300190001010015"


@dataclass
class World:
    """One CA with its registration authority's key, ready to be ordered from."""

    context: Context
    config: CaConfig
    token: Any
    roots: Any
    clock: FixedClock
    ledger_type: type[Ledger] = Ledger
    ra_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    parts: Parts = field(init=False)
    _service: Service | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Build everything anew on the same database, folder and token, as a new process would."""
        self._service = None
        self.parts = assemble(
            self.config,
            self.context,
            token=self.token,
            ledger_type=self.ledger_type,
            kernel=lambda: None,
        )

    @property
    def service(self) -> Service:
        if self._service is None:
            self._service = service_of(self.parts, self.context)
        return self._service

    def ceremony(self, name: str) -> Ceremony:
        file = load_ceremony_file(CEREMONIES / f"{name}.toml")
        return Ceremony(file, self.parts, self.roots, actor="command:test")

    def hold(self, name: str = "harbour") -> World:
        list(self.ceremony(name).hold())
        return self

    def register(self, *scopes: str, name: str = "ra", key: Any = None) -> World:
        pem = (
            (key or self.ra_key)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.parts.registration_authorities.add(name, pem.decode(), list(scopes), actor="command:test")
        return self

    def order_payload(self, **changes: Any) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "order": str(uuid.uuid4()),
            "registration_authority": "ra",
            "created_at": self.clock.now().isoformat(),
            "authority": "harbour",
            "profile": "organisation",
            "profile_version": 1,
            "subject": {
                "common_name": "深圳市虚构贸易有限公司",
                "organization": "深圳市虚构贸易有限公司",
                "locality": "深圳市",
                "state_or_province": "广东省",
                "country": "CN",
            },
            "identity": {"uscc": USCC, "agent_idcard": IDCARD},
            "csr_pem": make_csr(),
            "application_sha256": "ab" * 32,
            "approved_by": ["clerk1", "clerk2"],
        }
        # Most tests renew at once; one about the profile's window says early=None.
        early = {"early": "the holder asked for it"} if changes.get("kind") == "renew" else {}
        return payload | early | changes

    def order(self, *, key: Any = None, **changes: Any) -> bytes:
        return sign_document(self.order_payload(**changes), typ=ORDER_TYPE, keys=[key or self.ra_key])

    def issue(self, **changes: Any) -> Any:
        return self.parts.issuance.issue(self.order(**changes))

    def revocation(self, serial: str, *, key: Any = None, **changes: Any) -> bytes:
        payload: dict[str, Any] = {
            "revocation": str(uuid.uuid4()),
            "registration_authority": "ra",
            "created_at": self.clock.now().isoformat(),
            "authority": "harbour",
            "serial": serial,
            "reason": "keyCompromise",
            "invalidity_date": None,
            "requested_by": ["security1"],
        }
        return sign_document(payload | changes, typ=REVOCATION_TYPE, keys=[key or self.ra_key])

    def crl(self, authority: str = "harbour") -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl(self.parts.files.path(authority, "crl").read_bytes())

    def serials_on_list(self, authority: str = "harbour") -> set[str]:
        return {f"{entry.serial_number:x}" for entry in self.crl(authority)}


def make_context(folder: Path, database: Database, clock: Any) -> Context:
    data = folder / "ca"
    data.mkdir(mode=0o700, exist_ok=True)
    audit = AuditTrail("ca", clock)
    return Context(
        name="ca",
        data=data,
        shared=folder,
        database=database,
        audit=audit,
        clock=clock,
        operators=Operators(data, audit=audit, clock=clock, roles=member.roles, config=SignInConfig()),
        public_url="https://127.0.0.1:8443/ca",
        status_url="http://127.0.0.1:8080/ca",
        connect=_no_peers,
    )


def _no_peers(service: str) -> Any:
    raise AssertionError(f"the CA asks nobody, not even {service}")


_PACKAGES = ("onecert.server.migrations", "onecert.ca.migrations")


@contextmanager
def _opened(folder: Path, url: str, like: World | None = None, **more: Any) -> Iterator[World]:
    """A world on a migrated database; `like` names one whose copy the folder and the database are."""
    database, clock = Database(url), FixedClock(T)
    if like is not None:
        more |= {"ra_key": like.ra_key}
    try:
        yield World(
            context=make_context(folder, database, clock),
            config=CaConfig(batch_workers=0),
            token=like.token.copy() if like else SoftToken("ca"),
            roots=like.roots.copy() if like else SoftToken("ca-root"),
            clock=clock,
            **more,
        )
    finally:
        database.close()


def _hold(folder: Path, url: str) -> World:
    """The harbour CA (P-256) with one registered RA, closed."""
    with _opened(folder, url) as made:
        made.hold("harbour").register("harbour:*", "harbour:*+early")
        with made.context.database.transaction() as connection:
            connection.exec_driver_sql("SELECT 1")
        return made


@pytest.fixture
def empty_world(tmp_path: Path, migrate_by_copy: Callable[..., None]) -> Iterator[World]:
    """A CA on SQLite before any ceremony."""
    url = f"sqlite:///{tmp_path / 'ca.db'}"
    migrate_by_copy(url, *_PACKAGES)
    with _opened(tmp_path, url) as made:
        yield made


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory, migrate_by_copy: Callable[..., None]) -> World:
    """The harbour CA after its ceremony, closed; `world` and `lite` work on copies of it."""
    folder = tmp_path_factory.mktemp("held")
    url = f"sqlite:///{folder / 'ca.db'}"
    migrate_by_copy(url, *_PACKAGES)
    return _hold(folder, url)


@pytest.fixture(scope="session")
def held_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory,
    prepared_schema: Callable[[Callable[[str], None]], Callable[[str], None]],
    migrate_by_copy: Callable[..., None],
) -> tuple[World, Callable[[str], None]]:
    """The same on PostgreSQL, and what fills an empty schema with a copy of it."""
    folder, made = tmp_path_factory.mktemp("held-on-postgresql"), list[World]()

    def prepare(url: str) -> None:
        migrate_by_copy(url, *_PACKAGES)
        made.append(_hold(folder, url))

    fill = prepared_schema(prepare)
    return made[0], fill


@contextmanager
def copied(held: World, folder: Path, ledger_type: type[Ledger] = Ledger) -> Iterator[World]:
    """A copy of a closed world in a folder, opened."""
    shutil.copytree(held.context.shared, folder, dirs_exist_ok=True)
    with _opened(folder, f"sqlite:///{folder / 'ca.db'}", held, ledger_type=ledger_type) as world:
        yield world


@contextmanager
def _copied_on(
    request: pytest.FixtureRequest, folder: Path, url: str, ledger_type: type[Ledger] = Ledger
) -> Iterator[World]:
    """A copy of the harbour CA on the engine that a test asks for."""
    if url.startswith("sqlite"):
        held = request.getfixturevalue("held")
        shutil.copytree(held.context.shared, folder, dirs_exist_ok=True)
        for path in folder.glob("ca.db*"):
            path.rename(path.with_name(path.name.replace("ca.db", Path(str(make_url(url).database)).name)))
    else:
        held, fill = request.getfixturevalue("held_on_postgresql")
        shutil.copytree(held.context.shared, folder, dirs_exist_ok=True)
        fill(url)
    with _opened(folder, url, held, ledger_type=ledger_type) as world:
        yield world


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[World]:
    """The harbour CA (P-256) with one registered RA; runs on SQLite and on PostgreSQL."""
    with _copied_on(request, tmp_path, database_url) as made:
        yield made


@pytest.fixture
def lite(tmp_path: Path, held: World) -> Iterator[World]:
    """Like `world`, on SQLite only and quick: for what does not depend on the database."""
    with copied(held, tmp_path) as world:
        yield world


@pytest.fixture
def copies(held: World) -> Callable[[Path], AbstractContextManager[World]]:
    """Opens copies of the harbour CA, as many as wanted, with a record that can be interrupted."""
    FaultyLedger.fault = FaultyLedger.crash = None
    return lambda folder: copied(held, folder, FaultyLedger)


@pytest.fixture
def faulty(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[World]:
    """Like `world`, with a record that can be interrupted at each commit."""
    FaultyLedger.fault = FaultyLedger.crash = None
    with _copied_on(request, tmp_path, database_url, FaultyLedger) as made:
        yield made


@pytest.fixture
def csr() -> Callable[..., str]:
    return make_csr


@pytest.fixture
def day() -> timedelta:
    return timedelta(days=1)


@pytest.fixture
def changed() -> Callable[..., dict[str, Any]]:
    """A copy of a mapping with changes; None takes a key away."""

    def change(mapping: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        merged = {**mapping, **changes}
        return {key: value for key, value in merged.items() if value is not None}

    return change
