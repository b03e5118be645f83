"""`pmi.verify.*`: attribute certificates of one authority and many holders, everything around them known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from bench_verifier import one_check
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from harness import Contender, Row, benchmark
from pki import DAY, DER, NOW, Pki, pki

from onecert.verifier import (
    PathParameters,
    PathValidator,
    RevocationEvidence,
    TrustAnchor,
)
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    AuthorityPaths,
    Constraints,
    Delegations,
    GeneralName,
    RevocationLists,
    Role,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.purposes import ATTRIBUTE_AUTHORITY

ROLE = "urn:onecert:role:tax.reader"
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ROLE_TYPE = bytes.fromhex("0603550448")
_SEQUENCE, _INTEGER, _OCTETS, _OID = 0x30, 0x02, 0x04, 0x06


class Authority:
    """An attribute authority with a key in memory."""

    def __init__(self, made: Pki, key: Any) -> None:
        self.key, self.certificate = (
            key,
            parse_certificate(made.authority(key.public_key()).public_bytes(DER)),
        )

    def give(self, holder: ParsedCertificate, serial: int, constraints: Constraints | None = None) -> bytes:
        """An attribute certificate with one role; with constraints a delegation of it."""
        days = 1 if constraints is None else 2
        more = () if constraints is None else constraints.to_extensions()
        octets = [_extension(bytes.fromhex("0603551d23"), tlv(_SEQUENCE, tlv(0x80, self.key_id)))]
        octets += [_extension(bytes.fromhex("0603551d29"), each.value, critical=True) for each in more]
        url = GeneralName.uri("http://status.example/pmi/tax.acrl").to_der()
        point = tlv(_SEQUENCE, tlv(_SEQUENCE, tlv(0xA0, tlv(0xA0, url))))
        octets.append(_extension(bytes.fromhex("0603551d1f"), point))
        info = tlv(
            _SEQUENCE,
            _integer(1),
            tlv(_SEQUENCE, tlv(0xA0, _names(holder.issuer_der), _integer(holder.serial))),
            tlv(0xA0, _names(self.certificate.subject_der)),
            _ECDSA_SHA256,
            _integer(serial),
            tlv(_SEQUENCE, _time(NOW - days * DAY), _time(NOW + days * DAY)),
            tlv(_SEQUENCE, tlv(_SEQUENCE, _ROLE_TYPE, tlv(0x31, Role(ROLE).to_der()))),
            tlv(_SEQUENCE, *octets),
        )
        signature = self.key.sign(info, ec.ECDSA(hashes.SHA256()))
        return tlv(_SEQUENCE, info, _ECDSA_SHA256, tlv(0x03, b"\x00", signature))

    @property
    def key_id(self) -> bytes:
        """What its certificates and lists name its key by."""
        return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest

    def acrl(self) -> bytes:
        """Its list, with 1,000 revoked certificates."""
        point = x509.IssuingDistributionPoint(None, None, False, False, None, False, True)
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder(self.certificate.certificate.subject)
            .last_update(NOW - timedelta(hours=1))
            .next_update(NOW + DAY)
            .add_extension(x509.CRLNumber(7), critical=False)
            .add_extension(point, critical=True)
            .add_extension(key_id, critical=False)
        )
        for serial in range(1 << 64, (1 << 64) + 1000):
            revoked = x509.RevokedCertificateBuilder(serial, NOW - DAY).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)


def _names(name_der: bytes) -> bytes:
    return tlv(_SEQUENCE, tlv(0xA4, name_der))


def _integer(value: int) -> bytes:
    return tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _time(at: datetime) -> bytes:
    return tlv(0x18, f"{at:%Y%m%d%H%M%SZ}".encode())


def _extension(oid_der: bytes, value: bytes, *, critical: bool = False) -> bytes:
    return tlv(_SEQUENCE, oid_der, b"\x01\x01\xff" if critical else b"", tlv(_OCTETS, value))


@cache
def authorities() -> list[Authority]:
    """The source of authority and a sub-authority, of one name each with a key of its own."""
    made = pki("p256")
    return [Authority(made, ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]


@benchmark("pmi.verify.direct", "pmi.verify.delegated")
def verify(name: str) -> Iterator[Row]:
    """256 holders in turn, paths of authorities with revocation, the list of each authority, one role."""
    made = pki("p256")
    source, bureau = authorities()
    giver = source if name == "pmi.verify.direct" else bureau
    holders = [parse_certificate(der) for der in made.leaves_der]
    given = itertools.cycle([(giver.give(each, 100 + n), each) for n, each in enumerate(holders)])
    delegations = Delegations([(source.give(bureau.certificate, 1, Constraints(0)), bureau.certificate)])
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(made.root_der)],
        candidates=[made.issuing_der],
        evidence=RevocationEvidence(crls=[made.crl(10), made.root_crl]),
        parameters=PathParameters(purpose=ATTRIBUTE_AUTHORITY),
    )
    trust = AttributeTrust(
        authorities=(TrustedAuthority.from_certificate(source.certificate, roles=[ROLE]),),
        check_path=AuthorityPaths(validator),
    )
    lists = [source.acrl(), bureau.acrl()]
    verifier = AttributeCertificateVerifier(
        trust=trust,
        status=RevocationLists(trust, lists, delegations=delegations),
        delegations=delegations,
    )

    def prove() -> None:
        data, holder = next(given)
        if not verifier.verify(data, holder=holder, at=NOW).roles:
            raise RuntimeError("nothing is proved")

    yield Row(
        unit="attribute certificates/s",
        ours=Contender(work=prove),
        floor=one_check(made),
        notes=["nobody else verifies delegations, holders and status of attribute certificates together"],
    )
