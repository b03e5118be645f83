"""The trust roots in a department's folder: the one that a person has put there, and those that followed."""

from __future__ import annotations

from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.trust_list.published import ROOT_FILE, root_file
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root, next_trust_root

__all__ = ["RootFolder", "held_root"]


class RootFolder:
    """Every version of the trust root in a department's folder, for ``EvidenceTrust(roots=…)``.

    A version that is published later counts without a restart, as soon as the verifier has walked to it.

    Args:
        folder: that of ``open_verifier``: the root that a person has put there, and those that followed. All
            versions that were in force since the oldest record must lie there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._roots: tuple[TrustRoot, ...] = ()

    def __call__(self) -> tuple[TrustRoot, ...]:
        """The roots, ascending.

        Raises:
            CouldNotCheckError: ``FILE_UNREADABLE``.
            RefusedError: ``TRUST_ROOT_…``, for the first or one that followed.
        """
        roots = list(self._roots) or [held_root(self._folder)]
        while (path := self._folder / root_file(roots[-1].version + 1)).exists():
            roots.append(next_trust_root(roots[-1], _read(path)))
        self._roots = tuple(roots)
        return self._roots


def held_root(folder: Path) -> TrustRoot:
    """The root that a person has put into the folder.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
        RefusedError: as ``load_trust_root``.
    """
    return load_trust_root(_read(folder / ROOT_FILE))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc)) from exc
