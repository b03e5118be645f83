"""A department with its people, an attribute authority and what it has granted, in one folder, at any time.

summit CA (trust list) -> certificates of people     tax authority -> attribute certificates, ACRL
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from onecert.testkit.authority import CertificateRequest, establish, subject_name
from onecert.testkit.documents import sign_document
from onecert.testkit.identity_fields import fields_for
from onecert.testkit.recipes import AUTHORITIES
from onecert.testkit.trust_list import trust_list_payload
from onecert.testkit.trust_roles import TrustHolders

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
APPROVER, READER, OPERATOR = (
    f"urn:onecert:role:{name}" for name in ("tax.approver", "tax.reader", "ops.run")
)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"enforce_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# The hand-written encoder of attribute certificates, as the verifier's own tests use it.
lab = _load(Path(__file__).parents[1] / "test_attribute_certificate" / "conftest.py")


@dataclass
class Holder:
    """Somebody with a key and a certificate in ``holders/``."""

    name: str
    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def openssh_private(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))

    @property
    def openssh_public(self) -> str:
        return str(self.key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


@dataclass
class City:
    """Writes the folders that ``Department`` reads: ``department/`` and ``privileges/`` below ``folder``."""

    folder: Path
    at: datetime = T
    revoked: list[int] = field(default_factory=list)
    number: int = 1
    serial: int = 0x1000

    def __post_init__(self) -> None:
        self.department, self.privileges = self.folder / "department", self.folder / "privileges"
        for name in ("authorities", "acrls", "certificates", "delegations", "holders"):
            (self.privileges / name).mkdir(parents=True)
        (self.department / "crls").mkdir(parents=True)
        (self.department / "state").mkdir()
        self.ca = establish(
            "summit", "高峰CA", "p-256", base_url="http://pki.example", begin=self.at - 99 * DAY,
            end=self.at + 999 * DAY, at=self.at - HOUR,
        )  # fmt: skip
        self._publish_trust()
        self.authority = self.make_authority("税务属性权威")
        pem = self.authority.certificate.public_bytes(Encoding.PEM)
        (self.privileges / "authorities" / "tax.pem").write_bytes(pem)
        self.publish_crl()
        self.publish_acrl()

    def _publish_trust(self) -> None:
        holders = TrustHolders()
        everywhere = {row.id: self.ca for row in AUTHORITIES}
        payload = trust_list_payload(everywhere, at=self.at - DAY, lasts=90 * DAY)
        entities = payload["LoTE"]["TrustedEntitiesList"]
        at = [row.id for row in AUTHORITIES if row.listed].index("summit")
        payload["LoTE"]["TrustedEntitiesList"] = entities[at : at + 1]
        signed = sign_document(payload, typ="onecert-trust-list+json", keys=holders.list.keys)
        root = holders.sign_root(at=self.at - DAY)
        stamp = holders.sign_timestamp(at=self.at - HOUR, lasts=6 * DAY, root=root, trust_list=signed)
        for name, data in (("root", root), ("list", signed), ("timestamp", stamp)):
            (self.department / f"trust-{name}.json").write_bytes(data)

    def person(self, name: str, number: int = 1, *, key: Any = None) -> Holder:
        """A citizen with a certificate of the listed CA, put into ``holders/``."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        request = CertificateRequest(
            subject=subject_name(name), spki_der=spki, not_before=self.at - DAY,
            not_after=self.at + 300 * DAY,
            extensions=fields_for("summit", person=card(number), holder_class="004"),
        )  # fmt: skip
        holder = Holder(name, key, load_der_x509_certificate(self.ca.issue(request)))
        (self.privileges / "holders" / f"{name}.der").write_bytes(holder.der)
        return holder

    def make_authority(self, name: str) -> Any:
        """A key and a certificate of the listed CA that attribute certificates are signed with."""
        key = ec.generate_private_key(ec.SECP256R1())
        request = CertificateRequest(
            subject=subject_name(name),
            spki_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            not_before=self.at - DAY,
            not_after=self.at + 500 * DAY,
            usages=("digital_signature", "crl_sign"),
        )
        return lab.Identity(load_der_x509_certificate(self.ca.issue(request)), key)

    def grant(self, holder: Holder, *roles: str, targets: bytes | None = None, **changes: Any) -> int:
        """An attribute certificate for these roles, put into ``certificates/``; returns its serial number."""
        self.serial += 1
        world = lab.World(authority=self.authority, official=holder)
        extra = (lab.extension("2.5.29.55", targets, critical=True),) if targets else ()
        values: dict[str, Any] = {
            "serial": lab.integer(self.serial),
            "validity": lab.tlv(0x30, lab.generalized(self.at - HOUR), lab.generalized(self.at + 30 * DAY)),
            "attributes": (lab.attribute("2.5.4.72", *map(lab.role_value, roles)),),
            "more_extensions": extra,
        }
        der = world.issue(**{**values, **changes})
        (self.privileges / "certificates" / f"{self.serial:x}.der").write_bytes(der)
        return self.serial

    def revoke(self, serial: int) -> None:
        self.revoked.append(serial)
        self.publish_acrl()

    def publish_acrl(self, *, this_update: datetime | None = None, lasts: timedelta = 3 * DAY) -> None:
        self.number += 1
        this_update = this_update or self.at - HOUR
        data = lab.make_acrl(
            self.authority, *self.revoked, number=self.number, this_update=this_update,
            next_update=this_update + lasts, revoked_at=self.at - HOUR,
        )  # fmt: skip
        _replace(self.privileges / "acrls" / "tax.acrl", data)

    def publish_crl(self) -> None:
        data = self.ca.crl(this_update=self.at - HOUR, next_update=self.at + 30 * DAY)
        _replace(self.department / "crls" / "summit.crl", data)

    def config(self, more: str = "", *, roles: str = '["urn:onecert:role:*"]') -> str:
        """The part of a configuration file that all programs share, and ``more``."""
        return f"""\
[department]
folder = "{self.department}"
application = "tax-server"

[privileges]
folder = "{self.privileges}"

[[authorities]]
file = "tax.pem"
roles = {roles}
{more}"""


def card(number: int) -> str:
    """A synthetic number of an identity card: born 1900, with a right check digit."""
    digits = f"44030019000101{number:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11]


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


# For fixtures of a module, which cannot ask for those of a test.
sys.modules["enforce_city"] = sys.modules[__name__]


@pytest.fixture
def make_city(tmp_path: Path) -> Callable[..., City]:
    """``make_city(at=…)``: a new city below the test's folder."""

    def make(folder: Path | None = None, **settings: Any) -> City:
        return City(folder or tmp_path / "city", **settings)

    return make


@pytest.fixture
def city(make_city: Callable[..., City]) -> City:
    """A new city at T."""
    return make_city()


@pytest.fixture(scope="session")
def roles() -> tuple[str, str, str]:
    """Three roles: approver and reader of taxes, operator of machines."""
    return APPROVER, READER, OPERATOR
