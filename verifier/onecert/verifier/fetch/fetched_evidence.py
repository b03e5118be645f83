"""Evidence that follows what is fetched: a newer list takes the place of the older one from its place."""

from __future__ import annotations

from onecert.verifier.revocation import Crl, RevocationEvidence

__all__ = ["FetchedEvidence"]


class FetchedEvidence(RevocationEvidence):
    """Lists by the name of the place they came from; others may be added beside them and stay."""

    def __init__(self) -> None:
        super().__init__()
        self._by_place: dict[str, Crl] = {}

    def put(self, place: str, crl: Crl | None) -> None:
        """Hold this list for a place, or none. Validators at work see the old one or both, never neither."""
        with self._lock:
            old = self._by_place.pop(place, None)
            if crl is not None:
                self._by_place[place] = crl
            others = list(self._by_place.values())
        if crl is old:
            return
        if crl is not None:
            self.add_crl(crl)
        if old is not None:
            self._remove(old)
            for other in others:
                if other.der == old.der:  # the same list from another place
                    self.add_crl(other)

    def _remove(self, crl: Crl) -> None:
        with self._lock:
            table = self._deltas if crl.is_delta else self._crls
            left = tuple(other for other in table.get(crl.issuer, ()) if other is not crl)
            if left:
                table[crl.issuer] = left
            else:
                table.pop(crl.issuer, None)
            self.version = next(self._counter)
