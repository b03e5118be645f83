"""Fixtures of the server's tests: a service called "desk" whose clock stands still, and an operators' CA."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from flask import Flask, render_template_string, request

from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.languages import _
from onecert.server.members import Context
from onecert.server.operators import Operator, Operators, SignInConfig
from onecert.server.web import (
    NavItem,
    create_frame,
    current_operator,
    notify,
    public,
    requires_role,
    signed_api,
)
from onecert.server.web.testing import FrameClient

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_number(sequence: int) -> str:
    """A number of the test region, born on 1 January 1900, with a right check digit."""
    digits = f"99999919000101{sequence:03d}"
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, digits, strict=True)) % 11]


@dataclass
class OperatorsCa:
    """Issues operators' certificates; everything is right unless the test says otherwise."""

    name: str = "CN=Operators CA"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def subject(self) -> x509.Name:
        return x509.Name.from_rfc4514_string(self.name)

    def certificate(self) -> x509.Certificate:
        return (
            self._builder(self.subject, self.key.public_key(), T - 100 * DAY, T + 3000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .sign(self.key, SHA256())
        )

    def issue(
        self,
        name: str = "王芳",
        *,
        not_before: datetime = T - DAY,
        not_after: datetime = T + 300 * DAY,
        eku: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(subject, key.public_key(), not_before, not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
        )
        if eku is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
        return builder.sign(self.key, SHA256())

    def crl(self, *revoked: x509.Certificate, this_update: datetime = T - DAY) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(this_update)
            .next_update(this_update + 7 * DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(this_update)
                .build()
            )
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, not_before: datetime, not_after: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass
class Desk:
    """A small service on the real frame, database and audit trail."""

    context: Context
    clock: FixedClock
    app: Flask

    def client(self) -> FrameClient:
        return FrameClient(self.app, self.context)

    def operator(
        self, operator_id: str = "wang", roles: tuple[str, ...] = ("clerk",), *, number: int = 1, **more: Any
    ) -> Operator:
        with self.context.database.transaction() as connection:
            return self.context.operators.add(
                connection,
                id=operator_id,
                name=more.pop("name", "王芳"),
                roles=roles,
                person_id_number=id_number(number),
                valid_until=more.pop("valid_until", T + 30 * DAY),
                **more,
            )

    def link(self, operator_id: str = "wang") -> str:
        with self.context.database.transaction() as connection:
            return "/sign-in/" + self.context.operators.create_link(connection, operator_id)

    def suspend(self, operator_id: str = "wang") -> None:
        with self.context.database.transaction() as connection:
            self.context.operators.suspend(connection, operator_id)

    def events(self) -> list[tuple[str, str]]:
        with self.context.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT event, actor FROM audit_entries ORDER BY seq")
            return [(row[0], row[1]) for row in rows]

    @staticmethod
    def id_number(sequence: int) -> str:
        return id_number(sequence)

    @staticmethod
    def presenting(certificate: x509.Certificate) -> dict[str, str]:
        """What cheroot puts into the environment of a request on a connection with this certificate."""
        return {
            "SSL_CLIENT_CERT": certificate.public_bytes(Encoding.PEM).decode(),
            "SSL_CLIENT_VERIFY": "SUCCESS",
        }

    def trust(self, ca: OperatorsCa, *, crl: bytes | None = None) -> None:
        folder = self.context.shared / "operator-anchors"
        folder.mkdir(exist_ok=True)
        (folder / "ca.pem").write_bytes(ca.certificate().public_bytes(Encoding.PEM))
        if crl is not None:
            (folder / "ca.crl").write_bytes(crl)


def _build_app(context: Context) -> Flask:
    app = create_frame(
        "desk",
        context,
        navigation=[NavItem(_("Roles"), "things"), NavItem(_("Account"), "audit", roles=("auditor",))],
        max_request_bytes=64 * 1024,
    )

    @app.get("/things")
    @requires_role("clerk")
    def things() -> str:
        return render_template_string(
            "{% extends 'frame.html' %}{% block content %}<h1>{{ name }}</h1>{{ at|datetime }}{% endblock %}",
            name=current_operator().name,
            at=T,
        )

    @app.get("/audit")
    @requires_role("auditor")
    def audit() -> str:
        return "entries"

    @app.post("/things")
    def make_thing() -> str:
        notify(_("Next"))
        return f"made {request.form.get('name', '')}"

    @app.get("/open")
    @public
    def open_page() -> str:
        return "open"

    @app.get("/broken")
    @public
    def broken() -> str:
        raise RuntimeError("secret detail 4711")

    @app.post("/v1/things")
    def rest_thing() -> dict[str, str]:
        return {"by": current_operator().id}

    @app.post("/v1/orders")
    @signed_api
    def order() -> dict[str, int]:
        return {"bytes": len(request.get_data())}

    return app


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Any]:
    """``make_desk(session_idle=…)`` is a desk with these sign-in settings; ``url=``: another database."""
    opened: list[Database] = []

    def make(url: str = "", **settings: Any) -> Desk:
        folder = tmp_path / f"desk{len(opened)}"
        folder.mkdir()
        database = Database(url or f"sqlite:///{folder}/desk.db")
        opened.append(database)
        migrate(database, "onecert.server.migrations")
        clock = FixedClock(T)
        audit = AuditTrail("desk", clock)
        # Labels that the server's own catalogue happens to translate.
        roles = {"clerk": "Roles", "auditor": "Account"}
        context = Context(
            name="desk",
            data=folder,
            shared=folder,
            database=database,
            audit=audit,
            clock=clock,
            operators=Operators(
                folder, audit=audit, clock=clock, roles=roles, config=SignInConfig(**settings)
            ),
            public_url="https://localhost/desk",
            status_url="http://localhost/desk",
            connect=lambda service: httpx.Client(),
        )
        return Desk(context=context, clock=clock, app=_build_app(context))

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def desk(make_desk: Any) -> Desk:
    """A desk with the settings as they come."""
    made: Desk = make_desk()
    return made


@pytest.fixture(scope="session")
def operators_ca() -> OperatorsCa:
    """The CA of operators' certificates."""
    return OperatorsCa()


@pytest.fixture(scope="session")
def rogue_ca() -> OperatorsCa:
    """Another CA that calls itself the same."""
    return OperatorsCa()
