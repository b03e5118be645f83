"""A small world of attribute certificates: one authority, one official, all valid until one thing breaks.

The encoder here is written by hand and apart from the one of ``onecert.pmi``, so that a test can break any
octet, and so that the two are tried against each other.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    Constraints,
    Delegations,
    Explanation,
    RevocationLists,
    TrustedAuthority,
    VerifiedAttributeCertificate,
)

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ROLE = "urn:onecert:role:tax.approver"
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
ECDSA_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")


def tlv(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(body).to_bytes(size, "big") + body


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = b""
    for arc in (first * 40 + second, *rest):
        group = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            group = bytes((arc & 0x7F | 0x80,)) + group
        octets += group
    return tlv(0x06, octets)


def generalized(at: datetime) -> bytes:
    return tlv(0x18, f"{at:%Y%m%d%H%M%SZ}".encode())


def role_value(uri: str) -> bytes:
    return tlv(0x30, tlv(0xA1, tlv(0x86, uri.encode())))


def attribute(dotted: str, *values: bytes) -> bytes:
    return tlv(0x30, oid(dotted), tlv(0x31, *sorted(values)))


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    return tlv(0x30, oid(dotted), b"\x01\x01\xff" if critical else b"", tlv(0x04, value))


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "深圳市示例单位"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass
class Identity:
    """A key and a certificate; self-signed is enough here, paths are tested elsewhere."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def key_usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{each: each in names for each in USAGES})


def pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def identity(
    common_name: str,
    *,
    ca: bool = False,
    usage: tuple[str, ...] = ("digital_signature", "crl_sign"),
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    key: ec.EllipticCurvePrivateKey | None = None,
    not_after: datetime = T + 365 * DAY,
) -> Identity:
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name("运行CA"))
        .serial_number(x509.random_serial_number())
        .not_valid_before(T - 100 * DAY)
        .not_valid_after(not_after)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(key_usage(*usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for value, critical in extra:
        builder = builder.add_extension(value, critical=critical)
    return Identity(builder.sign(key, hashes.SHA256()), key)


@dataclass(frozen=True)
class Parts:
    """An attribute certificate as its pieces of DER; ``replace`` one, then ``sign``."""

    holder: bytes
    issuer: bytes
    key_id: bytes
    version: bytes = integer(1)
    signature: bytes = ECDSA_SHA256
    serial: bytes = integer(0x1234567890ABCDEF)
    validity: bytes = tlv(0x30, generalized(T - DAY), generalized(T + DAY))
    attributes: tuple[bytes, ...] = (attribute("2.5.4.72", role_value(ROLE)),)
    unique_id: bytes = b""
    more_extensions: tuple[bytes, ...] = ()
    outer_algorithm: bytes | None = None
    with_key_id: bool = True

    def info(self) -> bytes:
        extensions = self.more_extensions
        if self.with_key_id:
            extensions = (extension("2.5.29.35", tlv(0x30, tlv(0x80, self.key_id))), *extensions)
        return tlv(
            0x30,
            self.version,
            self.holder,
            self.issuer,
            self.signature,
            self.serial,
            self.validity,
            tlv(0x30, *self.attributes),
            self.unique_id,
            tlv(0x30, *extensions) if extensions else b"",
        )

    def sign(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        info = self.info()
        signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
        return tlv(0x30, info, self.outer_algorithm or self.signature, tlv(0x03, b"\x00", signature))


def directory(name_der: bytes) -> bytes:
    return tlv(0xA4, name_der)


def base_certificate_id(certificate: x509.Certificate, *, serial: int | None = None) -> bytes:
    return tlv(
        0xA0,
        tlv(0x30, directory(certificate.issuer.public_bytes())),
        integer(certificate.serial_number if serial is None else serial),
    )


@dataclass
class World:
    """An authority, an official with a certificate, and a verifier that trusts the authority."""

    authority: Identity = field(default_factory=lambda: identity("属性授权机构一"))
    official: Identity = field(default_factory=lambda: identity("张三", usage=("digital_signature",)))
    other: Identity = field(default_factory=lambda: identity("李四", usage=("digital_signature",)))

    def parts(self, **changes: object) -> Parts:
        parts = Parts(
            holder=tlv(0x30, base_certificate_id(self.official.certificate)),
            issuer=tlv(0xA0, tlv(0x30, directory(self.authority.certificate.subject.public_bytes()))),
            key_id=self.authority.certificate.extensions.get_extension_for_class(
                x509.SubjectKeyIdentifier
            ).value.digest,
        )
        return replace(parts, **changes)  # type: ignore[arg-type]  # tests name the fields of Parts

    @staticmethod
    def key_id(identity: Identity) -> bytes:
        return x509.SubjectKeyIdentifier.from_public_key(identity.key.public_key()).digest

    def issue(self, **changes: object) -> bytes:
        return self.parts(**changes).sign(self.authority.key)

    def acrl(self, *revoked: int, number: int = 1, **changes: object) -> bytes:
        return make_acrl(self.authority, *revoked, number=number, **changes)

    def trust(self, **changes: object) -> AttributeTrust:
        authority = TrustedAuthority.from_certificate(
            self.authority.certificate, roles={"urn:onecert:role:tax.*"}
        )
        return AttributeTrust(authorities=(replace(authority, **changes),))

    def verifier(self, *lists: bytes, trust: AttributeTrust | None = None) -> AttributeCertificateVerifier:
        trust = trust or self.trust()
        status = RevocationLists(trust, lists or [self.acrl()])
        return AttributeCertificateVerifier(trust=trust, status=status)


def make_acrl(
    authority: Identity,
    *revoked: int,
    number: int | None = 1,
    this_update: datetime = T - timedelta(hours=1),
    next_update: datetime = T + DAY,
    point: x509.IssuingDistributionPoint | None = None,
    critical: bool = True,
    reason: x509.ReasonFlags = x509.ReasonFlags.privilege_withdrawn,
    revoked_at: datetime = T - timedelta(hours=2),
    signer: ec.EllipticCurvePrivateKey | None = None,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    with_point: bool = True,
    entry_extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(this_update)
        .next_update(next_update)
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    if with_point:
        builder = builder.add_extension(point or distribution_point(), critical=critical)
    key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(key, critical=False)
    for value, is_critical in extra:
        builder = builder.add_extension(value, critical=is_critical)
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        for value, is_critical in entry_extra:
            entry = entry.add_extension(value, critical=is_critical)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer or authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def distribution_point(**changes: object) -> x509.IssuingDistributionPoint:
    values: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": True,
    }
    return x509.IssuingDistributionPoint(**{**values, **changes})  # type: ignore[arg-type]  # names of the fields


@dataclass
class City:
    """A source of authority, authorities below it by delegation, and an official; all valid by default."""

    world: World
    givers: dict[str, Identity]
    delegations: list[tuple[bytes, x509.Certificate]] = field(default_factory=list)
    lists: dict[str, bytes] = field(default_factory=dict)
    issued: int = 0

    def issue(self, giver: str, to: Identity, roles: str = "ab", **changes: object) -> bytes:
        """An attribute certificate by this authority; the n-th one has serial number n."""
        self.issued += 1
        identity = self.givers[giver]
        values = [role_value(f"urn:onecert:role:tax.{role}") for role in roles]
        parts = replace(
            self.world.parts(
                holder=tlv(0x30, base_certificate_id(to.certificate)),
                issuer=tlv(0xA0, tlv(0x30, directory(identity.certificate.subject.public_bytes()))),
                key_id=World.key_id(identity),
                serial=integer(self.issued),
                attributes=(attribute("2.5.4.72", *values),),
            ),
            **changes,  # type: ignore[arg-type]  # tests name the fields of Parts
        )
        return parts.sign(identity.key)

    def delegate(
        self,
        giver: str,
        receiver: str,
        roles: str = "ab",
        constraints: Constraints | None = None,
        more: tuple[bytes, ...] = (),
        **changes: object,
    ) -> int:
        """A delegation from one authority to another; returns its serial number."""
        stated = Constraints() if constraints is None else constraints
        extensions = tuple(
            extension(each.oid.dotted_string, each.value, critical=each.critical)
            for each in stated.to_extensions()
        )
        values = {
            "validity": tlv(0x30, generalized(T - 2 * DAY), generalized(T + 2 * DAY)),
            "more_extensions": (*extensions, *more),
            **changes,
        }
        to = self.givers[receiver]
        self.delegations.append((self.issue(giver, to, roles, **values), to.certificate))
        return self.issued

    def grant(self, giver: str, roles: str = "a", **changes: object) -> bytes:
        return self.issue(giver, self.world.official, roles, **changes)

    def trust(self, **changes: object) -> AttributeTrust:
        source = TrustedAuthority.from_certificate(
            self.givers["source"].certificate, roles={"urn:onecert:role:tax.*"}, label="source"
        )
        values: dict[str, object] = {
            "authorities": (source,),
            "check_path": lambda certificate, at: None,
            **changes,
        }
        return AttributeTrust(**values)  # type: ignore[arg-type]  # tests name the fields

    def verifier(
        self, trust: AttributeTrust | None = None, **changes: object
    ) -> AttributeCertificateVerifier:
        trust = trust or self.trust()
        source = Delegations(self.delegations)
        lists = [self.lists.get(name) or make_acrl(giver) for name, giver in self.givers.items()]
        status = RevocationLists(trust, lists, delegations=Delegations(self.everybody()))
        values = {"trust": trust, "status": status, "delegations": source, **changes}
        return AttributeCertificateVerifier(**values)  # type: ignore[arg-type]  # tests name the fields

    def everybody(self) -> list[tuple[bytes, x509.Certificate]]:
        return [(b"", giver.certificate) for giver in self.givers.values()]

    def verify(self, data: bytes, **changes: object) -> VerifiedAttributeCertificate:
        return self.verifier(**changes).verify(data, holder=self.world.official.certificate, at=T)

    def explain(self, data: bytes, **changes: object) -> Explanation:
        return self.verifier(**changes).explain(data, holder=self.world.official.certificate, at=T)


GIVERS = ("source", "bureau", "office", "branch", "desk")


@pytest.fixture(scope="session")
def givers() -> dict[str, Identity]:
    """The authorities of a city, with keys that are made once."""
    return {each: identity(each) for each in GIVERS}


@pytest.fixture
def city(world: World, givers: dict[str, Identity]) -> City:
    """A city without delegations."""
    return City(world, dict(givers))


@pytest.fixture(scope="session")
def world() -> World:
    """Keys are made once; nothing in the world changes."""
    return World()


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    """The builders of this file: test modules in importlib mode cannot import a neighbour."""
    return sys.modules[__name__]
