"""Lists and answers from the addresses of the signed trust list.

Only addresses that the supervision has signed, or the department has written down, are asked, never those in
a certificate that somebody presents. Therefore they may lie inside the department's network; redirects are
not followed, because the list says where to look and not some server.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.fetch.addresses import ANYWHERE
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.http import HttpFetch
from onecert.verifier.fetch.ocsp_request import OcspQuestion
from onecert.verifier.fetch.rules import Allowance, FetchRules
from onecert.verifier.fetch.transfer import Fetch
from onecert.verifier.revocation import OcspResponse, RevocationEvidence
from onecert.verifier.signatures import PublicKey, load_public_key
from onecert.verifier.trust_list.model import TrustedService, TrustList
from onecert.verifier.trust_list.vocabulary import SupplyKind

__all__ = ["CrlFetcher", "listed_fetch"]

log = logging.getLogger(__name__)

# What the first login after a start, or after a new trust list, spends at most; the rest comes with the next.
_FETCHES_MAX = 1000
_FIRST_TIME = timedelta(seconds=20)


def listed_fetch(
    timeout: timedelta = timedelta(seconds=10), *, tls: ssl.SSLContext | None = None
) -> HttpFetch:
    """For addresses that somebody trusted has written down: also inside the network, without redirects.

    Args:
        timeout: for one request.
        tls: for https, where the server's certificate comes from a CA of the house.
    """
    return HttpFetch(timeout, allow=ANYWHERE, max_redirects=0, tls=tls)


class CrlFetcher:
    """Keeps the lists of the trust list's services fresh, and asks OCSP when wanted; an ``EvidenceSource``.

    Args:
        folder: survives restarts, may be shared by processes, and serves while the network is gone and the
            lists are fresh.
        fetch: ``listed_fetch()`` by default.
        every: how often the lists are fetched; answers of OCSP are kept as long.
        use_ocsp: also ask the OCSP service of the CA for each certificate.
        background: fetch in threads of its own, so that no login waits for a list that is at hand.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fetch: Fetch | None = None,
        every: timedelta = timedelta(minutes=10),
        use_ocsp: bool = False,
        background: bool = False,
    ) -> None:
        self._cache = FetchCache(
            fetch or listed_fetch(),
            folder=folder,
            rules=FetchRules(every=every),
            background=background,
        )
        self._use_ocsp = use_ocsp
        self._places: frozenset[Place] = frozenset()
        self._places_of: TrustList | None = None

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """See ``EvidenceSource``."""
        if self._places_of is trust_list:
            self._cache.keep_fresh(at)
        else:
            allowance = Allowance(_FETCHES_MAX, _FIRST_TIME)
            for place, keys in self._take(trust_list).items():
                try:
                    self._cache.get(place, at, Ask(keys=keys, allowance=allowance))
                except CouldNotCheckError:
                    continue  # it is in the log, and tried again
            self._places_of = trust_list
        return self._cache.evidence

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """See ``EvidenceSource``."""
        if not self._use_ocsp:
            return ()
        found: list[OcspResponse] = []
        for service in trust_list.services:
            authority = service.certificates[0]
            if authority.subject != target.issuer:
                continue
            question = OcspQuestion.about(target, authority.spki_der)
            for url in service.urls(SupplyKind.OCSP):
                try:
                    found.append(question.ask(self._cache, url, at))
                    break
                except CouldNotCheckError as exc:
                    log.warning("OCSP not answered", extra={"url": url, "error": str(exc)})
        return found

    def refresh(self, at: datetime) -> list[CouldNotCheckError]:
        """Fetch what is due now and here, for a timer of your own; what failed is returned."""
        return self._cache.refresh(at)

    def close(self) -> None:
        """End the background threads."""
        self._cache.close()

    def _take(self, trust_list: TrustList) -> dict[Place, list[PublicKey]]:
        """The places of a new trust list, with the keys that sign there; what it has no more is forgotten."""
        places = {
            Place(url, Kind.CRL): _keys_of(service)
            for service in trust_list.services
            for url in service.urls(SupplyKind.CRL)
        }
        for place in self._places - places.keys():
            self._cache.forget(place)
        self._places = frozenset(places)
        return places


def _keys_of(service: TrustedService) -> list[PublicKey]:
    keys = []
    for certificate in service.certificates:
        try:
            keys.append(load_public_key(certificate.spki_der))
        except RefusedError:
            continue
    return keys
