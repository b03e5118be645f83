"""The addresses in certificates and lists: RFC 5280, sections 4.2.1.13, 4.2.1.15, 4.2.2.1 and 5.2.7.

Whoever made the certificate chose them, and before its path has been validated that may be anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.extensions import DistributionPoint, GeneralName
from onecert.verifier.revocation import Crl

__all__ = ["crl_points", "delta_points", "issuer_urls", "issuer_urls_of_crl", "ocsp_urls"]

_URI = 6
_ACCESS = "1.3.6.1.5.5.7.1.1"
_OCSP = "1.3.6.1.5.5.7.48.1"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"
_FRESHEST = "2.5.29.46"
_POINTS_MAX = 16


def crl_points(certificate: ParsedCertificate) -> list[tuple[DistributionPoint, list[str]]]:
    """Each distribution point that has addresses, with the addresses: any one of them will do."""
    return _points(certificate.distribution_points)


def delta_points(certificate: ParsedCertificate) -> list[tuple[DistributionPoint, list[str]]]:
    """The same for delta lists."""
    extension = certificate.extensions.get(_FRESHEST)
    return [] if extension is None else _points(extension.value)


def ocsp_urls(certificate: ParsedCertificate) -> list[str]:
    """Responders, in the order of the certificate."""
    return _access(certificate, _OCSP)


def issuer_urls(certificate: ParsedCertificate) -> list[str]:
    """Where certificates of the issuer are, in the order of the certificate."""
    return _access(certificate, _CA_ISSUERS)


def issuer_urls_of_crl(crl: Crl) -> list[str]:
    """Where certificates of the signer of a list are."""
    try:
        extension = x509.load_der_x509_crl(crl.der).extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        )
        return [
            description.access_location.value
            for description in extension.value
            if description.access_method.dotted_string == _CA_ISSUERS
            and isinstance(description.access_location, x509.UniformResourceIdentifier)
        ][:_POINTS_MAX]
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion):
        return []


def _points(points: Sequence[DistributionPoint]) -> list[tuple[DistributionPoint, list[str]]]:
    found = [(point, _urls(point.full_names)) for point in points[:_POINTS_MAX]]
    return [(point, urls) for point, urls in found if urls]


def _access(certificate: ParsedCertificate, method: str) -> list[str]:
    extension = certificate.extensions.get(_ACCESS)
    if extension is None:
        return []
    return _urls(name for oid, name in extension.value if oid == method)


def _urls(names: Iterable[GeneralName]) -> list[str]:
    """What can be asked, and only if there is nothing else the rest, so that its failure is named."""
    urls = [name.value.decode("ascii") for name in names if name.tag == _URI][:_POINTS_MAX]
    return [url for url in urls if url.lower().startswith(("http:", "https:"))] or urls
