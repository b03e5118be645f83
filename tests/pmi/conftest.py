"""The PMI's test world: keys on a SoftHSM token, one authority, operators, holders, a clock that waits.

Holders are verified by a fake that knows their certificates; verification itself has its tests elsewhere.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from onecert.hsm import KeyAlgorithm
from onecert.pmi.app import create_app
from onecert.pmi.authorities.requests import make_request
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.config import PmiConfig
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.grants.acts import GrantRequest
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.issuing.signing import algorithm_of, public_key_der, raw_sign
from onecert.pmi.issuing.signing import assemble as put_together
from onecert.pmi.member import member
from onecert.pmi.parts import Parts, assemble
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database
from onecert.server.members import Context
from onecert.server.operators import Operator, Operators
from onecert.server.web.testing import FrameClient
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationLists,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.decision import PolicySource, Resource
from onecert.verifier.errors import RefusedError
from onecert.verifier.signatures import spki_der

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
APPROVER_ROLE = "urn:onecert:role:tax.approver"
READER_ROLE = "urn:onecert:role:tax.reader"

CATALOGUE = """
[[roles]]
uri = "urn:onecert:role:tax.approver"
zh = "税务审批人"
en = "Tax approver"
authorities = ["tax-office"]
second_person = true

[[roles]]
uri = "urn:onecert:role:tax.reader"
zh = "税务查询人"
en = "Tax reader"
authorities = ["tax-office"]
max_days = 30

[[roles]]
uri = "urn:onecert:role:police.chief"
zh = "公安负责人"
en = "Chief of police"
authorities = ["police"]
"""

# Attributes, roles that include others, kinds of holders, separation of duty; beside the roles above.
WIDE_CATALOGUE = (
    CATALOGUE
    + """
[[roles]]
uri = "urn:onecert:role:tax.auditor"
zh = "税务稽核人"
en = "Tax auditor"
authorities = ["tax-office"]

[[roles]]
uri = "urn:onecert:role:tax.head"
zh = "税务负责人"
en = "Head of taxes"
authorities = ["tax-office"]
includes = ["urn:onecert:role:tax.clerk"]
holders = "person"

[[roles]]
uri = "urn:onecert:role:tax.clerk"
zh = "税务经办人"
en = "Tax clerk"
authorities = ["tax-office"]

[[attributes]]
name = "group"
zh = "组"
en = "Group"
authorities = ["tax-office"]
multiple = true

[[attributes]]
name = "clearance"
zh = "密级"
en = "Clearance"
authorities = ["tax-office"]

[[attributes]]
name = "chargingIdentity"
zh = "计费标识"
en = "Charging identity"
authorities = ["tax-office"]

[[attributes]]
name = "accessIdentity"
zh = "访问标识"
en = "Access identity"
authorities = ["tax-office"]

[[attributes]]
name = "region"
oid = "1.3.6.1.4.1.99999.1.7"
syntax = "printable"
zh = "区划"
en = "Region"
authorities = ["tax-office"]
values = ["440303", "440304"]
multiple = true

[[attributes]]
name = "limit"
oid = "1.3.6.1.4.1.99999.1.8"
syntax = "integer"
zh = "限额"
en = "Limit"
authorities = ["tax-office"]
max_days = 10

[[attributes]]
name = "badge"
oid = "1.3.6.1.4.1.99999.1.9"
syntax = "utf8"
zh = "工号"
en = "Badge"
authorities = ["tax-office"]
encrypted = true

[[attributes]]
name = "licence"
oid = "1.3.6.1.4.1.99999.1.10"
syntax = "utf8"
zh = "许可"
en = "Licence"
authorities = ["police"]
second_person = true
holders = "entity"

[[exclusions]]
name = "four-eyes"
zh = "经办与稽核分离"
en = "Clerk and auditor are apart"
roles = ["urn:onecert:role:tax.clerk", "urn:onecert:role:tax.auditor"]
"""
)

POLICY = """
name = "tax"
rules = '''
@id("approver-approves")
@obligation("record the file number")
permit(principal in Role::"urn:onecert:role:tax.approver", action == Action::"approve", resource is Form)
when { resource.amount <= 10000 };

@id("reader-reads")
permit(principal in Role::"urn:onecert:role:tax.reader", action == Action::"read", resource is Form);

@id("nothing-under-audit")
forbid(principal, action == Action::"approve", resource is Form)
when { resource has under_audit && resource.under_audit };
'''

[[tests]]
name = "an approver approves a small form"
roles = ["urn:onecert:role:tax.approver"]
action = "approve"
resource = { type = "Form", id = "1", attributes = { amount = 500 } }
expect = "permit"
rules = ["approver-approves"]

[[tests]]
name = "nobody approves without the role"
action = "approve"
resource = { type = "Form", id = "1", attributes = { amount = 500 } }
expect = "not_applicable"
"""


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def usage(*bits: str) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bit in bits for bit in names})


@dataclass
class Ca:
    """Issues the authority's and the holders' certificates."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self.issue("运行CA", self.key.public_key(), ca=True, bits=("key_cert_sign",))

    def issue(
        self,
        common_name: str,
        public_key: Any,
        *,
        ca: bool = False,
        bits: tuple[str, ...] = ("digital_signature",),
        not_after: datetime = T + 1000 * DAY,
        with_key_id: bool = True,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(name("运行CA"))
            .serial_number(x509.random_serial_number())
            .not_valid_before(T - DAY)
            .not_valid_after(not_after)
            .public_key(public_key)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage(*bits), critical=True)
        )
        if with_key_id:
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue_sm2(self, common_name: str, public_key_der: bytes, bits: tuple[str, ...]) -> x509.Certificate:
        """For an SM2 key, which `cryptography` does not know: written for a P-256 key of the same length."""
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        tbs = self.issue(common_name, other, bits=bits).tbs_certificate_bytes
        tbs = tbs.replace(spki_der(other), public_key_der)
        ecdsa = algorithm_of(self.key.public_key()).identifier_der
        return x509.load_der_x509_certificate(put_together(tbs, ecdsa, raw_sign(self.key, tbs)))

    def holder(self, common_name: str = "张三") -> x509.Certificate:
        return self.issue(common_name, ec.generate_private_key(ec.SECP256R1()).public_key())


class KnownHolders:
    """A ``HolderVerifier`` that knows the certificates it was told of and refuses all others."""

    def __init__(self) -> None:
        self.entities: dict[bytes, str] = {}
        self.persons: dict[bytes, str] = {}
        self.error: Exception | None = None

    def know(self, certificate: x509.Certificate, entity: str, person: str = "") -> x509.Certificate:
        self.entities[certificate.public_bytes(Encoding.DER)] = entity
        self.persons[certificate.public_bytes(Encoding.DER)] = person
        return certificate

    def verify(self, certificate: bytes, at: datetime) -> HolderIdentity:
        if self.error is not None:
            raise self.error
        parsed = parse_certificate(certificate)
        if parsed.der not in self.entities:
            raise RefusedError("CERT_ISSUER_NOT_LISTED", subject=parsed.subject_text)
        common_name = parsed.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return HolderIdentity(
            certificate=parsed,
            entity=self.entities[parsed.der],
            person=self.persons.get(parsed.der, ""),
            name=str(common_name),
            ca_service="pearl",
        )

    def check(self) -> None:
        return None


def id_number(sequence: int) -> str:
    """A number of the test region, born on 1 January 1900, with a right check digit."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    digits = f"99999919000101{sequence:03d}"
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11]


class Pmi:
    """Everything of one PMI on a migrated database, with an authority ``tax-office`` when asked for."""

    def __init__(self, store: Path, folder: Path, url: str) -> None:
        self.ca = Ca()
        self.clock = FixedClock(T)
        self.database = Database(url)
        audit = AuditTrail("pmi", self.clock)
        self.operators = Operators(folder, audit=audit, clock=self.clock, roles=member.roles)
        self.context = Context(
            name="pmi",
            data=folder,
            shared=store.parent,
            database=self.database,
            audit=audit,
            clock=self.clock,
            operators=self.operators,
            public_url="https://127.0.0.1:8443/pmi",
            status_url="http://127.0.0.1:8080/pmi",
            connect=lambda service: pytest.fail("the PMI calls nobody"),
        )
        self.holders = KnownHolders()
        # Batches check their signatures in this process: a process of their own takes a second to start.
        self.config = PmiConfig(token=f"pmi-{secrets.token_hex(4)}", batch_workers=0)
        self.parts: Parts = assemble(self.config, self.context, holders=self.holders)
        self.holder = self.holders.know(self.ca.holder("张三"), "uscc:91440300MA5DEM004J")
        self.other = self.holders.know(self.ca.holder("李四"), "uscc:91440300MA5DEM0A63")
        self._people = 0

    def operator(self, operator_id: str, *roles: str, person: str = "") -> Operator:
        self._people += 1
        with self.database.transaction() as connection:
            return self.operators.add(
                connection,
                operator_id,
                f"操作员{operator_id}",
                roles,
                person or id_number(self._people),
                T + 300 * DAY,
            )

    def request_authority(
        self, authority: str = "tax-office", algorithm: str = "p-256", kind: str = "soa"
    ) -> x509.Certificate:
        """Have a key made and certified; not yet installed."""
        with self.database.transaction() as connection:
            label = self.parts.authorities.register(
                connection, authority, KeyAlgorithm(algorithm), actor="command:test", kind=kind
            )
        request = make_request(
            self.parts.token, label, KeyAlgorithm(algorithm), name=authority, organization="税务局"
        )
        bits = ("digital_signature", "crl_sign")
        if algorithm == "sm2":
            return self.ca.issue_sm2(authority, public_key_der(self.parts.signer.key(label)), bits)
        return self.ca.issue(authority, x509.load_pem_x509_csr(request).public_key(), bits=bits)

    def install(self, certificate: x509.Certificate, authority: str = "tax-office") -> None:
        with self.database.transaction() as connection:
            self.parts.authorities.install(
                connection,
                authority,
                certificate,
                [self.ca.certificate],
                signer=self.parts.signer,
                actor="command:test",
            )

    def set_up(self, algorithm: str = "p-256") -> None:
        """An authority with its certificate and first list, the catalogue, the policy, three operators."""
        self.authority_certificate = self.request_authority(algorithm=algorithm)
        self.install(self.authority_certificate)
        with self.database.transaction() as connection:
            self.parts.catalogues.publish(connection, self.catalogue(), actor="command:test")
        self.publish_policy()
        self.parts.publisher.renew(self.clock.now())
        self.officer = self.operator("officer", "attribute.officer")
        self.approver = self.operator("approver", "attribute.approver")
        self.auditor = self.operator("auditor", "auditor")

    def catalogue(self, text: str = CATALOGUE) -> Catalogue:
        path = self.context.data / "catalogue.toml"
        path.write_text(text, encoding="utf-8")
        return read_catalogue(path)

    def publish_catalogue(self, text: str) -> Catalogue:
        with self.database.transaction() as connection:
            return self.parts.catalogues.publish(connection, self.catalogue(text), actor="command:test")

    def add_authority(self, authority: str, kind: str = "aa") -> x509.Certificate:
        """One more authority with its certificate; the first time, the two people who answer for them."""
        if not hasattr(self, "administrator"):
            self.administrator = self.operator("administrator", "attribute.administrator")
            self.second = self.operator("second", "attribute.administrator")
        certificate = self.request_authority(authority, kind=kind)
        self.install(certificate, authority)
        return certificate

    def delegate(self, giver: str, receiver: x509.Certificate, *roles: str, **changes: Any) -> Any:
        """Delegate, with the second person's approval. ``depth``, ``permitted`` … are the constraints."""
        names = ("depth", "permitted", "excluded")
        constraints = {name: changes.pop(name) for name in names if name in changes}
        values = {"holder_form": "key", "kind": "delegation", "constraints": constraints, **changes}
        asked = self.asked(*roles, holder=receiver, authority=giver, **values)
        grant = self.parts.grants.request(asked, self.administrator)
        return self.parts.grants.approve(grant.id, self.second, content_sha256=grant.content_sha256)

    def publish_policy(self, text: str = POLICY) -> Any:
        key = self.parts.token.own_key(POLICY_KEY)
        with self.database.transaction() as connection:
            return self.parts.policies.publish(
                connection, PolicySource.from_toml(text.encode()), key=key, actor="command:test"
            )

    def asked(self, *roles: str, holder: x509.Certificate | None = None, **changes: Any) -> GrantRequest:
        values: dict[str, Any] = {
            "authority": "tax-office",
            "holder": (holder or self.holder).public_bytes(Encoding.PEM),
            "roles": roles or (READER_ROLE,),
        }
        return GrantRequest(**{**values, **changes})

    def grant(self, *roles: str, **changes: Any) -> Any:
        """Grant roles, with the second person's approval where it is needed."""
        grant = self.parts.grants.request(self.asked(*roles, **changes), self.officer)
        if grant.state == "waiting":
            grant = self.parts.grants.approve(grant.id, self.approver, content_sha256=grant.content_sha256)
        return grant

    def certificate_der(self, grant: Any) -> bytes:
        with self.database.reading() as connection:
            return self.parts.issuing.find_issued(connection, grant.id).certificate_der

    def decide(
        self,
        action: str = "approve",
        *,
        holder: x509.Certificate | None = None,
        amount: int = 500,
        **changes: Any,
    ) -> Any:
        values: dict[str, Any] = {
            "certificate": (holder or self.holder).public_bytes(Encoding.PEM),
            "action": action,
            "resource": Resource(type="Form", id="7", attributes={"amount": amount}),
        }
        return self.parts.decider.decide(Asked(**{**values, **changes}))

    def stranger(self) -> AttributeCertificateVerifier:
        """A relying party elsewhere: it has the authority's certificate and the published list."""
        with self.database.reading() as connection:
            authority = self.parts.authorities.load(connection, "tax-office")
            acrl = self.parts.publisher.newest(connection, "tax-office")
        trust = AttributeTrust(authorities=(authority.trusted([APPROVER_ROLE, READER_ROLE]),))
        return AttributeCertificateVerifier(trust=trust, status=RevocationLists(trust, [acrl.der]))

    def client(self, operator: Operator | None = None) -> FrameClient:
        client = FrameClient(create_app(self.parts), self.context)
        if operator is not None:
            client.sign_in(operator.id)
        return client

    def events(self) -> list[str]:
        with self.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT event FROM audit_entries ORDER BY seq")
            return [row[0] for row in rows]

    def close(self) -> None:
        self.parts.close()
        self.database.close()


@pytest.fixture
def new_pmi(
    softhsm_store: Path, tmp_path: Path, migrate_by_copy: Callable[..., None]
) -> Iterator[Callable[[str], Pmi]]:
    """Makes a PMI on an empty database; closed after the test."""
    made: list[Pmi] = []

    def new(url: str) -> Pmi:
        migrate_by_copy(url, "onecert.server.migrations", "onecert.pmi.migrations")
        made.append(Pmi(softhsm_store, tmp_path, url))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def pmi(bare_pmi: Pmi) -> Pmi:
    """A PMI that is set up, on SQLite."""
    bare_pmi.set_up()
    return bare_pmi


@pytest.fixture
def pmi_on_both(new_pmi: Callable[[str], Pmi], database_url: str) -> Pmi:
    """A PMI that is set up, once on SQLite and once on PostgreSQL."""
    made = new_pmi(database_url)
    made.set_up()
    return made


@pytest.fixture
def bare_pmi(new_pmi: Callable[[str], Pmi], tmp_path: Path) -> Pmi:
    """A PMI without authority, catalogue and policy."""
    return new_pmi(f"sqlite:///{tmp_path / 'pmi.db'}")


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    """What this file defines: test modules in importlib mode cannot import a neighbour."""
    return sys.modules[__name__]
