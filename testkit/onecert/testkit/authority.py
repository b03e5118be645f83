"""A certification authority of the kit: root, issuing CA, certificates and revocation list.

Source: RFC 5280, sections 4 and 5. Everything is built with a stand-in key and then signed anew, see ``der``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from onecert.testkit.der import replaced, signed
from onecert.testkit.keys import ALGORITHM_DER, HolderKey, make_key

__all__ = ["MARK", "Authority", "CertificateRequest", "establish", "subject_name"]

MARK = "仅供测试 TEST ONLY"
DAY = timedelta(days=1)
_STAND_IN = ec.generate_private_key(ec.SECP256R1())
# Places in TBSCertificate and TBSCertList.
_CERTIFICATE_ALGORITHM, _CERTIFICATE_KEY, _CRL_ALGORITHM = 2, 6, 1
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, kw_only=True)
class CertificateRequest:
    """What a certificate shall say. ``extensions`` maps object identifiers to the DER of their values."""

    subject: x509.Name
    spki_der: bytes
    not_before: datetime
    not_after: datetime
    usages: Sequence[str] = ("digital_signature", "content_commitment")
    extensions: Mapping[str, bytes] = field(default_factory=dict)
    ca_path_length: int | None = None  # None: not a CA


@dataclass
class Authority:
    """One CA that holders meet: the issuing one.

    ``revoked`` are serial numbers with the reason and the time. An impostor names another's key as its own in
    what it issues (``claimed_spki_der``), so that only the signature tells.
    """

    id: str
    name: x509.Name
    key: HolderKey
    certificate_der: bytes
    crl_url: str
    root_der: bytes
    root_crl_der: bytes
    revoked: dict[int, tuple[x509.ReasonFlags, datetime]] = field(default_factory=dict)
    claimed_spki_der: bytes = b""

    def issue(self, request: CertificateRequest, *, algorithm: str | None = None) -> bytes:
        """A certificate, DER."""
        return _issue(
            request,
            self.name,
            self.key,
            crl_url=self.crl_url,
            algorithm=algorithm,
            claimed_spki_der=self.claimed_spki_der,
        )

    def crl(self, *, this_update: datetime, next_update: datetime, number: int = 1) -> bytes:
        """The revocation list, DER."""
        return _crl(self.name, self.key, self.revoked, (this_update, next_update), number)


def subject_name(common_name: str) -> x509.Name:
    """``CN=…, OU=仅供测试 TEST ONLY, C=CN``: whoever sees such a certificate sees what it is."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, MARK),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def establish(
    authority_id: str, name: str, kind: str, *, base_url: str, begin: datetime, end: datetime, at: datetime
) -> Authority:
    """A root and its issuing CA with new keys of one kind (see ``make_key``).

    Args:
        begin, end: validity of both.
        at: the moment of making; the root's CRL lives from there to ``end``.
    """
    root_key, key = make_key(kind), make_key(kind)
    root_name, issuing_name = subject_name(f"{name} 根 Root"), subject_name(name)
    root_url = f"{base_url}/crls/{authority_id}-root.crl"
    usages = ("key_cert_sign", "crl_sign")
    certificates = [
        _issue(
            CertificateRequest(
                subject=subject,
                spki_der=subject_key.spki_der,
                not_before=begin,
                not_after=end,
                usages=usages,
                ca_path_length=length,
            ),
            root_name,
            root_key,
            crl_url=root_url,
        )
        for subject, subject_key, length in ((root_name, root_key, 1), (issuing_name, key, 0))
    ]
    return Authority(
        id=authority_id,
        name=issuing_name,
        key=key,
        certificate_der=certificates[1],
        crl_url=f"{base_url}/crls/{authority_id}.crl",
        root_der=certificates[0],
        root_crl_der=_crl(root_name, root_key, {}, (at, end)),
    )


def _key_identifier(spki_der: bytes) -> bytes:
    return hashlib.sha256(spki_der).digest()[:20]


def _issue(
    request: CertificateRequest,
    issuer: x509.Name,
    issuer_key: HolderKey,
    *,
    crl_url: str,
    algorithm: str | None = None,
    claimed_spki_der: bytes = b"",
) -> bytes:
    is_ca = request.ca_path_length is not None
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
    key_identifier = _key_identifier(claimed_spki_der or issuer_key.spki_der)
    authority = x509.AuthorityKeyIdentifier(key_identifier, None, None)
    usage = x509.KeyUsage(**{name: name in request.usages for name in _USAGES})
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer)
        .public_key(_STAND_IN.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(request.not_before)
        .not_valid_after(request.not_after)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=request.ca_path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(_key_identifier(request.spki_der)), critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.CRLDistributionPoints([point]), critical=False)
    )
    for oid, value in request.extensions.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(extension, critical=False)
    tbs = builder.sign(_STAND_IN, hashes.SHA256()).tbs_certificate_bytes
    name = algorithm or issuer_key.algorithm
    row = ALGORITHM_DER[name]
    tbs = replaced(tbs, {_CERTIFICATE_ALGORITHM: row, _CERTIFICATE_KEY: request.spki_der})
    return signed(tbs, row, lambda data: issuer_key.sign(data, name))


def _crl(
    issuer: x509.Name,
    key: HolderKey,
    revoked: Mapping[int, tuple[x509.ReasonFlags, datetime]],
    updates: tuple[datetime, datetime],
    number: int = 1,
) -> bytes:
    authority = x509.AuthorityKeyIdentifier(_key_identifier(key.spki_der), None, None)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(updates[0])
        .next_update(updates[1])
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(authority, critical=False)
    )
    for serial, (reason, since) in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(reason), critical=False).build()
        )
    built = x509.load_der_x509_crl(builder.sign(_STAND_IN, hashes.SHA256()).public_bytes(Encoding.DER))
    row = ALGORITHM_DER[key.algorithm]
    return signed(replaced(built.tbs_certlist_bytes, {_CRL_ALGORITHM: row}), row, key.sign)
