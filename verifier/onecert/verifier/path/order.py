"""In which order candidate issuers are tried; no hint excludes a candidate (RFC 4158, section 3.5)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from operator import attrgetter

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.names import CanonicalName

__all__ = ["best_first", "key_id_fits"]


def key_id_fits(certificate: ParsedCertificate, key_id: bytes | None) -> bool:
    """Tell whether a key identifier is the one that the certificate names, if it names one."""
    named = certificate.authority_key_id
    return named is None or key_id is None or named == key_id


def best_first(
    certificate: ParsedCertificate, issuers: Sequence[ParsedCertificate], trusted: Container[CanonicalName]
) -> Sequence[ParsedCertificate]:
    """Each candidate issuer once: the named key first, issuers of trusted name next, then the one that lives
    longest."""
    if len(issuers) < 2:
        return issuers
    unique = list({issuer.der: issuer for issuer in issuers}.values())
    unique.sort(key=attrgetter("not_after"), reverse=True)
    unique.sort(
        key=lambda issuer: (
            not key_id_fits(certificate, issuer.subject_key_id),
            issuer.issuer not in trusted,
            issuer.is_self_issued,
        )
    )
    return unique
