"""An authority of ours that others certify: the request that goes out, the certificate that comes in.

The certificate is not in the reviewed file; the one who signs it is, and everything else is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.ca import der
from onecert.ca.authorities.authorities import ROOT
from onecert.ca.ceremonies.plans import AuthorityPlan, OutsidePlan
from onecert.ca.certificates.draft import raw_subject
from onecert.ca.certificates.names import subject_der
from onecert.ca.certificates.outside import read_certificates
from onecert.ca.errors import CeremonyFileError, OutsideCertificateError, TokenGoneError
from onecert.ca.profiles.profile import KEY_USAGE_BITS
from onecert.ca.signatures.algorithms import PrivateKey, PublicKey, algorithm_of, sign, signed, spki_der
from onecert.ca.signatures.public_keys import is_for_key, is_issued_by
from onecert.hsm.errors import TokenError

__all__ = ["OutsideCertificate", "check_outside_certificate", "request_pem"]


@dataclass(frozen=True, kw_only=True)
class OutsideCertificate:
    """A certificate that fits plan and key; checked."""

    der: bytes
    serial_number: int


def request_pem(plan: AuthorityPlan, key: PrivateKey) -> str:
    """Write the certificate request of an authority (RFC 2986), signed with its key.

    It asks for basic constraints and key usage (RFC 2985, section 5.4.2); the outside authority decides.

    Raises:
        TokenGoneError
    """
    usage = der.named_bits(frozenset(KEY_USAGE_BITS[each] for each in plan.profile.key_usage))
    length = b"" if plan.profile.path_length is None else der.integer(plan.profile.path_length)
    extensions = der.sequence(
        der.extension("2.5.29.19", der.sequence(der.TRUE, length), critical=True),
        der.extension("2.5.29.15", usage, critical=True),
    )
    attributes = der.sequence(der.oid("1.2.840.113549.1.9.14"), der.set_of(extensions))
    info_der = der.sequence(
        der.integer(0),
        subject_der(plan.subject),
        spki_der(key.public_key()),
        der.explicit(0, attributes),
    )
    try:
        signature = sign(key, info_der)
    except TokenError as exc:
        raise TokenGoneError(plan.name) from exc
    request = x509.load_der_x509_csr(signed(info_der, algorithm_of(key.public_key()), signature))
    return request.public_bytes(Encoding.PEM).decode("ascii")


def check_outside_certificate(
    content: bytes, plan: AuthorityPlan, public_key: PublicKey, outside: OutsidePlan, at: datetime
) -> OutsideCertificate:
    """Find our certificate in what the outside authority sent, and check it.

    Raises:
        OutsideCertificateError: with every fault.
    """
    try:
        found = [each for each in read_certificates(content) if is_for_key(each, public_key)]
    except CeremonyFileError as exc:
        raise OutsideCertificateError(plan.name, exc.faults) from exc
    if len(found) != 1:
        raise OutsideCertificateError(plan.name, ["there is not exactly one certificate for our key"])
    (certificate,) = found
    issuer = x509.load_der_x509_certificate(outside.certificates_der[0])
    faults = list(_faults(certificate, issuer, plan, at))
    if faults:
        raise OutsideCertificateError(plan.name, faults)
    return OutsideCertificate(
        der=certificate.public_bytes(Encoding.DER), serial_number=certificate.serial_number
    )


def _faults(
    certificate: x509.Certificate, issuer: x509.Certificate, plan: AuthorityPlan, at: datetime
) -> list[str]:
    faults = []
    if raw_subject(certificate.tbs_certificate_bytes) != subject_der(plan.subject):
        faults.append("it does not have the name that we asked for")
    if not is_issued_by(certificate, issuer):
        faults.append("it is not signed by the outside authority of the reviewed file")
    if not certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc:
        faults.append("it is not valid now")
    extensions = {type(extension.value): extension.value for extension in certificate.extensions}
    limits, usage = extensions.get(x509.BasicConstraints), extensions.get(x509.KeyUsage)
    if not isinstance(limits, x509.BasicConstraints) or not limits.ca:
        faults.append("its basic constraints do not say that it is a CA")
    elif plan.role == ROOT and limits.path_length == 0:
        faults.append("its path length lets it certify no authority")
    if not isinstance(usage, x509.KeyUsage) or not (usage.key_cert_sign and usage.crl_sign):
        faults.append("its key usage lacks keyCertSign or cRLSign")
    if x509.SubjectKeyIdentifier not in extensions:
        faults.append("it has no subject key identifier (RFC 5280, section 4.2.1.2)")
    return faults
