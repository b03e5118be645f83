"""A small hierarchy that is the same on every machine: fixed keys, fixed dates, signatures without chance.

    Root A --- CA 1 --- CA 2 --- leaf, revoked leaf, responder
       \\        \\------ signer of CRLs, and the leaf that its indirect list covers
    Root B --- CA 1 (cross-certificate)

Everything is valid at ``T``. Inputs of the path target are edits of these pieces, so that a change here
gives the committed inputs another meaning, though never a wrong one.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from fuzz.tree import tlv

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ECDSA_SHA256 = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
ANY_POLICY = "2.5.29.32.0"
POLICY_1, POLICY_2 = "1.2.3.1", "1.2.3.2"
_DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_URI = x509.UniformResourceIdentifier("http://a.cn/1.crl")
Extensions = Iterable[tuple[x509.ExtensionType, bool]]


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """One of the fixed keys; for fuzzing only, the whole world knows them."""
    return ec.derive_private_key(0x0EC0FFEE_00000000 + number, ec.SECP256R1())


def spki(number: int) -> bytes:
    """SubjectPublicKeyInfo of a fixed key."""
    return key(number).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@lru_cache(maxsize=256)
def sign(tbs: bytes, number: int) -> bytes:
    """The DER signature of a fixed key, always the same."""
    return key(number).sign(tbs, _DETERMINISTIC)


def signed(tbs: bytes, number: int, *after: bytes, algorithm: bytes = ECDSA_SHA256) -> bytes:
    """``SEQUENCE { tbs, algorithm, signature, … }``: a certificate, a list or the inside of an answer."""
    return tlv(0x30, tbs, algorithm, tlv(0x03, b"\x00", sign(tbs, number)), *after)


def name(common_name: str) -> x509.Name:
    """``CN=…,C=CN``."""
    oids = (x509.NameOID.COUNTRY_NAME, x509.NameOID.COMMON_NAME)
    return x509.Name([x509.NameAttribute(o, text) for o, text in zip(oids, ("CN", common_name), strict=True)])


@dataclass(frozen=True)
class Party:
    """A certificate, and the number of its key."""

    certificate: x509.Certificate
    number: int

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def subject(self) -> x509.Name:
        return self.certificate.subject


def usage(*names: str) -> x509.KeyUsage:
    """A KeyUsage with these bits."""
    bits = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{bit: bit in names for bit in bits})


def issue(
    subject: str | x509.Name,
    number: int,
    issuer: Party | None = None,
    *,
    ca: bool = False,
    serial: int | None = None,
    extra: Extensions = (),
) -> Party:
    """A certificate for a fixed key; self-signed without an issuer."""
    named = name(subject) if isinstance(subject, str) else subject
    public_key = key(number).public_key()
    signer = number if issuer is None else issuer.number
    use = usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature")
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(0x1000 + number if serial is None else serial)
        .not_valid_before(T - 30 * DAY)
        .not_valid_after(T + 365 * DAY)
    )
    basic: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key(signer).public_key()), False),
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        (use, True),
    ]
    extra = list(extra)
    for value, critical in [
        *(pair for pair in basic if type(pair[0]) not in {type(e) for e, _ in extra}),
        *extra,
    ]:
        builder = builder.add_extension(value, critical)
    return Party(builder.sign(key(signer), hashes.SHA256(), ecdsa_deterministic=True), number)


def crl(
    issuer: Party,
    *revoked: tuple[int, Sequence[x509.ExtensionType]],
    number: int = 7,
    this_update: datetime = T - HOUR,
    next_update: datetime = T + DAY,
    extra: Extensions = (),
) -> bytes:
    """A list, DER; ``revoked`` are serials with the extensions of their entries."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject, last_update=this_update, next_update=next_update
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer.number).public_key())
    for value, critical in [(x509.CRLNumber(number), False), (authority, False), *extra]:
        builder = builder.add_extension(value, critical)
    for serial, extensions in revoked:
        entry = x509.RevokedCertificateBuilder(serial, T - DAY)
        for each in extensions:
            entry = entry.add_extension(each, isinstance(each, x509.CertificateIssuer))
        builder = builder.add_revoked_certificate(entry.build())
    signed_list = builder.sign(key(issuer.number), hashes.SHA256(), ecdsa_deterministic=True)
    return signed_list.public_bytes(Encoding.DER)


def scope(**changes: Any) -> x509.IssuingDistributionPoint:
    """The scope of a list."""
    values: dict[str, Any] = {"full_name": None, "relative_name": None, "only_some_reasons": None}
    values |= dict.fromkeys(("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl"), False)
    values["only_contains_attribute_certs"] = False
    return x509.IssuingDistributionPoint(**(values | changes))


def time(at: datetime) -> bytes:
    """GeneralizedTime."""
    return tlv(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


def integer(value: int) -> bytes:
    """INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def ocsp(issuer: Party, subject: Party, status: bytes = b"\x80\x00", responder: Party | None = None) -> bytes:
    """An answer about one certificate, DER, by the issuer or a responder that is sent along."""
    octets = key(issuer.number).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    digests = [hashlib.sha256(data).digest() for data in (issuer.subject.public_bytes(), octets)]
    algorithm = tlv(0x30, bytes.fromhex("0609608648016503040201"))
    cert_id = tlv(
        0x30,
        algorithm,
        *(tlv(0x04, digest) for digest in digests),
        integer(subject.certificate.serial_number),
    )
    single = tlv(0x30, cert_id, status, time(T - HOUR), tlv(0xA0, time(T + DAY)))
    signer = responder or issuer
    tbs = tlv(0x30, tlv(0xA1, signer.subject.public_bytes()), time(T - HOUR), tlv(0x30, single))
    along = tlv(0xA0, tlv(0x30, responder.der)) if responder else b""
    return ocsp_response(signed(tbs, signer.number, along))


def ocsp_response(basic: bytes) -> bytes:
    """A successful OCSPResponse around a BasicOCSPResponse."""
    kind = bytes.fromhex("06092b0601050507300101")
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, kind, tlv(0x04, basic))))


def revoked_status(at: datetime = T - DAY, reason: int = 1) -> bytes:
    """The revoked alternative of a CertStatus."""
    return tlv(0xA1, time(at), tlv(0xA0, tlv(0x0A, bytes((reason,)))))


class Hierarchy:
    """All pieces, each DER and signed."""

    def __init__(self) -> None:
        policies = x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier(POLICY_1), ["http://a.cn/cps"])]
        )
        either = x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier(p), None) for p in (POLICY_1, POLICY_2, ANY_POLICY)]
        )
        self.root_a, self.root_b = issue("Root A", 1, ca=True), issue("Root B", 2, ca=True)
        constraints = x509.NameConstraints(
            [
                x509.DNSName("a.cn"),
                x509.RFC822Name("a.cn"),
                x509.DirectoryName(x509.Name([name("x").rdns[0]])),
            ],
            [x509.DNSName("bad.a.cn"), x509.IPAddress(ipaddress.ip_network("10.9.0.0/16"))],
        )
        self.ca_1 = issue(
            "CA 1", 3, self.root_a, ca=True, extra=[(either, False), (x509.InhibitAnyPolicy(3), True)]
        )
        self.cross = issue("CA 1", 3, self.root_b, ca=True, serial=0x2003, extra=[(either, False)])
        mappings = tlv(0x30, tlv(0x30, *(tlv(0x06, b"\x2a\x03" + bytes((i,))) for i in (1, 2))))
        self.ca_2 = issue(
            "CA 2",
            4,
            self.ca_1,
            ca=True,
            extra=[
                (x509.BasicConstraints(ca=True, path_length=1), True),
                (constraints, True),
                (either, False),
                (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), mappings), False),
                (x509.PolicyConstraints(3, None), True),
            ],
        )
        names: list[x509.GeneralName] = [x509.DNSName("x.a.cn"), x509.RFC822Name("u@a.cn"), _URI]
        names += [x509.IPAddress(ipaddress.ip_address("10.0.0.1")), x509.DirectoryName(name("Leaf"))]
        names.append(x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9"), tlv(0x0C, b"u@a.cn")))
        point = x509.DistributionPoint([_URI], None, None, None)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _URI)
        self.leaf = issue(
            "Leaf",
            5,
            self.ca_2,
            extra=[
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
                (x509.SubjectAlternativeName(names), False),
                (x509.CRLDistributionPoints([point]), False),
                (x509.FreshestCRL([point]), False),
                (x509.AuthorityInformationAccess([access]), False),
                (policies, False),
            ],
        )
        self.revoked = issue("Revoked", 6, self.ca_2, extra=[(policies, False)])
        self.responder = issue(
            "Responder",
            7,
            self.ca_2,
            extra=[
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
                (x509.OCSPNoCheck(), False),
            ],
        )
        self.signer = issue("Lists", 8, self.ca_1, extra=[(usage("crl_sign"), True)])
        by_signer = x509.DistributionPoint(None, None, None, [x509.DirectoryName(self.signer.subject)])
        self.covered = issue(
            "Covered", 9, self.ca_1, extra=[(x509.CRLDistributionPoints([by_signer]), False)]
        )

        why = [
            x509.CRLReason(x509.ReasonFlags.key_compromise),
            x509.InvalidityDate((T - DAY).replace(tzinfo=None)),
        ]
        elsewhere = x509.CertificateIssuer([x509.DirectoryName(self.ca_1.subject)])
        self.crl_a, self.crl_b = crl(self.root_a), crl(self.root_b, (0x9999, ()))
        self.crl_1 = crl(self.ca_1, (0x77, ()))
        self.crl_2 = crl(
            self.ca_2,
            (self.revoked.certificate.serial_number, why),
            *((serial, ()) for serial in range(0x5000, 0x5008)),
            extra=[(scope(full_name=[_URI]), True)],
        )
        self.delta_2 = crl(
            self.ca_2,
            (0x5001, [x509.CRLReason(x509.ReasonFlags.remove_from_crl)]),
            number=8,
            extra=[(x509.DeltaCRLIndicator(7), True), (scope(full_name=[_URI]), True)],
        )
        self.plain_2 = crl(self.ca_2, (self.revoked.certificate.serial_number, why), number=6)
        self.indirect = crl(
            self.signer, (0x78, [elsewhere]), (0x79, ()), extra=[(scope(indirect_crl=True), True)]
        )
        self.good = ocsp(self.ca_2, self.leaf)
        self.delegated = ocsp(self.ca_2, self.leaf, responder=self.responder)
        self.bad = ocsp(self.ca_2, self.revoked, revoked_status())

    @property
    def certificates(self) -> list[Party]:
        """All certificates."""
        return [value for value in vars(self).values() if isinstance(value, Party)]

    @property
    def lists(self) -> list[bytes]:
        """All CRLs."""
        return [self.crl_a, self.crl_b, self.crl_1, self.crl_2, self.delta_2, self.plain_2, self.indirect]

    @property
    def answers(self) -> list[bytes]:
        """All OCSP answers."""
        return [self.good, self.delegated, self.bad]


@cache
def hierarchy() -> Hierarchy:
    """The one there is."""
    return Hierarchy()
