"""What is known about revocation: lists and answers, as they come."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence

from onecert.verifier.names import CanonicalName
from onecert.verifier.revocation.crl import Crl, load_crl
from onecert.verifier.revocation.ocsp import OcspResponse, load_ocsp
from onecert.verifier.revocation.policy import RevocationMode, RevocationPolicy, RevocationSources

__all__ = ["RevocationEvidence", "RevocationMode", "RevocationPolicy", "RevocationSources"]


class RevocationEvidence:
    """CRLs and OCSP answers, unverified as they come; each is believed only after its signature is checked.

    Lists can be added while validators use the object. ``version`` changes with every list, so that answers
    that depend on the lists can be dropped.
    """

    def __init__(
        self, *, crls: Iterable[Crl | bytes] = (), ocsp: Iterable[OcspResponse | bytes] = ()
    ) -> None:
        """Take lists and answers, loaded or as bytes.

        Raises:
            MalformedError: one of them cannot be read.
        """
        self._lock = threading.Lock()
        self._counter = itertools.count(1)
        self.version = 0
        self._crls: dict[CanonicalName, tuple[Crl, ...]] = {}
        self._deltas: dict[CanonicalName, tuple[Crl, ...]] = {}
        self.ocsp: Sequence[OcspResponse] = tuple(
            answer if isinstance(answer, OcspResponse) else load_ocsp(answer) for answer in ocsp
        )
        for crl in crls:
            self.add_crl(crl)

    def add_crl(self, crl: Crl | bytes) -> Crl:
        """Add one list. Older ones stay: which list is used depends on the time that is asked about."""
        loaded = crl if isinstance(crl, Crl) else load_crl(crl)
        with self._lock:
            table = self._deltas if loaded.is_delta else self._crls
            others = [other for other in table.get(loaded.issuer, ()) if other.der != loaded.der]
            # Newest first. The number decides between two lists of one second.
            others.append(loaded)
            others.sort(key=lambda item: (item.this_update, item.number or 0), reverse=True)
            table[loaded.issuer] = tuple(others)
            self.version = next(self._counter)
        return loaded

    def replace_crls(self, crls: Iterable[Crl]) -> None:
        """Hold exactly these lists from now on."""
        fresh = RevocationEvidence(crls=crls)
        with self._lock:
            self._crls, self._deltas = fresh._crls, fresh._deltas
            self.version = next(self._counter)

    def crls_of(self, issuer: CanonicalName) -> tuple[Crl, ...]:
        """Complete lists of this issuer, newest first."""
        return self._crls.get(issuer, ())

    def deltas_of(self, issuer: CanonicalName) -> tuple[Crl, ...]:
        """Delta lists of this issuer, newest first."""
        return self._deltas.get(issuer, ())

    def all_crls(self) -> list[Crl]:
        """Every list, complete or delta, in no order."""
        with self._lock:
            tables = [*self._crls.values(), *self._deltas.values()]
        return [crl for lists in tables for crl in lists]
