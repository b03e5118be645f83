"""Verifies an operator's client certificate with our own verifier: path, dates, usage, revocation.

Trusted are the CA certificates of the operators' anchors: files named in the settings, and ``*.pem``,
``*.cer``, ``*.crt`` in DATA/operator-anchors. CRLs (``*.crl``, DER or PEM) lie in the same folder;
whoever issues operators' certificates puts them there. The files are read again when they change, so a
new CRL counts at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from onecert.server.operators.errors import CertificateRefusedError, CertificateUncheckedError

__all__ = ["OperatorCertificates"]

_ANCHOR_SUFFIXES = {".pem", ".cer", ".crt"}
_CRL_SUFFIX = ".crl"
MAX_FILE_BYTES = 64 * 1024 * 1024

Stamp = tuple[tuple[str, int, int], ...]


class OperatorCertificates:
    """Answers whether a client certificate is good for signing in."""

    def __init__(
        self, folder: Path, files: Sequence[Path] = (), *, revocation_required: bool = False
    ) -> None:
        self._folder = folder
        self._files = tuple(files)
        self._revocation_required = revocation_required
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._validate: Callable[[x509.Certificate, datetime], None] | None = None

    def check(self, certificate: x509.Certificate, *, at: datetime) -> None:
        """Raise unless the certificate is good now.

        Raises:
            CertificateRefusedError: it is not good.
            CertificateUncheckedError: no anchor is there, or the evidence about revocation is missing or old.
        """
        raise CertificateUncheckedError("NO_ANCHOR")
