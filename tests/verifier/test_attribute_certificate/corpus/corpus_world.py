"""The people and authorities of the corpus: their certificates, and attribute certificates in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from corpus_keys import EcKey, Ed25519Key, Key, RsaKey, Sm2Key, integer, oid, tlv
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
APPROVER = "urn:onecert:role:tax.approver"
CLERK = "urn:onecert:role:tax.clerk"
REVOKED, HELD = 0x0BAD, 0x401D

ROLE, GROUP, ENCRYPTED = "2.5.4.72", "1.3.6.1.5.5.7.10.4", "1.3.6.1.5.5.7.10.6"
KEY_ID, TARGETS, NO_REVOCATION, POINTS = "2.5.29.35", "2.5.29.55", "2.5.29.56", "2.5.29.31"
AUDIT, CONTROLS = "1.3.6.1.5.5.7.1.4", "1.3.6.1.5.5.7.1.6"


_NOBODY = b"\x30\x00"


def name(common_name: str, organization: str = "深圳市示例单位") -> bytes:
    """DER of a Name with country, organization and common name."""
    parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, organization)]
    parts.append((NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(each, text) for each, text in parts]).public_bytes()


def directory(name_der: bytes) -> bytes:
    """A directory name as GeneralName."""
    return tlv(0xA4, name_der)


def generalized(at: datetime) -> bytes:
    """GeneralizedTime."""
    return tlv(0x18, f"{at:%Y%m%d%H%M%SZ}".encode())


def validity(begin: datetime, end: datetime) -> bytes:
    """AttCertValidityPeriod."""
    return tlv(0x30, generalized(begin), generalized(end))


def role(uri: str) -> bytes:
    """RoleSyntax with a URI."""
    return tlv(0x30, tlv(0xA1, tlv(0x86, uri.encode())))


def attribute(dotted: str, *values: bytes) -> bytes:
    """Attribute with its values in order."""
    return tlv(0x30, oid(dotted), tlv(0x31, *sorted(values)))


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """Extension."""
    return tlv(0x30, oid(dotted), b"\x01\x01\xff" if critical else b"", tlv(0x04, value))


def bits(*numbers: int) -> bytes:
    """BIT STRING with named bits."""
    last = max(numbers)
    size = last // 8 + 1
    value = sum(1 << (8 * size - 1 - number) for number in numbers)
    return tlv(0x03, bytes((8 * size - 1 - last,)), value.to_bytes(size, "big"))


@dataclass(frozen=True)
class Party:
    """A key and its certificate."""

    name: bytes
    key: Key
    issuer: bytes
    serial: int
    der: bytes

    @property
    def key_id(self) -> bytes:
        return key_id(self.key)


def key_id(key: Key) -> bytes:
    """RFC 7093, section 2, method 4: the first octets of a digest of the SubjectPublicKeyInfo."""
    return hashlib.sha256(key.spki).digest()[:20]


def certify(
    own_name: bytes,
    key: Key,
    issuer: Party | None,
    *,
    serial: int,
    usage: tuple[int, ...] = (0, 6),
    is_ca: bool = False,
    begin: datetime = T - 100 * DAY,
    end: datetime = T + 300 * DAY,
    extra: Iterable[bytes] = (),
) -> Party:
    """Certificate by DER alone, so that any key may stand in it; self-signed without an issuer."""
    signer = issuer.key if issuer is not None else key
    issuer_name = issuer.name if issuer is not None else own_name
    extensions = [
        extension("2.5.29.19", tlv(0x30, b"\x01\x01\xff" if is_ca else b""), critical=True),
        extension("2.5.29.15", bits(*usage), critical=True),
        extension("2.5.29.14", tlv(0x04, key_id(key))),
        extension(KEY_ID, tlv(0x30, tlv(0x80, key_id(signer)))),
        *extra,
    ]
    tbs = tlv(
        0x30,
        tlv(0xA0, integer(2)),
        integer(serial),
        signer.algorithm,
        issuer_name,
        tlv(0x30, _utc(begin), _utc(end)),
        own_name,
        key.spki,
        tlv(0xA3, tlv(0x30, *extensions)),
    )
    der = tlv(0x30, tbs, signer.algorithm, tlv(0x03, b"\x00", signer.sign(tbs)))
    return Party(own_name, key, issuer_name, serial, der)


def _utc(at: datetime) -> bytes:
    return tlv(0x17, f"{at:%y%m%d%H%M%SZ}".encode())


def make_list(
    authority: Party,
    *serials: int,
    number: int = 1,
    begin: datetime = T - HOUR,
    end: datetime = T + DAY,
    key: Key | None = None,
    point: bytes | None = None,
    reasons: dict[int, int] | None = None,
    revoked_at: datetime = T - 2 * HOUR,
) -> bytes:
    """CertificateList; ``point`` is the extension issuingDistributionPoint, by default that of an ACRL."""
    signer = key or authority.key
    acrl = extension("2.5.29.28", tlv(0x30, b"\x85\x01\xff"), critical=True)
    entries = [
        tlv(
            0x30,
            integer(serial),
            _utc(revoked_at),
            tlv(0x30, extension("2.5.29.21", tlv(0x0A, bytes(((reasons or {}).get(serial, 9),))))),
        )
        for serial in sorted(serials)
    ]
    extensions = (
        extension(KEY_ID, tlv(0x30, tlv(0x80, authority.key_id))),
        extension("2.5.29.20", integer(number)),
        acrl if point is None else point,
    )
    tbs = tlv(
        0x30,
        integer(1),
        signer.algorithm,
        authority.name,
        _utc(begin),
        _utc(end),
        tlv(0x30, *entries) if entries else b"",
        tlv(0xA0, tlv(0x30, *extensions)),
    )
    return tlv(0x30, tbs, signer.algorithm, tlv(0x03, b"\x00", signer.sign(tbs)))


@cache
def parties() -> dict[str, Party]:
    """Everybody, by the name of the file."""
    root = certify(name("示例根CA"), EcKey(1), None, serial=1, usage=(5, 6), is_ca=True)
    silent = certify(name("无吊销列表CA"), EcKey(2), None, serial=1, usage=(5, 6), is_ca=True)
    stranger = certify(name("外地CA"), EcKey(3), None, serial=1, usage=(5, 6), is_ca=True)
    nameless = certify(_NOBODY, EcKey(4), None, serial=1, usage=(5, 6), is_ca=True)
    # permitted: roles alone
    controls = extension(CONTROLS, tlv(0x30, tlv(0xA0, oid(ROLE)), b"\x01\x01\x00"))
    return {
        "ca-root": root,
        "ca-silent": silent,
        "ca-stranger": stranger,
        "aa-p256": certify(name("属性权威一"), EcKey(10), root, serial=10),
        "aa-p384": certify(name("属性权威二"), EcKey(11, ec.SECP384R1), root, serial=11),
        "aa-rsa": certify(name("属性权威三"), RsaKey(), root, serial=12),
        "aa-ed25519": certify(name("属性权威四"), Ed25519Key(13), root, serial=13),
        "aa-sm2": certify(name("属性权威五"), Sm2Key(14), root, serial=14),
        "aa-controls": certify(name("受限属性权威"), EcKey(15), root, serial=15, extra=[controls]),
        "aa-ca": certify(name("兼任CA的权威"), EcKey(16), root, serial=16, usage=(0, 5, 6), is_ca=True),
        "aa-usage": certify(name("只能加密的权威"), EcKey(17), root, serial=17, usage=(4,)),
        "aa-expired": certify(name("过期权威"), EcKey(18), root, serial=18, end=T - DAY),
        "aa-revoked": certify(name("被吊销权威"), EcKey(19), root, serial=19),
        "aa-silent": certify(name("状态不明权威"), EcKey(20), silent, serial=20),
        "aa-stranger": certify(name("外地权威"), EcKey(21), stranger, serial=21),
        "aa-twin": certify(name("属性权威一"), EcKey(22), root, serial=22),
        "aa-unknown": certify(name("未配置权威"), EcKey(23), root, serial=23),
        "aa-no-lists": certify(name("不签列表的权威"), EcKey(24), root, serial=24, usage=(0,)),
        "bureau": certify(name("示例局", "深圳市示例局"), EcKey(30), root, serial=30),
        "bureau-expired": certify(name("过期局", "深圳市示例局"), EcKey(33), root, serial=33, end=T - DAY),
        "branch": certify(name("示例分局", "深圳市示例局"), EcKey(31), root, serial=31),
        "station": certify(name("示例所", "深圳市示例局"), EcKey(32), root, serial=32),
        "office-rsa": certify(name("受理部门一"), RsaKey(), root, serial=50, usage=(2,)),
        "office-p256": certify(name("受理部门二"), EcKey(51), root, serial=51, usage=(4,)),
        "holder": certify(name("张三"), EcKey(40), root, serial=0x7A1, usage=(0,)),
        "holder-renewed": certify(name("张三"), EcKey(40), root, serial=0x7A2, usage=(0,)),
        "holder-other": certify(name("李四"), EcKey(41), root, serial=0x7A3, usage=(0,)),
        "holder-elsewhere": certify(name("张三"), EcKey(42), stranger, serial=0x7A1, usage=(0,)),
        "holder-rsa": certify(name("王五"), RsaKey(), root, serial=0x7A4, usage=(0,)),
        "holder-nameless": certify(_NOBODY, EcKey(44), root, serial=0x7A6, usage=(0,)),
        "holder-issuerless": certify(name("张三"), EcKey(45), nameless, serial=0x7A7, usage=(0,)),
        "holder-bureau": certify(name("赵六", "深圳市示例局"), EcKey(43), root, serial=0x7A5, usage=(0,)),
    }


def serial_of(slug: str) -> int:
    """Serial number of a row: always the same, whatever rows stand before it."""
    return int.from_bytes(b"\x4a" + hashlib.sha256(slug.encode()).digest()[:11], "big")


def base_id(
    holder: Party, *, serial: int | None = None, issuer: bytes | None = None, more: bytes = b""
) -> bytes:
    """baseCertificateID of Holder."""
    names = tlv(0x30, directory(issuer or holder.issuer), more)
    return tlv(0xA0, names, integer(holder.serial if serial is None else serial))


def digest_info(
    kind: int, digest: bytes, algorithm: str = "2.16.840.1.101.3.4.2.1", other: bytes = b""
) -> bytes:
    """objectDigestInfo of Holder."""
    return tlv(0xA2, tlv(0x0A, bytes((kind,))), other, tlv(0x30, oid(algorithm)), tlv(0x03, b"\x00", digest))


@dataclass(frozen=True)
class Parts:
    """An attribute certificate in pieces of DER: everything right; a row changes one."""

    authority: Party
    serial: bytes
    holder: bytes
    issuer: bytes
    version: bytes = integer(1)
    algorithm: bytes | None = None
    outer_algorithm: bytes | None = None
    validity: bytes = validity(T - DAY, T + 30 * DAY)
    attributes: tuple[bytes, ...] = (attribute(ROLE, role(APPROVER)),)
    unique_id: bytes = b""
    key_id: bytes | None = None
    with_key_id: bool = True
    extensions: tuple[bytes, ...] = ()
    no_list: bytes | None = None
    signer: Key | None = None

    def info(self) -> bytes:
        """AttributeCertificateInfo."""
        key = tlv(0x30, tlv(0x80, self.key_id or self.authority.key_id))
        extensions = (extension(KEY_ID, key), *self.extensions) if self.with_key_id else self.extensions
        return tlv(
            0x30,
            self.version,
            self.holder,
            self.issuer,
            self.algorithm or self.authority.key.algorithm,
            self.serial,
            self.validity,
            tlv(0x30, *self.attributes),
            self.unique_id,
            (tlv(0x30, *extensions) if extensions else b"") if self.no_list is None else self.no_list,
        )

    def sign(self) -> bytes:
        """AttributeCertificate."""
        return self.join((self.signer or self.authority.key).sign(self.info()))

    def join(self, signature: bytes) -> bytes:
        """AttributeCertificate with a signature from elsewhere."""
        algorithm = self.outer_algorithm or self.algorithm or self.authority.key.algorithm
        return tlv(0x30, self.info(), algorithm, tlv(0x03, b"\x00", signature))


def parts(slug: str, *, authority: str | Party = "aa-p256", **changes: object) -> Parts:
    """Everything right but what is changed."""
    issuer = parties()[authority] if isinstance(authority, str) else authority
    good = Parts(
        authority=issuer,
        serial=integer(serial_of(slug)),
        holder=tlv(0x30, base_id(parties()["holder"])),
        issuer=tlv(0xA0, tlv(0x30, directory(issuer.name))),
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # rows name the fields of Parts
