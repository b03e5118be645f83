"""The status of a certificate as the world sees it: asked over HTTP, by the addresses in the certificate.

The same outside eye as in drills. An answer has the moment and the time it took; that nobody could be asked
is an answer of its own, never "good".
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.drills.probe import Probe, Seen, Way
from onecert.ca.issuing.ledger import CertificateRecord
from onecert.server.clock import Clock
from onecert.verifier.fetch import Fetch

__all__ = ["WayAnswer", "WorldStatus"]


@dataclass(frozen=True, kw_only=True)
class WayAnswer:
    """What one way of asking told: `accepted`, `refused` as revoked or held, or `unknown`."""

    way: Way
    seen: Seen
    code: str  # the verifier's, when it did not accept
    asked_at: datetime
    took_ms: int


class WorldStatus:
    """Asks as a department's verifier would that has just started.

    Args:
        fetch: carries requests out.
    """

    def __init__(self, authorities: Authorities, clock: Clock, fetch: Fetch) -> None:
        self._authorities = authorities
        self._clock = clock
        self._fetch = fetch

    def ask(self, record: CertificateRecord, ways: Sequence[Way] = tuple(Way)) -> list[WayAnswer]:
        """Ask each way by itself, at the same time; nothing for what has no certificate.

        Raises:
            UnknownAuthorityError
        """
        if record.certificate_der is None:
            return []
        authority = self._authorities.get(record.authority)
        chain = [each.certificate_der for each in self._authorities.chain(authority)]
        probe = Probe(record.certificate_der, chain, self._fetch)
        with ThreadPoolExecutor(max_workers=len(Way)) as pool:
            return list(pool.map(lambda way: self._one(probe, way), ways))

    def _one(self, probe: Probe, way: Way) -> WayAnswer:
        at, begun = self._clock.now(), monotonic()
        seen, code = probe.look(way, at)
        return WayAnswer(
            way=way,
            seen=seen,
            code=code,
            asked_at=at,
            took_ms=round((monotonic() - begun) * 1000),
        )
