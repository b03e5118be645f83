"""A small PKI in memory: everything valid at ``T`` by default, a test changes one thing.

Keys come from a pool that is made once a session; certificates are issued anew for each test.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onecert.verifier import RevocationEvidence, TrustAnchor, ValidatedPath, validate_path
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def usage(*names: str) -> x509.KeyUsage:
    """A KeyUsage with these bits, by the names of ``cryptography``."""
    bits = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    bits += ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{bit: bit in names for bit in bits})


def name(common_name: str | x509.Name) -> x509.Name:
    """``CN=…,C=CN``, or the name itself."""
    if isinstance(common_name, x509.Name):
        return common_name
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def tlv(tag: int, *contents: bytes) -> bytes:
    """One DER TLV, for what no builder will make."""
    body = b"".join(contents)
    size = len(body)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = bytes((size,)) if size < 0x80 else bytes((0x80 | len(octets),)) + octets
    return bytes((tag,)) + length + body


ECDSA_SHA256 = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))


def sign_sequence(tbs: bytes, key: Any, *after: bytes) -> bytes:
    """``SEQUENCE { tbs, ecdsa-with-SHA256, signature, … }``, as certificates, CRLs and OCSP answers are."""
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, tbs, ECDSA_SHA256, tlv(0x03, b"\x00", signature), *after)


def digest_for(key: Any) -> hashes.HashAlgorithm | None:
    """SHA-256, except for keys that hash by themselves."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def general_time(moment: datetime) -> bytes:
    """GeneralizedTime."""
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


@dataclass
class Party:
    """A certificate and its key; ``revoked`` are the entries of the CRL it would sign."""

    certificate: x509.Certificate
    key: Any
    revoked: list[x509.RevokedCertificate] = field(default_factory=list)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def subject(self) -> x509.Name:
        return self.certificate.subject

    @property
    def anchor(self) -> TrustAnchor:
        return TrustAnchor.from_certificate(self.certificate)


class Pki:
    """Builders."""

    T = T
    DAY = DAY
    usage = staticmethod(usage)
    name = staticmethod(name)
    party = Party
    tlv = staticmethod(tlv)
    sign_sequence = staticmethod(sign_sequence)

    def __init__(self, keys: Sequence[Any]) -> None:
        self._keys = itertools.cycle(keys)
        self._serials = itertools.count(0x1001)
        self._numbers = itertools.count(1)

    def key(self) -> Any:
        """The next key of the pool; two parties of one test never share one, unless a test has 24 parties."""
        return next(self._keys)

    def issue(
        self,
        subject: str | x509.Name,
        issuer: Party | None = None,
        *,
        key: Any = None,
        ca: bool = False,
        path_length: int | None = None,
        key_usage: x509.KeyUsage | None = None,
        extended: Sequence[x509.ObjectIdentifier] = (),
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
        without: Iterable[type[x509.ExtensionType]] = (),
        serial: int | None = None,
        not_before: datetime = T - 30 * DAY,
        not_after: datetime = T + 365 * DAY,
        hash_algorithm: Any = None,
        issuer_name: x509.Name | None = None,
    ) -> Party:
        """Issue a certificate; self-signed without an issuer."""
        key = key or self.key()
        signing_key = issuer.key if issuer else key
        authority = issuer.certificate.public_key() if issuer else key.public_key()
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), False),
            (x509.BasicConstraints(ca=ca, path_length=path_length), True),
        ]
        default = usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature")
        extensions.append((key_usage or default, True))
        if extended:
            extensions.append((x509.ExtendedKeyUsage(extended), False))
        extra = list(extra)
        dropped = {type(value) for value, _ in extra} | set(without)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(issuer_name or (issuer.subject if issuer else name(subject)))
            .public_key(key.public_key())
            .serial_number(next(self._serials) if serial is None else serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )
        for value, critical in [*(item for item in extensions if type(item[0]) not in dropped), *extra]:
            builder = builder.add_extension(value, critical)
        return Party(builder.sign(signing_key, hash_algorithm or digest_for(signing_key)), key)

    def root(self, subject: str = "Root", **changes: Any) -> Party:
        return self.issue(subject, ca=True, **changes)

    def ca(self, issuer: Party, subject: str | x509.Name = "Issuing CA", **changes: Any) -> Party:
        return self.issue(subject, issuer, ca=True, **changes)

    def leaf(self, issuer: Party, subject: str | x509.Name = "Clerk 7", **changes: Any) -> Party:
        return self.issue(subject, issuer, **changes)

    def revoke(
        self,
        issuer: Party,
        party: Party,
        *,
        at: datetime = T - DAY,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> None:
        """Put a certificate on the next CRL of ``issuer``."""
        builder = x509.RevokedCertificateBuilder(party.certificate.serial_number, at)
        if reason is not None:
            builder = builder.add_extension(x509.CRLReason(reason), False)
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        issuer.revoked.append(builder.build())

    def crl(
        self,
        issuer: Party,
        *,
        key: Any = None,
        this_update: datetime = T - DAY / 24,
        next_update: datetime | None = T + DAY,
        number: int | None = None,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
        entries: Sequence[x509.RevokedCertificate] | None = None,
        issuer_name: x509.Name | None = None,
        authority_key_id: bool = True,
    ) -> bytes:
        """Sign a CRL, DER."""
        key = key or issuer.key
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=issuer_name or issuer.subject,
            last_update=this_update,
            next_update=next_update,
            revoked_certificates=list(issuer.revoked if entries is None else entries),
        )
        builder = builder.add_extension(x509.CRLNumber(number or next(self._numbers)), False)
        if authority_key_id:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False
            )
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        return builder.sign(key, digest_for(key)).public_bytes(Encoding.DER)

    def crls(self, *issuers: Party) -> list[bytes]:
        return [self.crl(issuer) for issuer in issuers]

    def responder(self, issuer: Party, *, no_check: bool = True, **changes: Any) -> Party:
        """A delegated OCSP responder of this CA."""
        changes.setdefault("extended", [ExtendedKeyUsageOID.OCSP_SIGNING])
        if no_check:
            changes.setdefault("extra", [(x509.OCSPNoCheck(), False)])
        return self.issue(changes.pop("subject", "Responder"), issuer, **changes)

    def ocsp(
        self,
        issuer: Party,
        *parties: Party,
        responder: Party | None = None,
        status: str = "good",
        revoked_at: datetime = T - DAY,
        reason: int | None = None,
        this_update: datetime = T - DAY / 24,
        next_update: datetime | None = T + DAY,
        produced_at: datetime = T - DAY / 24,
        digest: str = "sha1",
        nonce: bytes | None = None,
        by_name: bool = False,
        include: Sequence[Party] | None = None,
        extensions: bytes = b"",
        single_extensions: bytes = b"",
    ) -> bytes:
        """Sign an OCSP answer, DER. Written by hand, because the builder reads the clock for producedAt."""
        signer = responder or issuer
        oid = {
            "sha1": "06052b0e03021a",
            "sha256": "0609608648016503040201",
            "sha384": "0609608648016503040202",
            "sha512": "0609608648016503040203",
        }[digest]
        key = issuer.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        singles = b""
        for party in parties:
            serial = party.certificate.serial_number
            cert_id = tlv(
                0x30,
                tlv(0x30, bytes.fromhex(oid), b"\x05\x00"),
                tlv(0x04, hashlib.new(digest, issuer.subject.public_bytes()).digest()),
                tlv(0x04, hashlib.new(digest, key).digest()),
                tlv(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
            )
            why = b"" if reason is None else tlv(0xA0, tlv(0x0A, bytes((reason,))))
            answer = {"good": b"\x80\x00", "unknown": b"\x82\x00"}.get(status) or tlv(
                0xA1, general_time(revoked_at), why
            )
            until = b"" if next_update is None else tlv(0xA0, general_time(next_update))
            more = tlv(0xA1, tlv(0x30, single_extensions)) if single_extensions else b""
            singles += tlv(0x30, cert_id, answer, general_time(this_update), until, more)
        signer_key = signer.certificate.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        responder_id = (
            tlv(0xA1, signer.subject.public_bytes())
            if by_name
            else tlv(0xA2, tlv(0x04, hashlib.sha1(signer_key).digest()))
        )
        if nonce is not None:
            oid_nonce = bytes.fromhex("06092b0601050507300102")
            extensions += tlv(0x30, oid_nonce, tlv(0x04, tlv(0x04, nonce)))
        tail = tlv(0xA1, tlv(0x30, extensions)) if extensions else b""
        tbs = tlv(0x30, responder_id, general_time(produced_at), tlv(0x30, singles), tail)
        if include is None:
            include = [responder] if responder else []
        certificates = tlv(0xA0, tlv(0x30, *(party.der for party in include))) if include else b""
        basic = sign_sequence(tbs, signer.key, certificates)
        kind = bytes.fromhex("06092b0601050507300101")
        return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, kind, tlv(0x04, basic))))

    def validate(
        self,
        target: Party | x509.Certificate | bytes,
        *,
        root: Party | Sequence[Party],
        cas: Sequence[Party] = (),
        crls: Iterable[bytes] = (),
        ocsp: Iterable[bytes] = (),
        at: datetime = T,
        **inputs: Any,
    ) -> ValidatedPath:
        """``validate_path`` over parties."""
        roots = [root] if isinstance(root, Party) else root
        return validate_path(
            target.certificate if isinstance(target, Party) else target,
            candidates=[party.certificate for party in cas],
            anchors=[party.anchor for party in roots],
            at=at,
            revocation=RevocationEvidence(crls=crls, ocsp=ocsp),
            **inputs,
        )


@pytest.fixture(scope="session")
def key_pool() -> list[Any]:
    return [ec.generate_private_key(ec.SECP256R1()) for _ in range(24)]


@pytest.fixture
def pki(key_pool: list[Any]) -> Pki:
    """A new PKI builder."""
    return Pki(key_pool)


@pytest.fixture(scope="session")
def shared_pki(key_pool: list[Any]) -> Pki:
    """A builder for what a whole module shares."""
    return Pki(key_pool)


class Sm2Tools:
    """What SM2 tests need beside the library: a signer, and the openssl command."""

    @staticmethod
    def affine(scalar: int, point: curve.Point = curve.GENERATOR) -> curve.Point:
        total = curve.multiply([(scalar, point)])
        assert total
        return curve.affine(total)

    @staticmethod
    def integer(value: int) -> bytes:
        octets = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        return bytes((2, len(octets))) + octets

    @staticmethod
    def encode(r: int, s: int) -> bytes:
        body = Sm2Tools.integer(r) + Sm2Tools.integer(s)
        return bytes((0x30, len(body))) + body

    @staticmethod
    def sign(private: int, data: bytes, identifier: bytes = DEFAULT_ID) -> bytes:
        """GB/T 32918.2, section 6.1; for tests only, because it is not constant in time."""
        digest = hashes.Hash(hashes.SM3())
        digest.update(Sm2PublicKey(Sm2Tools.affine(private))._prefix(identifier) + data)
        e = int.from_bytes(digest.finalize(), "big")
        k = secrets.randbelow(curve.N - 1) + 1
        r = (e + Sm2Tools.affine(k)[0]) % curve.N
        s = pow(1 + private, -1, curve.N) * (k - r * private) % curve.N
        return Sm2Tools.encode(r, s)

    @staticmethod
    def openssl(*arguments: object, cwd: Path, fine: bool = True) -> subprocess.CompletedProcess[bytes]:
        try:
            done = subprocess.run(
                ["openssl", *map(str, arguments)], cwd=cwd, capture_output=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("needs the openssl command (Debian package openssl)")
        if fine:
            assert done.returncode == 0, done.stderr.decode()
        return done


@pytest.fixture(scope="session")
def sm2_tools() -> type[Sm2Tools]:
    return Sm2Tools
