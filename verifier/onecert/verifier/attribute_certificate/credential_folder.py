"""The attribute certificates of a department in one folder: what is needed when nothing can be fetched.

| in the folder | is |
| --- | --- |
| ``authorities/`` | public-key certificates of the attribute authorities that are trusted, one a file |
| ``acrls/`` | their revocation lists (``.crl``, ``.acrl``) |
| ``certificates/`` | attribute certificates, one a file, DER or PEM |
| ``delegations/`` | a PEM file each: the delegation (an attribute certificate), its holder's certificate |

Changed files are read again. A file that cannot be read is reported in the log and left out, so that it gives
nobody anything; a folder that cannot be read is an error, since nobody could tell who holds what.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from onecert.verifier.attribute_certificate.acrl import MAX_BYTES as ACRL_MAX_BYTES
from onecert.verifier.attribute_certificate.acrl import RevocationList, load_revocation_list
from onecert.verifier.attribute_certificate.credentials import Credentials, as_der
from onecert.verifier.attribute_certificate.holder import is_issued_to
from onecert.verifier.attribute_certificate.parse import AttributeCertificate, parse
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.files import read_regular_file

__all__ = ["CredentialFolder", "FolderStatus", "WatchedFolder"]

log = logging.getLogger(__name__)

V = TypeVar("V")

MAX_FILES = 100_000
_MAX_FILE_BYTES = 256 * 1024
_ENTITY = b"urn:onecert:entity:"
_CERTIFICATES = (".pem", ".der", ".ac", ".cer", ".crt")
_LISTS = (".crl", ".acrl")
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]{1,40})-----[A-Za-z0-9+/=\s]*-----END \1-----")


class WatchedFolder(Generic[V]):
    """The files of one folder, each read once until it changes. Safe to share between threads.

    Args:
        path: the folder; one that does not exist holds nothing.
        suffixes: what names of files end in; others, and those that begin with a dot, are passed over.
        load: makes something of the octets; ``VerifyError`` leaves the file out.
        look_every: the folder is not looked at more often than this.
    """

    def __init__(
        self,
        path: Path,
        suffixes: tuple[str, ...],
        load: Callable[[bytes], V],
        *,
        look_every: timedelta = timedelta(seconds=1),
        max_bytes: int = _MAX_FILE_BYTES,
    ) -> None:
        self.path = path
        self._suffixes, self._load, self._max_bytes = suffixes, load, max_bytes
        self._look_every = look_every.total_seconds()
        self._lock = threading.Lock()
        self._files: dict[str, tuple[tuple[int, int, int], V | None]] = {}
        self._looked_at: float | None = None
        self._values: dict[str, V] = {}

    def values(self) -> dict[str, V]:
        """What the files hold now, by name; the same object until something changes.

        Raises:
            CouldNotCheckError: ``FILE_UNREADABLE``, or ``TOO_MANY_FILES``.
        """
        with self._lock:
            if self._looked_at is None or monotonic() - self._looked_at >= self._look_every:
                self._look()
                self._looked_at = monotonic()
            return self._values

    def look_again(self) -> None:
        """Look at the folder with the next question, whatever the time."""
        with self._lock:
            self._looked_at = None

    def _look(self) -> None:
        try:
            with os.scandir(self.path) as entries:
                named = (each for each in entries if not each.name.startswith("."))
                found = {each.name: each.stat() for each in named if each.name.endswith(self._suffixes)}
        except FileNotFoundError:
            found = {}
        except OSError as exc:
            raise CouldNotCheckError("FILE_UNREADABLE", path=self.path, detail=exc.strerror) from exc
        if len(found) > MAX_FILES:
            raise CouldNotCheckError("TOO_MANY_FILES", path=self.path, max=MAX_FILES)
        files = {}
        for name in sorted(found):
            stamp = (found[name].st_mtime_ns, found[name].st_size, found[name].st_ino)
            known = self._files.get(name)
            files[name] = known if known and known[0] == stamp else (stamp, self._read(name))
        if files != self._files:
            self._files = files
            self._values = {name: value for name, (_, value) in files.items() if value is not None}

    def _read(self, name: str) -> V | None:
        try:
            return self._load(read_regular_file(self.path / name, self._max_bytes))
        except (OSError, VerifyError) as exc:
            log.warning("file left out", extra={"path": str(self.path / name), "error": str(exc)})
            return None


@dataclass
class _Index:
    """Attribute certificates by the serial number of the holder's certificate, and those named otherwise."""

    of: object = None
    by_serial: dict[int, list[AttributeCertificate]] = field(default_factory=dict)
    others: list[AttributeCertificate] = field(default_factory=list)

    def fill(self, certificates: Iterable[AttributeCertificate]) -> None:
        for each in certificates:
            base = each.holder.base_certificate_id
            where = self.others if base is None else self.by_serial.setdefault(base.serial, [])
            where.append(each)


class CredentialFolder:
    """A ``CredentialSource`` on a folder.

    Args:
        path: the folder of the table above.
        look_every: it is not looked at more often than this.
    """

    def __init__(self, path: Path | str, *, look_every: timedelta = timedelta(seconds=1)) -> None:
        self.path = Path(path)
        self._look_every = look_every
        self._authorities = self._watch("authorities", _CERTIFICATES, parse_certificate)
        self._certificates = self._watch("certificates", _CERTIFICATES, lambda data: parse(as_der(data)))
        self._delegations = self._watch("delegations", (".pem",), _read_delegation)
        self._index = _Index()

    def find(self, certificate: ParsedCertificate, *, identity: str | None = None) -> Credentials:
        """See ``CredentialSource``.

        Args:
            identity: the holder's canonical id, already verified; certificates of the legal entity itself are
                found by it.

        Raises:
            CouldNotCheckError: ``FILE_UNREADABLE``: nobody can tell what there is.
        """
        index = self._indexed()
        candidates = index.by_serial.get(certificate.serial, []) + index.others
        return Credentials(
            certificates=tuple(each.der for each in candidates if _concerns(each, certificate, identity)),
            delegations=self.delegations(),
        )

    def certificates(self) -> list[AttributeCertificate]:
        """Every attribute certificate of the folder, unverified, in the order of the names of the files."""
        return list(self._certificates.values().values())

    def delegations(self) -> tuple[tuple[bytes, bytes], ...]:
        """Every delegation of the folder: see ``Credentials``."""
        return tuple(self._delegations.values().values())

    def authorities(self) -> dict[str, ParsedCertificate]:
        """The certificates of authorities, by file; what they may assign is said elsewhere."""
        return dict(self._authorities.values())

    def look_again(self) -> None:
        """Look at the folders with the next question, whatever the time."""
        for each in (self._authorities, self._certificates, self._delegations):
            each.look_again()

    def status(self) -> FolderStatus:
        """The revocation lists of the folder."""
        return FolderStatus(self.path / "acrls", look_every=self._look_every)

    def _watch(self, name: str, suffixes: tuple[str, ...], load: Callable[[bytes], V]) -> WatchedFolder[V]:
        return WatchedFolder(self.path / name, suffixes, load, look_every=self._look_every)

    def _indexed(self) -> _Index:
        found = self._certificates.values()
        index = self._index
        if index.of is not found:
            index = _Index(of=found)
            index.fill(found.values())
            self._index = index
        return index


class FolderStatus:
    """A ``StatusSource`` on a folder of revocation lists: of each authority, the one with the highest number.

    A number that went backwards since this process began is not believed: the list that was known stays.
    """

    def __init__(self, path: Path, *, look_every: timedelta = timedelta(seconds=1)) -> None:
        self._files = WatchedFolder(path, _LISTS, _Octets, look_every=look_every, max_bytes=ACRL_MAX_BYTES)
        self._newest: dict[tuple[bytes, bytes], RevocationList] = {}
        self._read: dict[tuple[bytes, bytes], dict[_Octets, RevocationList | None]] = {}

    def look_again(self) -> None:
        """Look at the folder with the next question, whatever the time."""
        self._files.look_again()

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        """See ``StatusSource``.

        Raises:
            CouldNotCheckError: ``FILE_UNREADABLE``.
        """
        key = (authority.name_der, authority.public_key_der)
        # Also of authorities that were only delegated to: each list is read with the key that is asked for.
        trust = AttributeTrust(authorities=(authority,))
        before, now = self._read.get(key, {}), {}
        for octets in self._files.values().values():
            now[octets] = before[octets] if octets in before else _load_own(octets.data, trust)
        self._read[key] = now
        own = [each for each in now.values() if each is not None]
        known = self._newest.get(key)
        newest = max(own + ([known] if known else []), key=lambda each: each.number, default=None)
        if newest is not None:
            self._newest[key] = newest
        return newest


def _concerns(found: AttributeCertificate, certificate: ParsedCertificate, identity: str | None) -> bool:
    if is_issued_to(found.holder, certificate):
        return True
    wanted = None if identity is None else _ENTITY + identity.encode()
    return any(name.value == wanted for name in found.holder.entity_name)


class _Octets:
    """The octets of one file; the same object until the file changes, and compared as such."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _load_own(data: bytes, trust: AttributeTrust) -> RevocationList | None:
    try:
        return load_revocation_list(data, trust)
    except VerifyError:
        return None  # another authority's, or no list


def _read_delegation(data: bytes) -> tuple[bytes, bytes]:
    blocks = {match[1]: match[0] for match in _BLOCK.finditer(data)}
    if len(blocks) != 2 or blocks.keys() != {b"ATTRIBUTE CERTIFICATE", b"CERTIFICATE"}:
        raise MalformedError("NOT_PEM", kind="ATTRIBUTE CERTIFICATE + CERTIFICATE")
    return as_der(blocks[b"ATTRIBUTE CERTIFICATE"]), parse_certificate(blocks[b"CERTIFICATE"]).der
