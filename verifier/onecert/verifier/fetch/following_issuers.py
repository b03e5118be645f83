"""Certificates of issuers from the addresses in certificates (RFC 5280, section 4.2.2.1)."""

from __future__ import annotations

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.following_gathered import Gathered
from onecert.verifier.fetch.pointers import issuer_urls
from onecert.verifier.path.order import key_id_fits

__all__ = ["IssuerSearch"]


class IssuerSearch:
    """Of one validation; no certificate's issuers are asked for twice. ``fetched`` is what came."""

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self._asked: set[bytes] = set()
        self.fetched: set[ParsedCertificate] = set()

    def supply(self, *, stop_at_anchors: bool) -> bool:
        """Ask for issuers that nobody knows; when there are none, for others than those at hand."""
        return any(
            self._ask_upwards(stop_at_anchors=stop_at_anchors, known_too=known_too)
            for known_too in (False, True)
        )

    def _ask_upwards(self, *, stop_at_anchors: bool, known_too: bool) -> bool:
        """From the target through certificates at hand and those that come."""
        found = False
        waiting, met = [self._gathered.target], {self._gathered.target.der}
        while waiting:
            certificate = waiting.pop(0)
            if stop_at_anchors and certificate.issuer in self._gathered.validator.anchors:
                continue
            issuers = self._gathered.known(certificate.issuer)
            if known_too or not any(key_id_fits(certificate, issuer.subject_key_id) for issuer in issuers):
                found |= self.ask(certificate)
                issuers = self._gathered.known(certificate.issuer)
            for issuer in issuers:
                if issuer.der not in met:
                    met.add(issuer.der)
                    waiting.append(issuer)
        return found

    def ask(self, certificate: ParsedCertificate) -> bool:
        """Ask for the issuers of one certificate, once; tell whether a new certificate came."""
        if certificate.der in self._asked:
            return False
        self._asked.add(certificate.der)
        return any(self.fetch(certificate, url) for url in issuer_urls(certificate))

    def fetch(self, certificate: ParsedCertificate, url: str) -> bool:
        """Take the certificates at an address that stands in, or above, this one."""
        found = self._gathered.fetch(certificate, Place(url, Kind.CERTIFICATES))
        if found is None:
            return False
        assert isinstance(found, tuple)  # noqa: S101  the place is one of certificates
        self.fetched.update(found)
        return self._gathered.add_candidates(found)
