"""A certificate in words: every field and each extension with its criticality, read from its DER."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from onecert.ca.certificates.draft import raw_subject
from onecert.ca.certificates.names import read_subject
from onecert.ca.profiles.profile import EXTENDED_KEY_USAGE_OIDS, Profile
from onecert.ca.signatures.algorithms import key_kind
from onecert.server.languages import _, gettext

__all__ = ["Row", "describe_certificate"]

_PURPOSES = {oid: name for name, oid in EXTENDED_KEY_USAGE_OIDS.items()}
_TITLES = {
    "2.5.29.14": _("Subject key identifier"),
    "2.5.29.15": _("Key usage"),
    "2.5.29.17": _("Alternative names"),
    "2.5.29.19": _("Basic constraints"),
    "2.5.29.31": _("Revocation list"),
    "2.5.29.32": _("Policies"),
    "2.5.29.35": _("Authority key identifier"),
    "2.5.29.37": _("Extended key usage"),
    "2.5.29.46": _("Delta list"),
    "1.3.6.1.5.5.7.1.1": _("Status and issuer"),
    "1.3.6.1.5.5.7.48.1.5": _("Not checked for revocation (OCSP responder)"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: what it is, what it says, and of an extension whether it is critical and its type."""

    title: str
    value: str
    is_critical: bool | None = None
    oid: str = ""


def describe_certificate(certificate_der: bytes, profile: Profile) -> list[Row]:
    """Describe a certificate in the reader's language. Times are exact, in UTC.

    Args:
        profile: tells what the identity extensions carry.
    """
    certificate = x509.load_der_x509_certificate(certificate_der)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    names = ", ".join(
        f"{field}={value}"
        for field, _tag, value in read_subject(raw_subject(certificate.tbs_certificate_bytes))
    )
    rows = [
        Row(title=gettext(_("Version")), value=certificate.version.name),
        Row(title=gettext(_("Serial number")), value=f"{certificate.serial_number:x}"),
        Row(title=gettext(_("Signature algorithm")), value=certificate.signature_algorithm_oid.dotted_string),
        Row(title=gettext(_("Issuer")), value=certificate.issuer.rfc4514_string()),
        Row(title=gettext(_("Valid from (first second)")), value=start.strftime("%Y-%m-%dT%H:%M:%SZ")),
        Row(title=gettext(_("Valid until (last second)")), value=end.strftime("%Y-%m-%dT%H:%M:%SZ")),
        Row(title=gettext(_("Subject")), value=names),
        Row(title=gettext(_("Public key")), value=_key(certificate)),
    ]
    carried = {form.oid: form.value for form in profile.identity_forms}
    for extension in certificate.extensions:
        oid = extension.oid.dotted_string
        title = gettext(_TITLES[oid]) if oid in _TITLES else oid
        if oid in carried:
            title = gettext(_("Identity: %(value)s"), value=carried[oid])
        rows.append(Row(title=title, value=_value(extension.value), is_critical=extension.critical, oid=oid))
    return rows


def _key(certificate: x509.Certificate) -> str:
    try:
        return key_kind(certificate.public_key())
    except ValueError:
        return certificate.public_key_algorithm_oid.dotted_string


def _points(value: object) -> str:
    points = value if isinstance(value, x509.CRLDistributionPoints | x509.FreshestCRL) else ()
    return ", ".join(str(name.value) for point in points for name in point.full_name or ())


def _usages(value: object) -> str:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign",
    )  # fmt: skip
    return ", ".join(name for name in names if getattr(value, name))


_VALUES: dict[type, Callable[..., str]] = {
    x509.SubjectKeyIdentifier: lambda value: str(value.digest.hex()),
    x509.AuthorityKeyIdentifier: lambda value: (value.key_identifier or b"").hex(),
    x509.KeyUsage: _usages,
    x509.ExtendedKeyUsage: lambda value: ", ".join(
        _PURPOSES.get(usage.dotted_string, usage.dotted_string) for usage in value
    ),
    x509.BasicConstraints: lambda value: f"CA={value.ca}, pathLen={value.path_length}",
    x509.CertificatePolicies: lambda value: ", ".join(
        policy.policy_identifier.dotted_string for policy in value
    ),
    x509.CRLDistributionPoints: _points,
    x509.FreshestCRL: _points,
    x509.AuthorityInformationAccess: lambda value: ", ".join(
        str(access.access_location.value) for access in value
    ),
    x509.SubjectAlternativeName: lambda value: ", ".join(str(name.value) for name in value),
    x509.OCSPNoCheck: lambda _value: "NULL",
    x509.UnrecognizedExtension: lambda value: f"{_text(value.value)} ({value.value.hex()})",
}


def _value(value: object) -> str:
    write = _VALUES.get(type(value))
    return write(value) if write is not None else repr(value)


def _text(value_der: bytes) -> str:
    """The readable part of an identity extension, for the eye alone; the DER stands beside it."""
    return "".join(chr(octet) if 0x20 <= octet < 0x7F else "·" for octet in value_der)
