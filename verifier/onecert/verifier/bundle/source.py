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
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity.registry import Alias, ClosedEntities, RegistryEntry
from onecert.verifier.identity.registry_head import DATA_FILE, SnapshotHead
from onecert.verifier.identity.registry_index import RegistryIndex
from onecert.verifier.identity.registry_snapshot import LoadedRegistry
from onecert.verifier.purposes import Purpose
from onecert.verifier.revocation import OcspResponse, RevocationEvidence
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.published import TrustedParts
from onecert.verifier.trust_list.roles import CLOCK_SKEW
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.state import TrustState

__all__ = ["BundleSource"]

log = logging.getLogger(__name__)

# How often the time is written down.
_NOTED = timedelta(minutes=10)
_NO_POLICY = OfflinePolicy(max_age={})
# A file that could not be judged is read again after this time even if it is the same: the clock may not be.
_AGAIN = timedelta(minutes=1)

_Stamp = tuple[int, int, int] | None


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
        watch_clock: the times of the questions are those of the clock, which must not go back behind what
            ``memory`` has seen. A bundle would else stay young on a computer whose clock is set back.
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
        watch_clock: bool = True,
    ) -> None:
        self._watch_clock = watch_clock
        self._used_at: datetime | None = None
        self._path = path
        self._root = root
        self._state = state
        self._memory = memory
        self._index = index
        self._max_age = max_age
        self._closed = closed
        self._evidence = RevocationEvidence()
        self._lock = threading.Lock()
        self._tried: tuple[_Stamp, datetime, VerifyError | None] | None = None
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

    def parts(self, at: datetime) -> TrustedParts:
        """Root, timestamp and list of the bundle in use.

        Raises:
            VerifyError: as ``bundle``.
        """
        bundle = self.bundle(at)
        return TrustedParts(root=bundle.root, timestamp=bundle.timestamp, trust_list=bundle.trust_list)

    def head(self, at: datetime) -> SnapshotHead | None:
        """The snapshot of the register in the bundle, if it has one.

        Raises:
            VerifyError: as ``bundle``.
        """
        return self.bundle(at).registry

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
        if self._is_due(at):
            with self._lock:
                if self._is_due(at):
                    stamp = self._stat()
                    self._tried = (stamp, at, self._take(at))
        in_use = self._in_use
        if in_use is None:
            assert self._tried is not None  # noqa: S101  tried above
            _, _, failure = self._tried
            assert failure is not None  # noqa: S101  otherwise it would be in use
            raise failure.with_traceback(None)
        check_usable(in_use.bundle, at, max_age=self._max_age)
        self._check_clock(at)
        return in_use

    def _check_clock(self, at: datetime) -> None:
        used_at = self._used_at
        if not self._watch_clock or (used_at is not None and used_at - CLOCK_SKEW <= at < used_at + _NOTED):
            return
        self._memory.use(at)
        self._used_at = at

    def _is_due(self, at: datetime) -> bool:
        if self._tried is None:
            return True
        stamp, when, failure = self._tried
        # What is wrong stays wrong until the file changes; what could not be told may be told later.
        is_open = isinstance(failure, CouldNotCheckError)
        return stamp != self._stat() or (is_open and not when <= at < when + _AGAIN)

    def _stat(self) -> _Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _take(self, at: datetime) -> VerifyError | None:
        """Put the file's bundle in the place of the one in use, or say why not."""
        try:
            bundle = load_bundle(self._path, root=self._root)
            # Before it is remembered: one made, as it says, in a year would keep all others out till then.
            check_usable(bundle, at, max_age=self._max_age)
            registry = self._registry(bundle)
            remember(bundle, state=self._state, memory=self._memory)
        except VerifyError as exc:
            log.warning("bundle not used", extra={"path": str(self._path), "error": str(exc)})
            return exc
        self._evidence.replace_crls(bundle.crls)
        self._root = bundle.root
        self._used_at = None
        self._in_use = _InUse(bundle, replace(bundle.trust_list, warnings=bundle.warnings), registry)
        return None

    def _registry(self, bundle: Bundle) -> LoadedRegistry | None:
        head = bundle.registry
        if head is None:
            return None
        closed = (bundle.policy or _NO_POLICY).closed
        index = RegistryIndex(self._index, partial(bundle.open_member, DATA_FILE), head.data)
        return LoadedRegistry(head, index, closed.strictest(self._closed or closed))
