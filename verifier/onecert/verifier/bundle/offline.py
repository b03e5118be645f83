"""The verifier of a department without network: list, revocation lists, register and policy from a bundle.

    verifier = open_offline_verifier(Path("pki"), application="tax")
    result = verifier.verify(cert, at=datetime.now(UTC))
    print(result.as_of)                               # when what it rests on was true

| in the folder | is |
| --- | --- |
| ``trust-root.json`` | put there by hand, its fingerprint compared with the printed one |
| ``trust-roots/`` | those that followed, from the bundles that were imported |
| ``bundle.zip`` | put there by ``onecert-verify bundle import``; a new one is taken up by itself |
| ``state/`` | the newest bundle and its parts; do not restore it from a backup |
| ``registry/`` | the index of the register |
| ``pairwise.key`` | made at the first start; keep a copy |
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.verifier.bundle.load import BUNDLE_FILE, Bundle, check_usable, load_bundle, remember
from onecert.verifier.bundle.memory import FileBundleMemory
from onecert.verifier.bundle.source import BundleSource
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.files import write_atomically
from onecert.verifier.identity.pairwise import load_pairwise_key
from onecert.verifier.identity.registry import ClosedEntities
from onecert.verifier.purposes import SIGNING, Purpose
from onecert.verifier.revocation import RevocationPolicy
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.published import root_file
from onecert.verifier.trust_list.root_folder import RootFolder
from onecert.verifier.trust_list.state import FileState
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.verifier import Verifier

__all__ = ["OfflineVerifier", "import_bundle", "open_offline_verifier"]

MEMORY_FILE = "bundle.json"
_CHUNK = 1024 * 1024


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
        root=RootFolder(folder)()[-1],
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
    root = RootFolder(folder)()[-1]
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

            def keep() -> None:
                # Roots first: whoever reads the folder later begins with the newest one that we knew.
                for version in range(root.version + 1, bundle.root.version + 1):
                    with bundle.open_member(root_file(version)) as file:
                        write_atomically(folder / root_file(version), file.read())
                os.replace(name, folder / BUNDLE_FILE)

            remember(bundle, state=state, memory=memory, keep=keep)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as exc:
        raise CouldNotCheckError("BUNDLE_MISSING", detail=f"{path.name}: {exc.strerror or exc}") from exc
    # The index of the register is made now and not by the first citizen.
    source = BundleSource(
        folder / BUNDLE_FILE,
        root=root,
        state=state,
        memory=memory,
        index=folder / "registry",
        watch_clock=False,
    )
    return source.bundle(at)


def _memories(folder: Path) -> tuple[FileState, FileBundleMemory]:
    return FileState(folder / "state" / "trust.json"), FileBundleMemory(folder / "state" / MEMORY_FILE)
