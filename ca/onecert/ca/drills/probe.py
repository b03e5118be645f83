"""The outside eye of a drill: our own verifier, over HTTP, by the addresses in the certificate.

Each look starts with an empty memory, as a department that has just started; one by OCSP alone, one by lists
alone. The verifier has no way to be told of a revocation: departments learn of it when they ask again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from onecert.verifier import FetchCache, FetchingValidator, TrustAnchor
from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch import Fetch, FollowRules
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation.policy import RevocationMode, RevocationPolicy, RevocationSources

__all__ = ["Probe", "Seen", "Way"]


_REVOKED = frozenset(("CERT_REVOKED", "CERT_HELD"))


class Way(StrEnum):
    """How the verifier asks."""

    OCSP = "ocsp"
    CRL = "crl"


class Seen(StrEnum):
    """What one look found."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # as revoked
    UNKNOWN = "unknown"  # could not be judged, or refused for another reason


class Probe:
    """Looks at one certificate.

    Args:
        chain_der: the certificates above it, its issuer first, the root last.
        fetch: carries requests out.
    """

    def __init__(self, certificate_der: bytes, chain_der: Sequence[bytes], fetch: Fetch) -> None:
        self._certificate = certificate_der
        # The issuing authority itself is what the drill trusts: the trust list names it, not its root.
        self._anchor = TrustAnchor.from_certificate(chain_der[0])
        self._fetch = fetch

    def look(self, way: Way, at: datetime) -> tuple[Seen, str]:
        """Ask once; what was found, and the verifier's code where it was not accepted."""
        sources = RevocationSources.OCSP if way is Way.OCSP else RevocationSources.CRL
        validator = FetchingValidator(
            anchors=[self._anchor],
            parameters=PathParameters(
                revocation=RevocationPolicy(
                    sources=sources, ca_sources=sources, ca_mode=RevocationMode.OFF, use_deltas=False
                )
            ),
            cache=FetchCache(self._fetch),
            rules=FollowRules(crls=way is Way.CRL, ocsp=way is Way.OCSP, issuers=False),
        )
        try:
            validator.validate(self._certificate, at=at)
        except VerifyError as exc:
            return (Seen.REFUSED if exc.code in _REVOKED else Seen.UNKNOWN), exc.code
        return Seen.ACCEPTED, ""
