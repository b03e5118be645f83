"""Signers and a timestamp authority below one root, and the openssl command to sign with.

root -> issuing CA -> signer ("Firm")          everything valid at T, revocation lists fresh
     -> timestamp authority                     its certificate for timestamps alone
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import RevocationEvidence, parse_certificate
from onecert.verifier.der import Reader
from onecert.verifier.signed_form import FormPolicy, PathTrust, SignedForm, TimestampTrust, verify_form
from onecert.verifier.signed_form.digests import algorithm_der, digest

DOCUMENT = "申请书: 示例科技有限公司\n".encode()
DATA, SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
ATTRIBUTE = "1.2.840.113549.1.9."


def _encode_oid(text: str) -> bytes:
    arcs = [int(arc) for arc in text.split(".")]
    arcs[:2] = [40 * arcs[0] + arcs[1]]
    body = b""
    for arc in arcs:
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        body += bytes(reversed(septets))
    return bytes((6, len(body))) + body


@dataclass
class Office:
    """The world of these tests. A test changes one thing and asks again."""

    pki: Any
    folder: Path
    root: Any
    ca: Any
    signer: Any
    authority: Any

    @property
    def now(self) -> datetime:
        moment: datetime = self.pki.T
        return moment

    def evidence(self, *crls: bytes) -> RevocationEvidence:
        return RevocationEvidence(crls=crls or self.pki.crls(self.root, self.ca))

    def trust(self, *crls: bytes, **changes: Any) -> PathTrust:
        ca = parse_certificate(self.ca.der)
        anchors = (self.root.anchor,)
        return PathTrust(anchors=anchors, candidates=(ca,), evidence=self.evidence(*crls), **changes)

    def timestamps(self, *crls: bytes, **changes: Any) -> TimestampTrust:
        return TimestampTrust(path=self.trust(*crls), **changes)

    def verify(
        self,
        signature: Any,
        document: bytes | None = DOCUMENT,
        *,
        trust: PathTrust | None = None,
        timestamps: TimestampTrust | None = None,
        at: datetime | None = None,
        **policy: Any,
    ) -> SignedForm:
        return verify_form(
            document,
            signature,
            at=at or self.now,
            trust=trust or self.trust(),
            timestamps=timestamps,
            policy=FormPolicy(**policy),
        )

    def files(self, party: Any, name: str) -> tuple[Path, Path]:
        """PEM files of a party's certificate and key."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(party.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key

    def openssl(self, *arguments: object, fine: bool = True) -> subprocess.CompletedProcess[bytes]:
        try:
            done = subprocess.run(
                ["openssl", *map(str, arguments)], cwd=self.folder, capture_output=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("needs the openssl command (Debian package openssl)")
        if fine:
            assert done.returncode == 0, done.stderr.decode()
        return done

    def cms(self, *options: object, party: Any = None, document: bytes = DOCUMENT) -> bytes:
        """What ``openssl cms -sign`` makes, DER or BER, detached by default."""
        certificate, key = self.files(party or self.signer, "signer")
        (self.folder / "document").write_bytes(document)
        arguments = ("cms", "-sign", "-binary", "-in", "document", "-outform", "DER", "-md", "sha256")
        return self.openssl(*arguments, "-signer", certificate, "-inkey", key, *options).stdout

    # Written by hand, for what no signer will make.

    def signed_data(
        self,
        content: bytes | None,
        *signer_infos: bytes,
        content_type: str = DATA,
        certificates: Sequence[bytes] | None = None,
        crls: Sequence[bytes] = (),
        message_type: str = SIGNED_DATA,
        digests: Sequence[str] = ("sha256",),
    ) -> bytes:
        tlv = self.pki.tlv
        ders = [self.signer.der] if certificates is None else certificates
        inside = b"" if content is None else tlv(0xA0, tlv(0x04, content))
        body = tlv(
            0x30,
            # RFC 5652, section 5.1: 3 for anything but data.
            b"\x02\x01\x01" if content_type == DATA else b"\x02\x01\x03",
            tlv(0x31, *(algorithm_der(name) for name in digests)),
            tlv(0x30, _encode_oid(content_type), inside),
            tlv(0xA0, *ders) if ders else b"",
            tlv(0xA1, *crls) if crls else b"",
            tlv(0x31, *signer_infos),
        )
        return tlv(0x30, _encode_oid(message_type), tlv(0xA0, body))

    def attribute(self, number: str, *values: bytes) -> bytes:
        tlv = self.pki.tlv
        return tlv(0x30, _encode_oid(number), tlv(0x31, *values))

    def attributes(
        self, content: bytes, *, content_type: str = DATA, algorithm: str = "sha256", digest_of: bytes = b""
    ) -> list[bytes]:
        """content-type and message-digest."""
        value = self.pki.tlv(0x04, digest(algorithm, digest_of or content))
        return [
            self.attribute(ATTRIBUTE + "3", _encode_oid(content_type)),
            self.attribute(ATTRIBUTE + "4", value),
        ]

    def signing_certificate(self, party: Any) -> bytes:
        """signing-certificate-v2 for this party's certificate."""
        tlv = self.pki.tlv
        value = tlv(0x30, tlv(0x30, tlv(0x30, tlv(0x04, digest("sha256", party.der)))))
        return self.attribute(ATTRIBUTE + "16.2.47", value)

    def signer_info(
        self,
        attributes: Sequence[bytes] | None,
        *,
        content: bytes = DOCUMENT,
        party: Any = None,
        unsigned: Sequence[bytes] = (),
        algorithm: str = "sha256",
        signature_algorithm: bytes = bytes.fromhex("300a06082a8648ce3d040302"),
        sign: Any = None,
        sort: bool = True,
    ) -> bytes:
        tlv, party = self.pki.tlv, party or self.signer
        listed = sorted(attributes or ()) if sort else list(attributes or ())
        data = tlv(0x31, *listed) if attributes is not None else content
        sign = sign or (lambda message: party.key.sign(message, ec.ECDSA(hashes.SHA256())))
        serial = party.certificate.serial_number
        return tlv(
            0x30,
            b"\x02\x01\x01",
            tlv(
                0x30,
                party.certificate.issuer.public_bytes(),
                tlv(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
            ),
            algorithm_der(algorithm),
            tlv(0xA0, *listed) if attributes is not None else b"",
            signature_algorithm,
            tlv(0x04, sign(data)),
            tlv(0xA1, *sorted(unsigned)) if unsigned else b"",
        )

    def token(
        self,
        data: bytes,
        at: datetime,
        *,
        authority: Any = None,
        algorithm: str = "sha256",
        nonce: int | None = None,
        policy: str = "1.2.3.4.1",
        accuracy: bytes = b"",
        extra: bytes = b"",
        certificate_named: Any = None,
        fraction: str = "",
        imprint: bytes | None = None,
    ) -> bytes:
        """A TimeStampToken at a time of our choice; openssl only knows now."""
        tlv, authority = self.pki.tlv, authority or self.authority
        info = tlv(
            0x30,
            b"\x02\x01\x01",
            _encode_oid(policy),
            tlv(
                0x30,
                algorithm_der(algorithm),
                tlv(0x04, imprint or digest(algorithm, data)),
            ),
            b"\x02\x01\x07",
            tlv(0x18, (at.strftime("%Y%m%d%H%M%S") + fraction + "Z").encode()),
            accuracy,
            b"" if nonce is None else tlv(0x02, nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")),
            extra,
        )
        attributes = [
            *self.attributes(info, content_type=TST_INFO),
            self.signing_certificate(certificate_named or authority),
        ]
        signed = self.signer_info(attributes, party=authority)
        return self.signed_data(info, signed, content_type=TST_INFO, certificates=[authority.der])

    def answer(self, request: bytes, at: datetime | None = None) -> bytes:
        """What an authority answers to a TimeStampReq, at T by default."""
        reader = Reader(request).enter(0x30)
        reader.integer()
        imprint = reader.enter(0x30)
        imprint.raw()
        value = imprint.contents(0x04)
        algorithm = {32: "sha256", 48: "sha384", 64: "sha512"}[len(value)]
        nonce = reader.integer()
        token = self.token(b"", at or self.now, imprint=value, nonce=nonce, algorithm=algorithm)
        made: bytes = self.pki.tlv(0x30, self.pki.tlv(0x30, b"\x02\x01\x00"), token)
        return made

    def stamped(
        self, at: datetime, *, document: bytes = DOCUMENT, bound: bool = False, **changes: Any
    ) -> bytes:
        """A detached signature with a timestamp made at ``at``; ``bound`` names the signer's certificate."""
        attributes = self.attributes(document)
        if bound:
            attributes.append(self.signing_certificate(self.signer))
        value = self.signer.key.sign(self.pki.tlv(0x31, *sorted(attributes)), ec.ECDSA(hashes.SHA256()))
        token = self.attribute(ATTRIBUTE + "16.2.14", self.token(value, at, **changes))
        info = self.signer_info(attributes, sign=lambda _: value, unsigned=[token])
        return self.signed_data(None, info, certificates=[self.signer.der])


def make_office(pki: Any, folder: Path) -> Office:
    root = pki.root()
    ca = pki.ca(root)
    signer = pki.leaf(ca, "Firm", key_usage=pki.usage("digital_signature", "content_commitment"))
    return Office(pki, folder, root, ca, signer, make_authority(pki, root))


def make_authority(pki: Any, issuer: Any, subject: str = "Timestamps", **changes: Any) -> Any:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    changes.setdefault("extra", [(usage, True)])
    changes.setdefault("not_after", pki.T + timedelta(days=3650))
    return pki.issue(subject, issuer, **changes)


@pytest.fixture
def office(pki: Any, tmp_path: Path) -> Office:
    return make_office(pki, tmp_path)


@pytest.fixture
def new_authority() -> Any:
    return make_authority


@pytest.fixture
def document() -> bytes:
    return DOCUMENT


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """The three CA services and their signed list, from the façade's tests."""
    path = Path(__file__).parents[1] / "department" / "conftest.py"
    spec = importlib.util.spec_from_file_location("signed_form_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.World(tmp_path)
