"""Signed forms that are the same on every machine: a firm and a timestamp authority below Root A."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fuzz.material import DAY, ECDSA_SHA256, HOUR, Party, T, crl, hierarchy, integer, issue, sign, time, usage
from fuzz.tree import tlv
from onecert.verifier import RevocationEvidence, TrustAnchor
from onecert.verifier.signed_form import EvidenceTrust, PathTrust, TimestampTrust

DOCUMENT = '{"申请": "示例", "n": 1}'.encode()
CANONICAL = '{"n":1,"申请":"示例"}'.encode()
FIRM, AUTHORITY = 31, 32
_SHA256 = tlv(0x30, bytes.fromhex("0609608648016503040201"))
_DATA = bytes.fromhex("06092a864886f70d010701")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")
_CONTENT_TYPE, _MESSAGE_DIGEST = (bytes.fromhex(f"06092a864886f70d01090{n}") for n in (3, 4))
_SIGNING_CERTIFICATE = bytes.fromhex("060b2a864886f70d010910022f")
_TIMESTAMP = bytes.fromhex("060b2a864886f70d010910020e")


@dataclass(frozen=True)
class Forms:
    """Everybody, and what a department knows."""

    firm: Party
    authority: Party
    trust: PathTrust
    timestamps: TimestampTrust

    @property
    def evidence_trust(self) -> EvidenceTrust:
        """Whom the checker of a record believes."""
        return EvidenceTrust(timestamps=self.timestamps, anchors=self.trust.anchors)


@cache
def forms() -> Forms:
    """The one there is."""
    root = hierarchy().root_a
    stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    firm = issue("Firm", FIRM, root, extra=[(usage("digital_signature", "content_commitment"), True)])
    trust = PathTrust(
        anchors=(TrustAnchor.from_certificate(root.certificate, label="A"),),
        evidence=RevocationEvidence(crls=[crl(root, (0x66, ()))]),
    )
    authority = issue("Timestamps", AUTHORITY, root, extra=[(stamping, True)])
    return Forms(firm, authority, trust, TimestampTrust(path=trust))


def attribute(oid: bytes, *values: bytes) -> bytes:
    """One Attribute."""
    return tlv(0x30, oid, tlv(0x31, *values))


def attributes(content: bytes, signer: Party, kind: bytes = _DATA) -> list[bytes]:
    """content-type, message-digest and signing-certificate-v2, in the order of DER."""
    named = tlv(0x30, tlv(0x30, tlv(0x30, tlv(0x04, hashlib.sha256(signer.der).digest()))))
    return sorted(
        [
            attribute(_CONTENT_TYPE, kind),
            attribute(_MESSAGE_DIGEST, tlv(0x04, hashlib.sha256(content).digest())),
            attribute(_SIGNING_CERTIFICATE, named),
        ]
    )


def signer_info(content: bytes, signer: Party, *, kind: bytes = _DATA, stamped: bool = False) -> bytes:
    """A SignerInfo, with a timestamp if it shall have one."""
    signed = attributes(content, signer, kind)
    value = sign(tlv(0x31, *signed), signer.number)
    unsigned = tlv(0xA1, attribute(_TIMESTAMP, token(value))) if stamped else b""
    return tlv(
        0x30,
        b"\x02\x01\x01",
        tlv(0x30, signer.certificate.issuer.public_bytes(), integer(signer.certificate.serial_number)),
        _SHA256,
        tlv(0xA0, *signed),
        ECDSA_SHA256,
        tlv(0x04, value),
        unsigned,
    )


def message(content: bytes | None, signer: Party, *infos: bytes, kind: bytes = _DATA) -> bytes:
    """A SignedData with the signer's certificate; ``content`` is ``None`` when it is detached."""
    inside = b"" if content is None else tlv(0xA0, tlv(0x04, content))
    body = tlv(
        0x30,
        b"\x02\x01\x01",
        tlv(0x31, _SHA256),
        tlv(0x30, kind, inside),
        tlv(0xA0, signer.der),
        tlv(0x31, *infos),
    )
    return tlv(0x30, _SIGNED_DATA, tlv(0xA0, body))


def token(data: bytes) -> bytes:
    """A TimeStampToken over ``data``, made an hour before T."""
    info = tlv(
        0x30,
        b"\x02\x01\x01",
        bytes.fromhex("06042a030401"),
        tlv(0x30, _SHA256, tlv(0x04, hashlib.sha256(data).digest())),
        b"\x02\x01\x07",
        time(T - HOUR / 2),
        tlv(0x30, b"\x02\x01\x01"),
        integer(5),
    )
    authority = forms().authority
    return message(info, authority, signer_info(info, authority, kind=TST_INFO), kind=TST_INFO)


def bare() -> bytes:
    """A signature over bare content, as old programs make them."""
    firm = forms().firm
    info = tlv(
        0x30,
        b"\x02\x01\x01",
        tlv(0x30, firm.certificate.issuer.public_bytes(), integer(firm.certificate.serial_number)),
        _SHA256,
        ECDSA_SHA256,
        tlv(0x04, sign(DOCUMENT, firm.number)),
    )
    return message(DOCUMENT, firm, info)


LATER = T + DAY / 4
