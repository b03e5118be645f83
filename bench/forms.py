"""Signed forms to verify: CMS messages of leaves of our CA, with and without a timestamp."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pki import DER, ECDSA_SHA256, NOW, Pki, usage

from onecert.ca import der
from onecert.verifier import PathTrust, RevocationEvidence, TimestampTrust, TrustAnchor, parse_certificate

DOCUMENT = b'{"form":"a request of two kilobytes","text":"' + b"x" * 2000 + b'"}'
_DATA, _SIGNED_DATA, _TST_INFO = (
    der.oid(number)
    for number in ("1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4")
)
_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
_ECDSA = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_PKCS9 = "1.2.840.113549.1.9."


@dataclass(frozen=True)
class Signer:
    """A certificate and its P-256 key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def info(self, content: bytes, *, kind: bytes = _DATA, stamper: Signer | None = None) -> bytes:
        """A SignerInfo over the content, with signing-certificate-v2; stamped if somebody stamps."""
        value = der.sequence(
            der.sequence(
                der.sequence(der.octet_string(hashlib.sha256(self.certificate.public_bytes(DER)).digest()))
            )
        )
        attributes = sorted(
            [
                _attribute("3", kind),
                _attribute("4", der.octet_string(hashlib.sha256(content).digest())),
                _attribute("16.2.47", value),
            ]
        )
        signature = self.key.sign(der.set_of(*attributes), ECDSA_SHA256)
        unsigned = b""
        if stamper is not None:
            unsigned = der.tlv(
                0xA1, _attribute("16.2.14", stamper.token(signature, NOW - timedelta(hours=2)))
            )
        return der.sequence(
            der.integer(1),
            der.sequence(self.certificate.issuer.public_bytes(), der.integer(self.certificate.serial_number)),
            _SHA256,
            der.tlv(0xA0, b"".join(attributes)),
            _ECDSA,
            der.octet_string(signature),
            unsigned,
        )

    def message(self, info: bytes, *, kind: bytes = _DATA, content: bytes | None = None) -> bytes:
        """A SignedData, detached unless it has content."""
        inside = b"" if content is None else der.explicit(0, der.octet_string(content))
        body = der.sequence(
            der.integer(1),
            der.set_of(_SHA256),
            der.sequence(kind, inside),
            der.tlv(0xA0, self.certificate.public_bytes(DER)),
            der.set_of(info),
        )
        return der.sequence(_SIGNED_DATA, der.explicit(0, body))

    def token(self, data: bytes, at: datetime) -> bytes:
        """A TimeStampToken over the data."""
        info = der.sequence(
            der.integer(1),
            der.oid("1.2.3.4.1"),
            der.sequence(_SHA256, der.octet_string(hashlib.sha256(data).digest())),
            der.integer(7),
            der.generalized_time(at),
        )
        return self.message(self.info(info, kind=_TST_INFO), kind=_TST_INFO, content=info)


def _attribute(number: str, value: bytes) -> bytes:
    return der.sequence(der.oid(_PKCS9 + number), der.set_of(value))


class Forms:
    """Signers below the issuing CA, an authority below the root, fresh lists of ten."""

    def __init__(self, made: Pki) -> None:
        self.signers = [Signer(leaf, made.leaf_keys[n % 8]) for n, leaf in enumerate(made.leaves[:64])]
        self.authority = _authority(made)
        evidence = RevocationEvidence(crls=[made.crl(10), made.root_crl])
        anchor = TrustAnchor.from_certificate(made.root_der)
        issuing = parse_certificate(made.issuing_der)
        self.trust = PathTrust(anchors=(anchor,), candidates=(issuing,), evidence=evidence)
        self.timestamps = TimestampTrust(path=self.trust)

    def messages(self, *, stamped: bool) -> list[bytes]:
        """One message of each signer."""
        stamper = self.authority if stamped else None
        return [signer.message(signer.info(DOCUMENT, stamper=stamper)) for signer in self.signers]


def _authority(made: Pki) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    builder: Any = made._builder(made.root.subject, _name(), key.public_key(), 3000 * timedelta(days=1))
    stamping = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.TIME_STAMPING])
    builder = builder.add_extension(usage("digital_signature"), critical=True)
    builder = builder.add_extension(stamping, critical=True)
    return Signer(builder.sign(made.root_key, ECDSA_SHA256.algorithm), key)


def _name() -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Timestamps")])
