"""SM2 authorities: their certificates, lists and delegations; one of them signs with the openssl command."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.verifier import RefusedError
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    Delegations,
    RevocationLists,
    TrustedAuthority,
)
from onecert.verifier.der import SEQUENCE, Reader
from onecert.verifier.keys import spki_der
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve

ECDSA, SM2 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300a06082a811ccf55018375")


@dataclass
class Sm2City:
    """Turns what the builders signed with P-256 into SM2: each P-256 key stands for one SM2 key."""

    city: Any
    lab: Any
    tools: Any
    identifier: bytes = DEFAULT_ID

    def private(self, giver: str) -> int:
        old = self.city.givers[giver].key.public_key()
        octets = old.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return int.from_bytes(hashlib.sha256(octets).digest()) % curve.N

    def spki(self, giver: str) -> bytes:
        return spki_der(Sm2PublicKey(self.tools.affine(self.private(giver))))

    def tbs(self, der: bytes) -> bytes:
        """What is to be signed, with the names of SM2 and the keys of SM2."""
        tbs = Reader(der).enter(SEQUENCE).raw().replace(ECDSA, SM2)
        for giver in self.city.givers:
            key = self.city.givers[giver].key.public_key()
            old = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            tbs = tbs.replace(old, self.spki(giver))
        return tbs

    def put_together(self, tbs: bytes, signature: bytes) -> bytes:
        return self.lab.tlv(0x30, tbs, SM2, self.lab.tlv(0x03, b"\x00", signature))

    def turn(self, der: bytes, giver: str) -> bytes:
        tbs = self.tbs(der)
        return self.put_together(tbs, self.tools.sign(self.private(giver), tbs, self.identifier))

    def certificate(self, giver: str) -> bytes:
        return self.turn(self.city.givers[giver].certificate.public_bytes(Encoding.DER), giver)

    def verifier(self, *revoked: int) -> AttributeCertificateVerifier:
        source = TrustedAuthority.from_certificate(
            self.certificate("source"), roles={"urn:onecert:role:tax.*"}
        )
        trust = AttributeTrust(authorities=(source,), check_path=lambda certificate, at: None)
        (data, _), *_ = self.city.delegations
        delegations = Delegations([(self.turn(data, "source"), self.certificate("bureau"))])
        lists = [
            self.turn(self.lab.make_acrl(self.city.givers["source"], *revoked), "source"),
            self.turn(self.lab.make_acrl(self.city.givers["bureau"]), "bureau"),
        ]
        return AttributeCertificateVerifier(
            trust=trust,
            status=RevocationLists(trust, lists, delegations=delegations),
            delegations=delegations,
        )


@pytest.fixture
def sm2(city: Any, lab: Any, sm2_tools: Any) -> Sm2City:
    """source -> bureau, both with SM2 keys."""
    city.delegate("source", "bureau")
    return Sm2City(city, lab, sm2_tools)


def test_certificates_lists_and_delegations_of_sm2_authorities(sm2: Sm2City) -> None:
    """source -> bureau -> official, everything signed with SM2; revoked and altered ones are refused."""
    data = sm2.turn(sm2.city.grant("bureau"), "bureau")
    holder = sm2.city.world.official.certificate
    verified = sm2.verifier().verify(data, holder=holder, at=sm2.lab.T)
    assert verified.roles
    assert verified.path
    with pytest.raises(RefusedError, match="DELEGATION_REVOKED"):
        sm2.verifier(1).verify(data, holder=holder, at=sm2.lab.T)
    wrong = sm2.turn(sm2.city.grant("bureau"), "source")
    with pytest.raises(RefusedError, match="SIGNATURE"):
        sm2.verifier().verify(wrong, holder=holder, at=sm2.lab.T)


def test_what_openssl_signs_with_sm2(sm2: Sm2City, tmp_path: Path) -> None:
    """With the usual identifier it is good; openssl told none takes an empty one, and that is said."""
    tools = sm2.tools
    tools.openssl("ecparam", "-name", "SM2", "-genkey", "-noout", "-out", "key.pem", cwd=tmp_path)
    tools.openssl(
        *("pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der"), cwd=tmp_path
    )
    tbs = sm2.tbs(sm2.city.grant("source"))
    (tmp_path / "data").write_bytes(tbs)
    name = x509.load_der_x509_certificate(sm2.certificate("source")).subject
    source = TrustedAuthority(
        label="openssl",
        name_der=name.public_bytes(),
        public_key_der=(tmp_path / "public.der").read_bytes(),
        roles=frozenset({"urn:onecert:role:tax.*"}),
        key_ids=frozenset({sm2.lab.World.key_id(sm2.city.givers["source"])}),
    )
    trust = AttributeTrust(authorities=(source,))

    def verify(*option: str) -> object:
        command = ("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-digest", "sm3", *option)
        tools.openssl(*command, "-in", "data", "-out", "signature", cwd=tmp_path)
        data = sm2.put_together(tbs, (tmp_path / "signature").read_bytes())
        verifier = AttributeCertificateVerifier(trust=trust, status=RevocationLists(trust))
        holder = sm2.city.world.official.certificate
        return [each.code for each in verifier.explain(data, holder=holder, at=sm2.lab.T).findings]

    assert verify("-pkeyopt", "distid:1234567812345678") == ["STATUS_UNKNOWN"]
    assert verify() == ["SM2_EMPTY_ID", "STATUS_UNKNOWN"]
