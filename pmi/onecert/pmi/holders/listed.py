"""Verifies holders by the signed trust list: our own verifier, with the settings of the PMI."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import TrustListMissingError
from onecert.pmi.holders.identity import HolderIdentity
from onecert.server.clock import Clock
from onecert.verifier.errors import VerifyError
from onecert.verifier.evidence import CrlFolder, EvidenceSource
from onecert.verifier.fetch import CrlFetcher, TrustListUrl, listed_fetch
from onecert.verifier.identity import load_pairwise_key
from onecert.verifier.trust_list import FileState, TrustListFolder, load_trust_root
from onecert.verifier.trust_list.load import TrustListSource
from onecert.verifier.verifier import Verifier

__all__ = ["ListedHolders"]

APPLICATION = "pmi"


class ListedHolders:
    """A ``HolderVerifier`` on the trust list. The list and its keys are looked for at first use.

    Args:
        folder: of the PMI: caches, the memory of the list, and the secret for ids of persons.
        shared: where the bootstrap file ``trust-root.json`` lies when no setting says otherwise.
        status_url: base of the set-up's http addresses, for the list's default place.
    """

    def __init__(
        self, config: PmiConfig, *, folder: Path, shared: Path, status_url: str, clock: Clock
    ) -> None:
        self._config = config
        self._folder = folder
        self._root_file = config.trust_root or shared / "trust-root.json"
        base = status_url.rstrip("/").rpartition("/")[0]
        self._list = config.trust_list or f"{base}/supervision/trust-list.json"
        self._clock = clock
        self._lock = threading.Lock()
        self._made: Verifier | None = None

    def verify(self, certificate: bytes, at: datetime) -> HolderIdentity:
        """Verify a certificate (DER or PEM) at this time and say who its holder is."""
        result = self._verifier().verify(certificate, at=at)
        identity = result.identity
        return HolderIdentity(
            certificate=result.path.target,
            entity=identity.id,
            person=(identity.person.id or "") if identity.person else "",
            name=identity.name,
            ca_service=identity.ca_service,
            attributes={"holder_class": identity.holder_class.value, "assurance": identity.assurance},
        )

    def check(self) -> None:
        """Readiness: raises TrustListMissingError when there is no list that may be used now."""
        try:
            self._verifier().trust_list(self._clock.now())
        except VerifyError as exc:
            raise TrustListMissingError(exc.code) from exc

    def _verifier(self) -> Verifier:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> Verifier:
        try:
            root = load_trust_root(self._root_file.read_bytes())
        except (OSError, VerifyError) as exc:
            raise TrustListMissingError(self._root_file.name) from exc
        state = FileState(self._config.trust_state or self._folder / "trust-state.json")
        fetch = listed_fetch(self._config.fetch_timeout)
        source: TrustListSource
        if self._list.startswith(("http://", "https://")):
            source = TrustListUrl(
                self._list,
                root=root,
                folder=self._folder,
                state=state,
                fetch=fetch,
                every=self._config.trust_list_every,
            )
        else:
            source = TrustListFolder(Path(self._list), root=root, state=state)
        evidence: EvidenceSource
        if self._config.crl_folder is not None:
            evidence = CrlFolder(self._config.crl_folder)
        else:
            evidence = CrlFetcher(
                self._folder / "crls",
                fetch=fetch,
                every=self._config.crl_every,
                use_ocsp=self._config.use_ocsp,
            )
        return Verifier(
            trust_list=source,
            evidence=evidence,
            application=APPLICATION,
            pairwise_key=load_pairwise_key(self._folder / "pairwise.key", create=True),
        )
