"""Files that the command line names: read within limits, and every fault names its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.limits import DEFAULT_LIMITS

__all__ = ["files_in", "load", "read", "read_certificate", "read_certificates"]

Loaded = TypeVar("Loaded")

_BUNDLE_MAX_BYTES = 16 * 1024 * 1024
_CERTIFICATE_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


def read(path: Path, max_bytes: int) -> bytes:
    """The whole file.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
        MalformedError: ``TOO_LARGE``.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    if len(data) > max_bytes:
        raise MalformedError("TOO_LARGE", kind=path.name, max=max_bytes)
    return data


def load(path: Path, max_bytes: int, parse: Callable[[bytes], Loaded]) -> Loaded:
    """What ``parse`` makes of a file beside the target.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``; ``FILE_MALFORMED``, because a broken list or issuer says
            nothing against the certificate that is asked about.
    """
    try:
        return parse(read(path, max_bytes))
    except MalformedError as exc:
        raise CouldNotCheckError("FILE_MALFORMED", path=str(path), detail=str(exc)) from exc


def read_certificate(path: Path) -> ParsedCertificate:
    """The certificate that is asked about, PEM or DER.

    Raises:
        VerifyError: it cannot be read; a malformed one is refused.
    """
    return parse_certificate(read(path, DEFAULT_LIMITS.certificate_max_bytes))


def read_certificates(paths: Iterable[Path]) -> list[ParsedCertificate]:
    """All certificates of these files: DER, PEM, or bundles of PEM blocks with any text between them.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``, ``FILE_MALFORMED``.
    """
    return [certificate for path in paths for certificate in load(path, _BUNDLE_MAX_BYTES, _parse_bundle)]


def _parse_bundle(data: bytes) -> list[ParsedCertificate]:
    blocks = [] if data[:1] == b"\x30" else _CERTIFICATE_BLOCK.findall(data)
    return [parse_certificate(block) for block in blocks or [data]]


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, by name.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        raise _unreadable(folder, exc) from exc


def _unreadable(path: Path, exc: OSError) -> VerifyError:
    return CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc))
