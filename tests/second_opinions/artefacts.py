"""What a test run left behind, and who signed each of it.

The issuer of a certificate, attribute certificate or list is found by its name and key identifier among all
certificates of the run; that of an answer or a timestamp is the certificate it carries.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

__all__ = ["KINDS", "Artefact", "Run", "load_run", "one_of"]

KINDS = ("certificate", "crl", "ocsp", "timestamp", "attribute_certificate", "acrl")
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.InvalidVersion)
_POLICIES = (x509.ExtensionOID.POLICY_MAPPINGS, x509.ExtensionOID.POLICY_CONSTRAINTS)
# Signature algorithm -> the word that the table of exemptions uses.
_ALGORITHMS = {
    "1.2.156.10197.1.501": "SM2",
    "1.3.101.112": "Ed25519",
    "2.16.840.1.101.3.4.3.17": "ML-DSA",
    "2.16.840.1.101.3.4.3.18": "ML-DSA",
    "2.16.840.1.101.3.4.3.19": "ML-DSA",
}


class _TimeStampResp(core.Sequence):  # type: ignore[misc]
    """RFC 3161, section 2.4.2: without a token when it was not granted."""

    _fields = [  # noqa: RUF012 - asn1crypto writes into it
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


@dataclass
class Artefact:
    """One certificate, list, answer or timestamp in DER.

    Args:
        wrong: why every test that made it meant it to be wrong; empty: it must pass.
        issuer: the certificate whose key signed it, in DER; None: not found.
        carried: the signer's certificate that it carries itself, in DER, and that one's issuer.
        algorithm: SM2, Ed25519, ML-DSA, or empty for RSA and ECDSA.
        key_algorithm: the same of the key that a certificate certifies.
        restricts_policies: a certificate with critical policy mappings or constraints.
        is_refusal: an OCSP error or a timestamp that was not granted: nothing is signed.
    """

    kind: str
    sha256: str
    path: Path
    tests: list[str] = field(default_factory=list)
    wrong: str = ""
    issuer: bytes | None = None
    carried: bytes | None = None
    algorithm: str = ""
    key_algorithm: str = ""
    restricts_policies: bool = False
    is_refusal: bool = False

    @cached_property
    def der(self) -> bytes:
        return self.path.read_bytes()

    @property
    def signer(self) -> bytes | None:
        """The certificate to check the signature with."""
        return self.carried or self.issuer


class Run:
    """All artefacts of a run.

    Args:
        folder: for what the judges need as files; certificates in PEM are written there once each.
    """

    def __init__(self, artefacts: list[Artefact], foreign: Iterable[bytes], folder: Path) -> None:
        self.artefacts = artefacts
        self.folder = folder
        self._by_name: dict[tuple[bytes, bytes | None], list[bytes]] = {}
        self._pem: dict[bytes, Path] = {}
        self._writing = Lock()
        certificates = [each.der for each in artefacts if each.kind == "certificate" and not each.wrong]
        for content in (*certificates, *foreign):
            self._index(content)
        for each in artefacts:
            self._fill(each)

    def pem(self, certificate_der: bytes) -> Path:
        """A file with this certificate in PEM."""
        # Judges ask from several threads: a file that one of them reads is not written again.
        with self._writing:
            path = self._pem.get(certificate_der)
            if path is None:
                path = self.folder / f"{hashlib.sha256(certificate_der).hexdigest()}.pem"
                text = base64.encodebytes(certificate_der).decode()
                path.write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
                path.with_suffix(".der").write_bytes(certificate_der)
                self._pem[certificate_der] = path
        return path

    def file(self, certificate_der: bytes) -> Path:
        """The same in DER."""
        return self.pem(certificate_der).with_suffix(".der")

    def issuer_of(self, certificate_der: bytes) -> bytes | None:
        """The certificate of whoever signed a certificate."""
        return self._issuer(x509.load_der_x509_certificate(certificate_der))

    def _index(self, content: bytes) -> None:
        try:
            loaded = x509.load_der_x509_certificate(content)
            name, key_id = loaded.subject.public_bytes(), _subject_key(loaded)
        except _UNREADABLE:
            return
        self._by_name.setdefault((name, key_id), []).append(content)

    def _issuer(self, signed: x509.Certificate | x509.CertificateRevocationList) -> bytes | None:
        found = self._by_name.get((signed.issuer.public_bytes(), _issuer_key(signed)), [])
        # A name and key may have several certificates, cross-certificates too; each has that key.
        return found[0] if found else None

    def _fill(self, each: Artefact) -> None:
        try:
            getattr(self, f"_fill_{each.kind}")(each)
        except _UNREADABLE:
            return  # the judges say what is wrong with it

    def _fill_certificate(self, each: Artefact) -> None:
        loaded = x509.load_der_x509_certificate(each.der)
        each.issuer = self._issuer(loaded)
        if loaded.subject == loaded.issuer and _subject_key(loaded) == _issuer_key(loaded):
            each.issuer = each.der
        each.algorithm = _ALGORITHMS.get(loaded.signature_algorithm_oid.dotted_string, "")
        each.key_algorithm = _ALGORITHMS.get(loaded.public_key_algorithm_oid.dotted_string, "")
        critical = {extension.oid for extension in loaded.extensions if extension.critical}
        each.restricts_policies = not critical.isdisjoint(_POLICIES)

    def _fill_crl(self, each: Artefact) -> None:
        loaded = x509.load_der_x509_crl(each.der)
        each.issuer = self._issuer(loaded)
        each.algorithm = _ALGORITHMS.get(loaded.signature_algorithm_oid.dotted_string, "")

    _fill_acrl = _fill_crl

    def _fill_attribute_certificate(self, each: Artefact) -> None:
        loaded = cms.AttributeCertificateV2.load(each.der, strict=True)
        info = loaded["ac_info"]
        (name,) = info["issuer"].chosen["issuer_name"]
        key_id = next(
            asn1.AuthorityKeyIdentifier.load(extension["extn_value"].contents)["key_identifier"].native
            for extension in info["extensions"]
            if extension["extn_id"].dotted == "2.5.29.35"
        )
        found = self._by_name.get((name.chosen.untag().dump(), key_id), [])
        each.issuer = found[0] if found else None
        each.algorithm = _ALGORITHMS.get(loaded["signature_algorithm"]["algorithm"].dotted, "")

    def _fill_ocsp(self, each: Artefact) -> None:
        loaded = ocsp.load_der_ocsp_response(each.der)
        each.is_refusal = loaded.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL
        if each.is_refusal:
            return
        each.algorithm = _ALGORITHMS.get(loaded.signature_algorithm_oid.dotted_string, "")
        if loaded.certificates:
            each.carried = loaded.certificates[0].public_bytes(Encoding.DER)
            each.issuer = self._issuer(loaded.certificates[0])

    def _fill_timestamp(self, each: Artefact) -> None:
        loaded = _TimeStampResp.load(each.der, strict=True)
        each.is_refusal = loaded["status"]["status"].native not in {"granted", "granted_with_mods"}
        if each.is_refusal:
            return
        signed = loaded["time_stamp_token"]["content"]
        (signer,) = signed["signer_infos"]
        each.algorithm = _ALGORITHMS.get(signer["signature_algorithm"]["algorithm"].dotted, "")
        for chosen in signed["certificates"] or ():
            if chosen.chosen.serial_number == signer["sid"].chosen["serial_number"].native:
                each.carried = chosen.chosen.dump()
        if each.carried is None:
            each.carried = self._named_by(signer)
        if each.carried is not None:
            each.issuer = self.issuer_of(each.carried)

    def _named_by(self, signer: cms.SignerInfo) -> bytes | None:
        """The certificate of a signer that the token only names."""
        serial, name = signer["sid"].chosen["serial_number"].native, signer["sid"].chosen["issuer"].dump()
        for found in self._by_name.values():
            for content in found:
                loaded = x509.load_der_x509_certificate(content)
                if loaded.serial_number == serial and loaded.issuer.public_bytes() == name:
                    return content
        return None


def load_run(collected: Path, folder: Path) -> Run:
    """Read what tests/second_opinions/collecting.py wrote; one artefact for each content."""
    found: dict[tuple[str, str], Artefact] = {}
    foreign: set[str] = set()
    for index in sorted(collected.glob("index-*.jsonl")):
        for line in index.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["kind"] == "foreign":
                foreign.add(row["sha256"])
                continue
            key = (row["kind"], row["sha256"])
            known = found.setdefault(key, Artefact(*key, collected / row["sha256"], wrong=row["wrong"]))
            known.tests.append(row["test"])
            # Made by any test that means it to be right, it must pass.
            known.wrong = known.wrong and row["wrong"]
    return Run(list(found.values()), [(collected / name).read_bytes() for name in sorted(foreign)], folder)


def one_of(kind: str, content: bytes, folder: Path, **facts: bytes | str | None) -> Artefact:
    """An artefact of one's own, written into a folder."""
    name = hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    made = Artefact(kind, name, folder / name, ["(made here)"])
    for fact, value in facts.items():
        setattr(made, fact, value)
    return made


def _subject_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _issuer_key(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes | None:
    try:
        value = signed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        # RFC 5280, section 4.2.1.1: only a self-signed certificate may leave it out.
        return _subject_key(signed) if isinstance(signed, x509.Certificate) else None
    return value.key_identifier
