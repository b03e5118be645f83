"""The files that the status service serves: lists, deltas and CA certificates, always whole, never older.

`<authority>.cer` is the certificate alone, `<authority>.p7c` the same, and those beside it, as certs-only CMS
(RFC 5280, section 4.2.2.1).

Written beside and renamed over (POSIX rename is atomic), flushed to the disk before. A lock file and the
number beside each list keep several processes from replacing a newer list by an older one. A long list can be
written and flushed before it may be published; what a killed process left of one is removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from onecert.server.folders import put_in_place

__all__ = ["PreparedFile", "StatusFiles"]


class PreparedFile:
    """A file that is not published yet."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self._file = file
        self.is_whole = False

    def write(self, parts: Sequence[bytes]) -> None:
        """Write all of it and flush it to the disk. Raises OSError."""
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())
        self.is_whole = True


class StatusFiles:
    """One folder of files named `<authority>.cer` and `<list>.crl`; see `crl_names` for the lists."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)

    def write_crl(
        self, authority: str, number: int, *parts_der: bytes, prepared: PreparedFile | None = None
    ) -> bool:
        """Publish a list unless the file holds this or a later number; tell whether it was written.

        Args:
            parts_der: the list, in one piece or several.
            prepared: what was written of it before.
        """
        number_file = self.folder / f"{authority}.crl-number"
        with self._locked():
            if self.crl_number(authority) >= number and self.path(authority, "crl").exists():
                return False
            if prepared is not None:
                put_in_place(prepared.path, self.path(authority, "crl"))
            else:
                self._replace(self.path(authority, "crl"), *parts_der)
            self._replace(number_file, b"%d\n" % number)
        return True

    @contextmanager
    def preparing(self, name: str) -> Iterator[PreparedFile]:
        """Begin a list that `write_crl` may put in its place inside the block; otherwise nothing is left.

        Raises:
            OSError
        """
        with self._locked():
            for left in self.folder.glob(f".{name}.crl.*"):
                _remove_unless_in_use(left)
            path = self.folder / f".{name}.crl.{secrets.token_hex(6)}"
            file = path.open("xb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            with file:
                yield PreparedFile(path, file)
        finally:
            path.unlink(missing_ok=True)

    def write_certificate(
        self, authority: str, certificate_der: bytes, *, others_der: Sequence[bytes] = ()
    ) -> None:
        """Publish the certificate of an authority.

        Args:
            others_der: further certificates for its name and key, such as those that others gave it.
        """
        everyone = [x509.load_der_x509_certificate(each) for each in (certificate_der, *others_der)]
        bundle = pkcs7.serialize_certificates(everyone, serialization.Encoding.DER)
        self.write_file(f"{authority}.cer", certificate_der)
        self.write_file(f"{authority}.p7c", bundle)

    def write_file(self, name: str, content: bytes) -> bool:
        """Write a file that has no number, when it differs; tell whether it was written."""
        path = self.folder / name
        with self._locked():
            if path.exists() and path.read_bytes() == content:
                return False
            self._replace(path, content)
        return True

    def crl_number(self, authority: str) -> int:
        """Tell the number of the published list, 0 when there is none.

        The number beside the list only saves reading it; without it the list itself is asked.
        """
        try:
            return int((self.folder / f"{authority}.crl-number").read_text())
        except (FileNotFoundError, ValueError):
            pass
        try:
            crl = x509.load_der_x509_crl(self.path(authority, "crl").read_bytes())
            return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
            return 0

    def path(self, authority: str, kind: str) -> Path:
        return self.folder / f"{authority}.{kind}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _replace(path: Path, *parts: bytes) -> None:
        beside = path.with_name(path.name + ".new")
        with beside.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(beside, path)


def _remove_unless_in_use(path: Path) -> None:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        pass
