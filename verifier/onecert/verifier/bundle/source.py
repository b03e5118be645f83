"""Where an offline verifier gets its list, revocation lists and register: from a bundle in a file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from onecert.verifier.bundle.load import Bundle, check_usable, load_bundle, remember
from onecert.verifier.bundle.memory import BundleMemory
from onecert.verifier.bundle.policy import OfflinePolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.registry import Alias, ClosedEntities, RegistryEntry
from onecert.verifier.identity.registry_head import DATA_FILE
from onecert.verifier.identity.registry_index import RegistryIndex
from onecert.verifier.identity.registry_snapshot import LoadedRegistry
from onecert.verifier.purposes import Purpose
from onecert.verifier.revocation import OcspResponse, RevocationEvidence
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.state import TrustState

__all__ = ["BundleSource"]

log = logging.getLogger(__name__)

_NO_POLICY = OfflinePolicy(max_age={})


@dataclass(frozen=True)
class _InUse:
    """A bundle, and what is made of it once."""

    bundle: Bundle
    shown: TrustList
    registry: LoadedRegistry | None


class BundleSource:
    """A bundle in a file; a new one in its place is taken up when it is right, else the old one serves on.

    A ``TrustListSource``, an ``EvidenceSource`` and a ``Registry``; safe to share between threads.

    Args:
        path: the file.
        root: the root that the department holds.
        state, memory: what was seen before. Keep them apart from the file.
        index: folder for the index of the register.
        max_age: the department's own limit, for all purposes.
        closed: the department's own rules for closed entities; what they or the bundle refuse is refused.
    """

    def __init__(
        self,
        path: Path,
        *,
        root: TrustRoot,
        state: TrustState,
        memory: BundleMemory,
        index: Path,
        max_age: timedelta | None = None,
        closed: ClosedEntities | None = None,
    ) -> None:
        self._path = path
        self._root = root
        self._state = state
        self._memory = memory
        self._index = index
        self._max_age = max_age
        self._closed = closed
        self._evidence = RevocationEvidence()
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._in_use: _InUse | None = None

    @property
    def policy(self) -> OfflinePolicy:
        """The policy of the bundle in use; without one nothing is used beyond its own end."""
        in_use = self._in_use
        return (in_use.bundle.policy if in_use else None) or _NO_POLICY

    def bundle(self, at: datetime) -> Bundle:
        """The bundle in use.

        Raises:
            VerifyError: there is none that may be used now; see ``load_bundle`` and ``check_usable``.
        """
        return self._use(at).bundle

    def check_age(self, purpose: Purpose, at: datetime) -> None:
        """Refuse when the bundle is too old for this purpose.

        Raises:
            CouldNotCheckError: BUNDLE_OLD, or as ``bundle``.
        """
        bundle = self.bundle(at)
        if bundle.policy is not None:
            check_usable(bundle, at, max_age=bundle.policy.age_for(purpose))

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``."""
        return self._use(at).shown

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """See ``EvidenceSource``."""
        return self._evidence

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """See ``EvidenceSource``: a bundle has lists only."""
        return ()

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """See ``Registry``; without a register in the bundle nothing is found."""
        registry = (self._in_use or self._use(at)).registry
        return None if registry is None else registry.find(canonical, at)

    def aliases_of(self, canonical: str, at: datetime) -> tuple[Alias, ...]:
        """See ``RegistrySnapshot.aliases_of``."""
        registry = (self._in_use or self._use(at)).registry
        return () if registry is None else registry.aliases_of(canonical, at)

    def _use(self, at: datetime) -> _InUse:
        if self._in_use is None or self._stat() != self._stamp:
            with self._lock:
                stamp = self._stat()
                if self._in_use is None or stamp != self._stamp:
                    self._take(stamp)
        in_use = self._in_use
        assert in_use is not None  # noqa: S101  taken above, or raised
        check_usable(in_use.bundle, at, max_age=self._max_age)
        return in_use

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _take(self, stamp: tuple[int, int, int] | None) -> None:
        try:
            bundle = load_bundle(self._path, root=self._root)
            registry = self._registry(bundle)
            remember(bundle, state=self._state, memory=self._memory)
        except VerifyError as exc:
            if self._in_use is None:
                raise
            log.warning("bundle not used", extra={"path": str(self._path), "error": str(exc)})
            self._stamp = stamp
            return
        self._evidence.replace_crls(bundle.crls)
        self._root = bundle.root
        self._in_use = _InUse(bundle, replace(bundle.trust_list, warnings=bundle.warnings), registry)
        self._stamp = stamp

    def _registry(self, bundle: Bundle) -> LoadedRegistry | None:
        head = bundle.registry
        if head is None:
            return None
        closed = (bundle.policy or _NO_POLICY).closed
        index = RegistryIndex(self._index, partial(bundle.open_member, DATA_FILE), head.data)
        return LoadedRegistry(head, index, closed.strictest(self._closed or closed))
