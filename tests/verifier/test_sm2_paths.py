"""Certificates, CRLs and OCSP answers signed with SM2, and what other implementations say about them.

No builder here makes SM2 certificates. The usual ones are made with P-256 and then given SM2 keys and
signatures: all lengths are the same, so that only these bytes change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto

from onecert.verifier import (
    RefusedError,
    RevocationEvidence,
    RevokedError,
    SignatureInvalidError,
    TrustAnchor,
    ValidatedPath,
    VerifyError,
    load_certificate,
    validate_path,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.der import slice_tlv
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import RevocationMode, RevocationPolicy, load_crl, load_ocsp
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, spki_der, verify_signature
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve

OFF = RevocationPolicy(mode=RevocationMode.OFF)
SM2_ALGORITHM = bytes.fromhex("300a06082a811ccf55018375")
SM2_WITH_NULL = bytes.fromhex("300c06082a811ccf550183750500")
P256_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
BASIC = bytes.fromhex("06092b0601050507300101")
ALICE = b"ALICE123@YAHOO.COM"


@dataclass
class Sm2:
    """Turns what the builders made into SM2; each P-256 key stands for one SM2 key."""

    pki: Any
    tools: Any
    identifier: bytes = DEFAULT_ID
    inner: bytes = SM2_ALGORITHM
    outer: bytes = SM2_ALGORITHM
    _privates: dict[bytes, int] = field(default_factory=dict)

    def private(self, party: Any) -> int:
        octets = party.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self._privates.setdefault(octets, int.from_bytes(hashlib.sha256(octets).digest()) % curve.N)

    def key(self, party: Any) -> Sm2PublicKey:
        return Sm2PublicKey(self.tools.affine(self.private(party)))

    def sign(self, tbs: bytes, signer: Any, *after: bytes) -> bytes:
        tlv = self.pki.tlv
        tbs = tlv(0x30, tbs[slice_tlv(tbs, 0)[0] :].replace(P256_ALGORITHM, self.inner))
        signature = self.tools.sign(self.private(signer), tbs, self.identifier)
        return tlv(0x30, tbs, self.outer, tlv(0x03, b"\x00", signature), *after)

    def certificate(self, party: Any, issuer: Any = None) -> bytes:
        tbs = parse_certificate(party.der).tbs
        old = party.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.sign(tbs.replace(old, spki_der(self.key(party))), issuer or party)

    def crl(self, issuer: Any, **changes: Any) -> bytes:
        crl = x509.load_der_x509_crl(self.pki.crl(issuer, **changes))
        return self.sign(crl.tbs_certlist_bytes, issuer)

    def ocsp(self, issuer: Any, *parties: Any, responder: Any = None, **changes: Any) -> bytes:
        signer = responder or issuer
        tbs = load_ocsp(self.pki.ocsp(issuer, *parties, responder=responder, **changes)).tbs
        for party in {id(issuer): issuer, id(signer): signer}.values():
            tbs = tbs.replace(self._key_hash(party.key.public_key()), self._key_hash(self.key(party)))
        tlv = self.pki.tlv
        sent = [tlv(0xA0, tlv(0x30, self.certificate(responder, issuer)))] if responder else []
        basic = self.sign(tbs, signer, *sent)
        return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, BASIC, tlv(0x04, basic))))

    @staticmethod
    def _key_hash(key: Any) -> bytes:
        return hashlib.sha1(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).digest()


@dataclass
class Chain:
    """root -> issuing CA -> leaf."""

    sm2: Sm2
    root: Any
    ca: Any
    leaf: Any

    def validate(self, **changes: Any) -> ValidatedPath:
        sm2, pki = self.sm2, self.sm2.pki
        inputs = {
            "target": sm2.certificate(self.leaf, self.ca),
            "candidates": [sm2.certificate(self.ca, self.root)],
            "anchors": [TrustAnchor.from_certificate(sm2.certificate(self.root))],
            "at": pki.T,
            "revocation": RevocationEvidence(crls=[sm2.crl(self.root), sm2.crl(self.ca)]),
            **changes,
        }
        return validate_path(inputs.pop("target"), **inputs)


@pytest.fixture
def chain(pki: Any, sm2_tools: Any) -> Chain:
    root = pki.root()
    ca = pki.ca(root)
    return Chain(Sm2(pki, sm2_tools), root, ca, pki.leaf(ca))


def test_a_chain_with_lists(chain: Chain) -> None:
    """Everything SM2: accepted; then the leaf is revoked."""
    path = chain.validate()
    assert [evidence.kind for evidence in path.evidence] == ["crl", "crl"]
    assert path.public_key == chain.sm2.key(chain.leaf)
    data = b"a form"
    verify_signature(
        path.public_key, "sm2-sm3", chain.sm2.tools.sign(chain.sm2.private(chain.leaf), data), data
    )

    chain.sm2.pki.revoke(chain.ca, chain.leaf)
    with pytest.raises(RevokedError):
        chain.validate()


def test_parameters_inside_and_outside(chain: Chain) -> None:
    """GM/T 0015 writes NULL, openssl nothing: either is accepted when both places have it."""
    sm2 = chain.sm2
    sm2.inner = sm2.outer = SM2_WITH_NULL
    chain.validate()
    good = {"crls": [sm2.crl(chain.root), sm2.crl(chain.ca)]}
    sm2.outer = SM2_ALGORITHM
    with pytest.raises(RefusedError) as caught:
        chain.validate(target=sm2.certificate(chain.leaf, chain.ca), revocation=RevocationEvidence(**good))
    assert caught.value.code == "ALGORITHM_MISMATCH"
    with pytest.raises(RefusedError) as caught:
        load_crl(sm2.crl(chain.ca))
    assert caught.value.code in {"ALGORITHM_MISMATCH", "NOT_DER"}


def test_answers_of_the_ca_and_of_its_responder(chain: Chain) -> None:
    sm2, pki = chain.sm2, chain.sm2.pki
    root_crl = sm2.crl(chain.root)
    responder = pki.responder(chain.ca)
    for by in (None, responder):
        for status, error in (("good", None), ("revoked", RevokedError)):
            answer = sm2.ocsp(chain.ca, chain.leaf, responder=by, status=status)
            evidence = RevocationEvidence(crls=[root_crl], ocsp=[answer])
            if error is None:
                assert "ocsp" in [item.kind for item in chain.validate(revocation=evidence).evidence]
            else:
                with pytest.raises(error):
                    chain.validate(revocation=evidence)
    altered = bytearray(sm2.ocsp(chain.ca, chain.leaf))
    altered[-1] ^= 1
    with pytest.raises(VerifyError) as caught:
        chain.validate(revocation=RevocationEvidence(crls=[root_crl], ocsp=[bytes(altered)]))
    assert caught.value.code == "REVOCATION_UNKNOWN"


def test_an_agreed_identifier(chain: Chain) -> None:
    """All signers use another identifier: good for a policy that names it, refused for the others."""
    chain.sm2.identifier = ALICE
    agreed = DEFAULT_ALGORITHMS.__class__(algorithms=DEFAULT_ALGORITHMS.algorithms, sm2_id=ALICE)
    chain.validate(parameters=PathParameters(algorithms=agreed))
    with pytest.raises(SignatureInvalidError) as caught:
        chain.validate()
    assert caught.value.code == "CERT_SIGNATURE_INVALID"


def test_the_empty_identifier_is_named_wherever_it_is_met(chain: Chain) -> None:
    """Certificate, CRL and OCSP answer of an openssl 3.0 that was told no distid."""
    sm2 = chain.sm2
    good = {"crls": [sm2.crl(chain.root), sm2.crl(chain.ca)]}
    sm2.identifier = b""
    empty = {
        "leaf": sm2.certificate(chain.leaf, chain.ca),
        "crl": sm2.crl(chain.ca),
        "ocsp": sm2.ocsp(chain.ca, chain.leaf),
    }
    sm2.identifier = DEFAULT_ID
    with pytest.raises(SignatureInvalidError) as caught:
        chain.validate(target=empty["leaf"])
    assert caught.value.code == "SM2_EMPTY_ID"
    assert caught.value.certificate == load_certificate(empty["leaf"])
    for evidence in (
        RevocationEvidence(crls=[good["crls"][0], empty["crl"]]),
        RevocationEvidence(crls=good["crls"][:1], ocsp=[empty["ocsp"]]),
    ):
        with pytest.raises(VerifyError) as unknown:
            chain.validate(revocation=evidence)
        assert "SM2_EMPTY_ID" in str(unknown.value)


def test_altered_bytes_are_refused(chain: Chain) -> None:
    """Every tenth byte of the leaf, changed in one bit: never accepted."""
    leaf = chain.sm2.certificate(chain.leaf, chain.ca)
    for position in range(0, len(leaf), 10):
        altered = leaf[:position] + bytes((leaf[position] ^ 4,)) + leaf[position + 1 :]
        with pytest.raises(VerifyError):
            chain.validate(target=altered, revocation_policy=OFF, revocation=None)


def test_a_list_is_checked_once_for_each_key_and_identifier(chain: Chain) -> None:
    crl = load_crl(chain.sm2.crl(chain.ca))
    key = chain.sm2.key(chain.ca)
    crl.check_signature(key)
    agreed = DEFAULT_ALGORITHMS.__class__(algorithms=DEFAULT_ALGORITHMS.algorithms, sm2_id=ALICE)
    for wrong_key, policy in ((key, agreed), (chain.sm2.key(chain.root), DEFAULT_ALGORITHMS)):
        with pytest.raises(SignatureInvalidError):
            crl.check_signature(wrong_key, policy=policy)
    crl.check_signature(key)


def test_hostile_candidates_end_in_the_budget(chain: Chain) -> None:
    """A hundred SM2 authorities of one name, none of which signed: a verdict, and soon."""
    sm2, pki = chain.sm2, chain.sm2.pki
    fakes = []
    for number in range(100):
        der = sm2.certificate(chain.ca, chain.root)
        fake = Sm2PublicKey(sm2.tools.affine(10_000 + number))
        fakes.append(der.replace(spki_der(sm2.key(chain.ca)), spki_der(fake)))
    leaf = pki.leaf(chain.ca, without=[x509.AuthorityKeyIdentifier])
    with pytest.raises(VerifyError) as caught:
        chain.validate(target=sm2.certificate(leaf, chain.ca), candidates=fakes)
    assert caught.value.code == "PATH_BUDGET"


def test_pyopenssl_agrees(chain: Chain) -> None:
    """OpenSSL's own chain builder accepts the same chain and refuses the same altered leaf."""
    sm2 = chain.sm2
    ders = [sm2.certificate(chain.root), sm2.certificate(chain.ca, chain.root)]
    leaf = sm2.certificate(chain.leaf, chain.ca)
    store = crypto.X509Store()
    for der in ders:
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
    store.set_time(sm2.pki.T)

    def accepts(der: bytes) -> bool:
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        try:
            crypto.X509StoreContext(store, certificate).verify_certificate()
        except crypto.X509StoreContextError:
            return False
        return True

    chain.validate()
    sm2.identifier = ALICE
    other_id = sm2.certificate(chain.leaf, chain.ca)
    sm2.identifier = DEFAULT_ID
    altered = leaf[:-1] + bytes((leaf[-1] ^ 1,))
    assert [accepts(der) for der in (leaf, altered, other_id)] == [True, False, False]
    with pytest.raises(RefusedError):
        chain.validate(target=other_id)


@pytest.mark.filterwarnings("ignore:X509:DeprecationWarning")  # no other builder signs with SM2
def test_certificates_of_others(chain: Chain, tmp_path: Path) -> None:
    """Self-signed by pyOpenSSL and by the command, as anchors and as targets."""
    chain.sm2.tools.openssl(
        *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", "key.pem"), cwd=tmp_path
    )
    for der in (by_pyopenssl(tmp_path, chain.sm2.pki.T), by_command(chain.sm2.tools, tmp_path)):
        parameters = PathParameters(purpose=ANY, revocation=OFF)
        anchor = TrustAnchor.from_certificate(der)
        at = parse_certificate(der).not_before + timedelta(hours=1)
        assert validate_path(der, anchors=[anchor], at=at, parameters=parameters).anchor is anchor
        altered = der[:-1] + bytes((der[-1] ^ 1,))
        with pytest.raises(SignatureInvalidError):
            validate_path(altered, anchors=[anchor], at=at, parameters=parameters)


def by_pyopenssl(folder: Path, at: datetime) -> bytes:
    key = crypto.load_privatekey(crypto.FILETYPE_PEM, (folder / "key.pem").read_bytes())
    certificate = crypto.X509()
    certificate.set_version(2)
    certificate.get_subject().CN = "SM2 by pyOpenSSL"
    certificate.set_issuer(certificate.get_subject())
    certificate.set_serial_number(0x1234)
    certificate.set_notBefore(at.strftime("%Y%m%d%H%M%SZ").encode())
    certificate.set_notAfter((at + timedelta(days=30)).strftime("%Y%m%d%H%M%SZ").encode())
    certificate.set_pubkey(key)
    certificate.sign(key, "sm3")
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


def by_command(tools: Any, folder: Path) -> bytes:
    tools.openssl(
        *("req", "-x509", "-new", "-key", "key.pem", "-sm3", "-sigopt", "distid:1234567812345678"),
        *("-subj", "/CN=SM2 by the command", "-days", "30", "-outform", "DER", "-out", "certificate.der"),
        cwd=folder,
    )
    return (folder / "certificate.der").read_bytes()


def test_the_command_agrees(chain: Chain, tmp_path: Path) -> None:
    """``openssl verify`` accepts the leaf with the identifier, and not without it.

    The command hands the identifier to the target only, so that the issuing CA is its anchor here.
    """
    sm2 = chain.sm2
    for name, der in (
        ("ca", sm2.certificate(chain.ca, chain.root)),
        ("leaf", sm2.certificate(chain.leaf, chain.ca)),
    ):
        (tmp_path / name).write_bytes(load_certificate(der).public_bytes(Encoding.PEM))
    at = int(sm2.pki.T.timestamp())
    command = ("verify", "-attime", at, "-partial_chain", "-CAfile", "ca")
    sm2.tools.openssl(*command, "-vfyopt", "distid:1234567812345678", "leaf", cwd=tmp_path)
    assert sm2.tools.openssl(*command, "leaf", cwd=tmp_path, fine=False).returncode != 0

    (tmp_path / "crl").write_bytes(sm2.crl(chain.ca))
    shown = sm2.tools.openssl("crl", "-inform", "DER", "-in", "crl", "-noout", "-text", cwd=tmp_path).stdout
    assert b"SM2-with-SM3" in shown


def test_many_leaves_of_one_ca(chain: Chain) -> None:
    """Past the number of signatures after which the CA's key gets its table: all are accepted."""
    sm2, pki = chain.sm2, chain.sm2.pki
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(sm2.certificate(chain.root))],
        candidates=[sm2.certificate(chain.ca, chain.root)],
        parameters=PathParameters(revocation=OFF),
    )
    for number in range(40):
        leaf = pki.leaf(chain.ca, f"Clerk {number}")
        validator.validate(sm2.certificate(leaf, chain.ca), at=pki.T)
    forged = sm2.certificate(pki.leaf(chain.ca, "Forged"), chain.root)
    with pytest.raises(SignatureInvalidError):
        validator.validate(forged, at=pki.T)
