"""Proof that the judges are awake: artefacts with one thing wrong each, and who has to notice.

A judge that accepts a forgery of its own list, or refuses the sound original, fails the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from artefacts import Artefact, one_of
from asn1crypto import crl, ocsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as answers

__all__ = ["Forgery", "forgeries"]

DER, DAY = Encoding.DER, timedelta(days=1)
_READERS = frozenset({"openssl", "GnuTLS", "Bouncy Castle"})
_CORPUS = Path(__file__).parents[1] / "verifier" / "test_attribute_certificate" / "corpus"
_ATTRIBUTE_CERTIFICATES = (
    ("good-all-attributes.der", "sound"),
    ("signature-key.der", "another signature", "Bouncy Castle"),
    ("der-truncated.der", "its last octet is missing", "Bouncy Castle"),
    ("serial-negative.der", "a negative serial number", "Bouncy Castle"),
    ("attributes-none.der", "it assigns nothing", "Bouncy Castle"),
)
_TYPES = {"certificate": asn1.Certificate, "crl": crl.CertificateList, "ocsp": ocsp.OCSPResponse}


@dataclass(frozen=True)
class Forgery:
    """An artefact and the judges that have to refuse it; none: it is sound and everybody accepts it."""

    artefact: Artefact
    what: str
    refused_by: frozenset[str]


def forgeries(folder: Path) -> list[Forgery]:
    """Make them all, with keys of their own."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _certificate(key, "Forgers' CA", key, "Forgers' CA", is_ca=True)
    leaf = _certificate(ec.generate_private_key(ec.SECP256R1()), "holder", key, "Forgers' CA", is_ca=False)
    sound = {"certificate": leaf, "crl": _list(key), "ocsp": _answer(key, issuer, leaf)}
    loaded_issuer = issuer.public_bytes(DER)
    made: list[Forgery] = []

    def add(kind: str, content: bytes, what: str, *refused_by: str) -> None:
        artefact = one_of(kind, content, folder, issuer=loaded_issuer)
        made.append(Forgery(artefact, f"{kind}: {what}", frozenset(refused_by)))

    def forged(kind: str, what: str, change: Callable[[Any], None], *refused_by: str) -> None:
        add(kind, _signed_anew(kind, sound[kind].public_bytes(DER), change, key), what, *refused_by)

    for kind, original in sound.items():
        content = original.public_bytes(DER)
        add(kind, content, "sound")
        add(kind, _another_signature(kind, content), "another signature", *_READERS)
        add(kind, content[:-1], "its last octet is missing", "pkilint", *_READERS)
    for file, what, *refused_by in _ATTRIBUTE_CERTIFICATES:
        signer = (_CORPUS / "certificates" / "aa-p256.cer").read_bytes()
        content = (_CORPUS / file).read_bytes()
        artefact = one_of("attribute_certificate", content, folder, issuer=signer)
        made.append(Forgery(artefact, f"attribute certificate: {what}", frozenset(refused_by)))
    forged("certificate", "a negative serial number", _negative_serial, "pkilint", "Bouncy Castle")
    forged("certificate", "it ends before it begins", _ends_first, "pkilint", "Bouncy Castle")
    forged("crl", "it ends before it begins", _list_ends_first, "pkilint")
    forged("crl", "its number is negative", _negative_number, "pkilint")
    return made


def _certificate(key: Any, name: str, signer: Any, issuer: str, *, is_ca: bool) -> x509.Certificate:
    begin = datetime.now(UTC).replace(microsecond=0) - DAY
    builder = x509.CertificateBuilder(
        _name(issuer), _name(name), key.public_key(), 4711, begin, begin + 90 * DAY
    )
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | {"encipher_only": False, "decipher_only": False}
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca, **usage), True
    )
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), True)
    builder = builder.add_extension(_authority_key(signer), False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(signer, hashes.SHA256())


def _list(key: Any) -> x509.CertificateRevocationList:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    builder = x509.CertificateRevocationListBuilder(_name("Forgers' CA"), now, now + DAY)
    builder = builder.add_extension(x509.CRLNumber(7), False).add_extension(_authority_key(key), False)
    return builder.sign(key, hashes.SHA256())


def _answer(key: Any, issuer: x509.Certificate, leaf: x509.Certificate) -> answers.OCSPResponse:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    builder = answers.OCSPResponseBuilder().add_response(
        leaf, issuer, hashes.SHA1(), answers.OCSPCertStatus.GOOD, now, now + DAY, None, None
    )
    builder = builder.responder_id(answers.OCSPResponderEncoding.HASH, issuer).certificates([issuer])
    return builder.sign(key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _authority_key(key: Any) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


# ------------------------------------------------------------------ one thing wrong


def _signed_part(kind: str, whole: Any) -> tuple[Any, Any, str]:
    """What is signed, what holds the signature, and the field it stands in."""
    if kind == "ocsp":
        basic = whole["response_bytes"]["response"].parsed
        return basic["tbs_response_data"], basic, "signature"
    if kind == "crl":
        return whole["tbs_cert_list"], whole, "signature"
    return whole["tbs_certificate"], whole, "signature_value"


def _signed_anew(kind: str, content: bytes, change: Callable[[Any], None], key: Any) -> bytes:
    whole = _TYPES[kind].load(content)
    signed, holder, field = _signed_part(kind, whole)
    change(signed)
    holder[field] = key.sign(signed.dump(force=True), ec.ECDSA(hashes.SHA256()))
    return _dumped(kind, whole, holder)


def _another_signature(kind: str, content: bytes) -> bytes:
    """A signature by another key: well-formed, and not valid."""
    whole = _TYPES[kind].load(content)
    signed, holder, field = _signed_part(kind, whole)
    other = ec.generate_private_key(ec.SECP256R1())
    holder[field] = other.sign(signed.dump(), ec.ECDSA(hashes.SHA256()))
    return _dumped(kind, whole, holder)


def _dumped(kind: str, whole: Any, holder: Any) -> bytes:
    if kind == "ocsp":
        basic = ocsp.BasicOCSPResponse.load(holder.dump(force=True))
        inner = {"response_type": "basic_ocsp_response", "response": basic}
        whole = ocsp.OCSPResponse({"response_status": "successful", "response_bytes": inner})
    dumped: bytes = whole.dump(force=True)
    return dumped


def _negative_serial(tbs: Any) -> None:
    tbs["serial_number"] = -4711


def _ends_first(tbs: Any) -> None:
    begin, end = tbs["validity"]["not_before"].copy(), tbs["validity"]["not_after"].copy()
    tbs["validity"] = {"not_before": end, "not_after": begin}


def _list_ends_first(tbs: Any) -> None:
    tbs["next_update"] = asn1.Time({"utc_time": tbs["this_update"].native - DAY})


def _negative_number(tbs: Any) -> None:
    for extension in tbs["crl_extensions"]:
        if extension["extn_id"].native == "crl_number":
            extension["extn_value"] = -7
