"""Where delegations come from: presented with a request, pulled from a repository, or kept in a folder.

What a source returns is unverified. It answers by the issuer of the certificate that is to be verified: the
sub-authority whose right to issue the delegation may prove.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509

from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.der import DerError
from onecert.verifier.names import canonical_name


@dataclass(frozen=True, slots=True)
class Delegation:
    """One delegation, unverified.

    Args:
        der: its attribute certificate, DER.
        holder_certificate: the public-key certificate of the sub-authority that it was given to.
    """

    der: bytes
    holder_certificate: ParsedCertificate

    @classmethod
    def of(cls, der: bytes, holder_certificate: x509.Certificate | ParsedCertificate | bytes) -> Delegation:
        """Put together what belongs together.

        Raises:
            MalformedError: the public-key certificate cannot be read.
        """
        return cls(bytes(der), as_parsed(holder_certificate))


class DelegationSource(Protocol):
    """Finds delegations by the sub-authority that they were given to."""

    def find(self, issuer_name_der: bytes, key_id: bytes | None) -> Sequence[Delegation]:
        """Return delegations to the authority of this name, in any order; none when there is none.

        Args:
            issuer_name_der: the name of the authority, DER.
            key_id: the identifier of its key, when the certificate that it issued names one. A source may
                leave it out of account: the verifier compares keys itself.
        """
        ...


class Delegations:
    """Delegations in memory. Immutable; safe to share between threads.

    Args:
        items: ``Delegation``, or pairs of its DER and the sub-authority's certificate.

    Raises:
        MalformedError: a public-key certificate cannot be read.
    """

    def __init__(
        self,
        items: Iterable[Delegation | tuple[bytes, x509.Certificate | ParsedCertificate | bytes]] = (),
    ) -> None:
        self._by_name: dict[object, list[Delegation]] = {}
        for item in items:
            each = item if isinstance(item, Delegation) else Delegation.of(*item)
            self._by_name.setdefault(each.holder_certificate.subject, []).append(each)

    def find(self, issuer_name_der: bytes, key_id: bytes | None) -> Sequence[Delegation]:
        """See ``DelegationSource``."""
        if not self._by_name:
            return ()
        try:
            return self._by_name.get(canonical_name(issuer_name_der), ())
        except DerError:
            return ()


class DelegationsTogether:
    """Everything that any of several sources has."""

    def __init__(self, *sources: DelegationSource) -> None:
        self._sources = sources

    def find(self, issuer_name_der: bytes, key_id: bytes | None) -> Sequence[Delegation]:
        """See ``DelegationSource``."""
        return [found for source in self._sources for found in source.find(issuer_name_der, key_id)]
