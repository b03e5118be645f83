"""Whether a certificate is one for an attribute authority, by the rules that a relying party applies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from onecert.server.languages import _, current_language
from onecert.verifier.attribute_certificate import AttributeTrust, TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, verify_signature

__all__ = ["find_own_unfitness", "find_unfitness"]

_CRL_SIGN = 6


def find_unfitness(
    certificate: ParsedCertificate, chain: Sequence[x509.Certificate], at: datetime
) -> str | None:
    """Say why a certificate is not one for an attribute authority; None when it is.

    The rules of `find_own_unfitness`, and the chain link by link.
    """
    reason = find_own_unfitness(certificate, at)
    if reason is not None:
        return reason
    if not chain:
        return _("the chain with its issuer is missing")
    below = certificate
    for each in chain:
        above = as_parsed(each)
        if above.subject != below.issuer or not above.is_ca:
            return _("the chain does not lead upwards from it")
        try:
            verify_signature(load_public_key(above.spki_der), below.algorithm_der, below.signature, below.tbs)
        except VerifyError:
            return _("a signature in the chain is wrong")
        below = above
    return None


def find_own_unfitness(certificate: ParsedCertificate, at: datetime) -> str | None:
    """Say what in the certificate itself speaks against an attribute authority (RFC 5755, section 4.5)."""
    trusted = TrustedAuthority.from_certificate(certificate)
    # This reads aaControls too, so that nobody finds out later that it cannot be read.
    for finding in AttributeTrust(authorities=(trusted,)).examine(trusted, at).findings:
        return finding.text(current_language())
    usage = certificate.key_usage
    if usage is not None and _CRL_SIGN not in usage:
        return _("its key usage does not allow it to sign revocation lists (cRLSign)")
    if certificate.subject_key_id is None:
        return _("it has no subject key identifier")
    return None
