"""Who the holder of a certificate is: answered by our own verifier from the signed trust list.

The PMI never reads an identity out of a certificate itself. ``HolderVerifier`` is all it knows of the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from onecert.verifier.certificate import ParsedCertificate

__all__ = ["HolderIdentity", "HolderVerifier"]


@dataclass(frozen=True, kw_only=True)
class HolderIdentity:
    """A verified holder.

    Args:
        certificate: the identity certificate, good at the time asked for.
        entity: canonical id of the legal entity, or of the person where there is no entity.
        person: canonical id of the natural person who acts, if the certificate names one.
        name: what the holder is called, for people.
        ca_service: the service of the trust list that anchors the path.
        attributes: more that policies may ask for; plain strings.
    """

    certificate: ParsedCertificate
    entity: str
    person: str = ""
    name: str = ""
    ca_service: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class HolderVerifier(Protocol):
    """Verifies an identity certificate."""

    def verify(self, certificate: bytes, at: datetime) -> HolderIdentity:
        """Verify a certificate (DER or PEM) at this time and say who its holder is.

        Raises:
            VerifyError: refused, or could not be checked.
            ServiceError: there is no trust list to check with.
        """
        ...

    def check(self) -> None:
        """Readiness: raises ServiceError when holders could not be verified now."""
        ...
