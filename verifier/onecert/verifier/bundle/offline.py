"""The verifier of a department without network: list, revocation lists, register and policy from a bundle.

    verifier = open_offline_verifier(Path("pki"), application="tax")
    result = verifier.verify(cert, at=datetime.now(UTC))
    print(result.as_of)                               # when what it rests on was true

| in the folder | is |
| --- | --- |
| ``trust-root.json`` | put there by hand, its fingerprint compared with the printed one |
| ``bundle.zip`` | put there by ``onecert-verify bundle import``; a new one is taken up by itself |
| ``state/`` | the newest bundle and its parts; do not restore it from a backup |
| ``registry/`` | the index of the register |
| ``pairwise.key`` | made at the first start; keep a copy |
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from onecert.verifier.bundle.load import BUNDLE_FILE, Bundle, check_usable, load_bundle, remember
from onecert.verifier.bundle.memory import BundleMemory, FileBundleMemory
from onecert.verifier.bundle.policy import OfflinePolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity.pairwise import load_pairwise_key
from onecert.verifier.identity.registry import Alias, ClosedEntities, RegistryEntry
from onecert.verifier.identity.registry_index import RegistryIndex
from onecert.verifier.identity.registry_snapshot import DATA_FILE, LoadedRegistry
from onecert.verifier.purposes import SIGNING, Purpose
from onecert.verifier.revocation import OcspResponse, RevocationEvidence, RevocationPolicy
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root
from onecert.verifier.trust_list.state import FileState, TrustState
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.verifier import Verifier

__all__ = ["BundleSource", "OfflineVerifier", "import_bundle", "open_offline_verifier"]

log = logging.getLogger(__name__)

MEMORY_FILE = "bundle.json"
_CHUNK = 1024 * 1024
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
        in_use = self._in_use
        return in_use.registry.find(canonical, at) if in_use and in_use.registry else None

    def aliases_of(self, canonical: str, at: datetime) -> tuple[Alias, ...]:
        """See ``RegistrySnapshot.aliases_of``."""
        in_use = self._in_use
        return in_use.registry.aliases_of(canonical, at) if in_use and in_use.registry else ()

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


class OfflineVerifier(Verifier):
    """A ``Verifier`` whose answers say as of when: ``VerifiedCertificate.as_of``.

    Args:
        source: the bundle.
        settings: as for ``Verifier``; list, evidence, registry and revocation come from the bundle.
    """

    def __init__(self, source: BundleSource, **settings: Any) -> None:
        super().__init__(trust_list=source, evidence=source, registry=source, **settings)
        self.source = source

    def as_of(self, at: datetime) -> datetime:
        """When what the answers rest on was true.

        Raises:
            VerifyError: there is no bundle that may be used now.
        """
        return self.source.bundle(at).made_at

    def trust_list(self, at: datetime) -> TrustList:
        """The list in use, for signed forms among others: the bundle must be young enough for signing.

        Raises:
            VerifyError: there is none that may be used now.
        """
        self.source.check_age(SIGNING, at)
        return super().trust_list(at)

    def revocation_policy(self, purpose: Purpose) -> RevocationPolicy:
        """An answer is always needed; it may be as old as the bundle's policy lets the bundle be."""
        return RevocationPolicy(allow_offline=self.source.policy.age_for(purpose))

    def _verify(
        self,
        target: ParsedCertificate,
        trust_list: TrustList,
        *,
        purpose: Purpose,
        at: datetime,
        **given: Any,
    ) -> VerifiedCertificate:
        self.source.check_age(purpose, at)
        as_of = self.as_of(at)
        result = super()._verify(target, trust_list, purpose=purpose, at=at, **given)
        return replace(result, as_of=as_of)


def open_offline_verifier(
    folder: Path,
    *,
    application: str,
    bundle: Path | None = None,
    max_age: timedelta | None = None,
    closed: ClosedEntities | None = None,
) -> OfflineVerifier:
    """Make the verifier of a department without network. The bundle is read at the first question.

    Args:
        folder: private to the programs of this department on this machine; they may share it.
        application: name of the application; ids of natural persons differ from one to the next.
        bundle: another file than ``bundle.zip`` in the folder.
        max_age: no bundle older than this, whatever it says itself.
        closed: rules for cancelled and revoked entities that are stricter than those of the bundle.

    Raises:
        CouldNotCheckError: FILE_UNREADABLE, PAIRWISE_KEY_MISSING.
        RefusedError: TRUST_ROOT_MALFORMED and the others of ``load_trust_root``.
    """
    state, memory = _memories(folder)
    source = BundleSource(
        bundle or folder / BUNDLE_FILE,
        root=_held_root(folder),
        state=state,
        memory=memory,
        index=folder / "registry",
        max_age=max_age,
        closed=closed,
    )
    return OfflineVerifier(
        source,
        application=application,
        pairwise_key=load_pairwise_key(folder / "pairwise.key", create=True),
    )


def import_bundle(path: Path, folder: Path, at: datetime) -> Bundle:
    """Check a bundle that came on a disk, and put it into the folder; programs take it up by themselves.

    Args:
        folder: as for ``open_offline_verifier``.

    Raises:
        VerifyError: as ``load_bundle``, ``check_usable`` and ``remember``: the folder is as it was.
    """
    root = _held_root(folder)
    # The copy is what is checked: the disk may be another one a moment later.
    try:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".bundle-")
        try:
            with os.fdopen(descriptor, "wb") as copy, open(path, "rb") as file:
                shutil.copyfileobj(file, copy, _CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
            bundle = load_bundle(name, root=root)
            check_usable(bundle, at)
            state, memory = _memories(folder)
            remember(bundle, state=state, memory=memory, keep=lambda: os.replace(name, folder / BUNDLE_FILE))
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as exc:
        raise CouldNotCheckError("BUNDLE_MISSING", detail=f"{path.name}: {exc.strerror or exc}") from exc
    # The index of the register is made now and not by the first citizen.
    source = BundleSource(
        folder / BUNDLE_FILE, root=root, state=state, memory=memory, index=folder / "registry"
    )
    return source.bundle(at)


def _memories(folder: Path) -> tuple[FileState, FileBundleMemory]:
    return FileState(folder / "state" / "trust.json"), FileBundleMemory(folder / "state" / MEMORY_FILE)


def _held_root(folder: Path) -> TrustRoot:
    path = folder / "trust-root.json"
    try:
        return load_trust_root(path.read_bytes())
    except OSError as exc:
        raise CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc)) from exc
