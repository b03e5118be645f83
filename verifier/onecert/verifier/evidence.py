"""Where the verifier gets revocation lists and answers: from memory, or from a folder that is kept fresh.

What comes from here is not believed before its signature is checked against the CA that it speaks for; a file
that cannot be read is reported in the log and skipped, so that one half-written list cannot stop all logins.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.revocation import Crl, OcspResponse, RevocationEvidence, load_crl, load_ocsp
from onecert.verifier.trust_list.model import TrustList

__all__ = ["CrlFolder", "EvidenceSource", "FixedEvidence"]

log = logging.getLogger(__name__)

CRL_NAMES = (".crl", ".pem")
OCSP_NAMES = (".ocsp", ".ors")
_FILES_MAX = 1000


class EvidenceSource(Protocol):
    """Gives the façade what is known about revocation."""

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """The lists to use now: always the same object, filled anew."""
        ...

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """OCSP answers that may concern this certificate."""
        ...


class FixedEvidence:
    """Evidence that the caller holds and fills."""

    def __init__(self, evidence: RevocationEvidence) -> None:
        self._evidence = evidence

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """See ``EvidenceSource``."""
        return self._evidence

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """See ``EvidenceSource``; the evidence itself already holds them."""
        return ()


@dataclass(frozen=True)
class _File:
    stamp: tuple[int, int, int]
    crl: Crl | None = None
    answer: OcspResponse | None = None


class CrlFolder:
    """All ``*.crl``, ``*.pem``, ``*.ocsp`` and ``*.ors`` files of one folder; changed files are read again.

    Args:
        path: the folder; it may not exist yet, and then nothing is known.
        look_every: the folder is not looked at more often than this.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        look_every: timedelta = timedelta(seconds=1),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._path = Path(path)
        self._look_every = look_every
        self._limits = limits
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._evidence = RevocationEvidence()
        self._looked_at: datetime | None = None

    def lists(self, trust_list: TrustList, at: datetime) -> RevocationEvidence:
        """See ``EvidenceSource``."""
        self.refresh(at)
        return self._evidence

    def answers(
        self, target: ParsedCertificate, trust_list: TrustList, at: datetime
    ) -> Sequence[OcspResponse]:
        """See ``EvidenceSource``."""
        return ()

    def refresh(self, at: datetime, *, now: bool = False) -> None:
        """Look at the folder when it is time, or at once with ``now``."""
        if not now and not self._is_time(at):
            return
        # Until the folder was read once everybody waits; later the lists at hand serve while one looks.
        if not self._lock.acquire(blocking=now or self._looked_at is None):
            return
        try:
            if now or self._is_time(at):
                self._look()
                self._looked_at = at
        finally:
            self._lock.release()

    def _is_time(self, at: datetime) -> bool:
        last = self._looked_at
        return last is None or not last <= at < last + self._look_every

    def _look(self) -> None:
        files = self._read()
        if files != self._files:
            self._files = files
            self._evidence.ocsp = tuple(f.answer for f in files.values() if f.answer is not None)
            self._evidence.replace_crls([f.crl for f in files.values() if f.crl is not None])

    def _read(self) -> dict[str, _File]:
        files: dict[str, _File] = {}
        try:
            with os.scandir(self._path) as entries:
                found = sorted(
                    (e for e in entries if e.name.endswith(CRL_NAMES + OCSP_NAMES) and e.is_file()),
                    key=lambda e: e.name,
                )
        except FileNotFoundError:
            return files
        except OSError as exc:
            log.warning("evidence folder unreadable", extra={"path": str(self._path), "error": str(exc)})
            return self._files
        for entry in found[:_FILES_MAX]:
            try:
                stat = entry.stat()
                stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                known = self._files.get(entry.name)
                if known is not None and known.stamp == stamp:
                    files[entry.name] = known
                elif stat.st_size <= self._limits.crl_max_bytes:
                    files[entry.name] = self._load(Path(entry.path), stamp)
            except (OSError, MalformedError) as exc:
                log.warning("evidence file skipped", extra={"path": entry.path, "error": str(exc)})
                if entry.name in self._files:
                    files[entry.name] = self._files[entry.name]
        return files

    def _load(self, path: Path, stamp: tuple[int, int, int]) -> _File:
        data = path.read_bytes()
        if path.name.endswith(OCSP_NAMES):
            return _File(stamp, answer=load_ocsp(data, limits=self._limits))
        return _File(stamp, crl=load_crl(data, limits=self._limits))
