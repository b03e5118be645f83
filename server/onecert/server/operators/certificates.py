"""Verifies an operator's client certificate with our own verifier: path, dates, usage, revocation.

Trusted are the CA certificates of the files named in the settings and of the folder DATA/operator-anchors
(``*.pem``, ``*.cer``, ``*.crt``). CRLs (``*.crl``, DER or PEM) lie in the same folder; whoever issues
operators' certificates puts them there. The files are read again when they change, so a new CRL counts at
once.

As soon as one CRL is there, every certificate needs a current one: a list that stopped being renewed must
not let a revoked operator in. Without any CRL the dates and the binding to an account are all there is,
unless the settings require revocation; then nobody signs in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from onecert.server.languages import _
from onecert.server.operators.sign_in_errors import CertificateRefusedError, CertificateUncheckedError
from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import as_parsed, load_certificate
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.purposes import Purpose
from onecert.verifier.revocation import RevocationEvidence, RevocationMode, RevocationPolicy

__all__ = ["OPERATOR_SIGN_IN", "OperatorCertificates"]

log = logging.getLogger(__name__)

_DIGITAL_SIGNATURE = 0
_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
# Stricter than the verifier's CLIENT: we issue operators' certificates ourselves, so both extensions must be
# there. A certificate made for something else (a TLS server, a form signer) signs nobody in.
OPERATOR_SIGN_IN = Purpose(
    name="operator sign-in",
    key_usages=frozenset({_DIGITAL_SIGNATURE}),
    allow_no_key_usage=False,
    extended_key_usages=frozenset({_CLIENT_AUTH}),
    require_extended_key_usage=True,
    allow_any_extended_key_usage=False,
)
_ANCHOR_SUFFIXES = (".pem", ".cer", ".crt")
_CRL_SUFFIX = ".crl"
_PEM_END = b"-----END CERTIFICATE-----"

NO_ANCHOR = _("no operators' CA is set up here")
UNREADABLE = _("a file of the operators' CA cannot be read")

Stamp = tuple[tuple[str, int, int], ...]


class OperatorCertificates:
    """Answers whether a client certificate is good for signing in. Safe to share between threads."""

    def __init__(
        self, folder: Path, files: Sequence[Path] = (), *, revocation_required: bool = False
    ) -> None:
        self._folder = folder
        self._files = tuple(files)
        self._revocation_required = revocation_required
        self._lock = threading.Lock()
        self._loaded: tuple[Stamp, PathValidator] | None = None

    def check(self, certificate: x509.Certificate, *, at: datetime) -> None:
        """Raise unless the certificate is good at this moment. Whose it is, is not asked here.

        Raises:
            CertificateRefusedError: it is not good; ``reason_code`` is the verifier's code.
            CertificateUncheckedError: the anchors or the evidence about revocation are missing, old or
                damaged.
        """
        try:
            self._validator().validate(certificate, at=at)
        except CouldNotCheckError as exc:
            raise CertificateUncheckedError(exc) from exc
        except VerifyError as exc:
            raise CertificateRefusedError(exc) from exc

    def _validator(self) -> PathValidator:
        stamp = self._stamp()
        with self._lock:
            if self._loaded is None or self._loaded[0] != stamp:
                self._loaded = (stamp, self._load([Path(name) for name, _size, _time in stamp]))
            return self._loaded[1]

    def _stamp(self) -> Stamp:
        try:
            inside = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
            files = [*self._files, *(f for f in inside if f.suffix in {*_ANCHOR_SUFFIXES, _CRL_SUFFIX})]
            states = [(str(file), file.stat()) for file in files]
        except OSError as exc:
            raise CertificateUncheckedError(UNREADABLE) from exc
        return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)

    def _load(self, files: Sequence[Path]) -> PathValidator:
        evidence = RevocationEvidence()
        anchors: list[TrustAnchor] = []
        has_crl = False
        for file in files:
            try:
                if file.suffix == _CRL_SUFFIX:
                    evidence.add_crl(file.read_bytes())
                    has_crl = True
                else:
                    anchors.extend(_anchors(file))
            except (OSError, VerifyError) as exc:
                # A damaged list must not count as "no list", nor a damaged anchor as "not trusted".
                log.exception("a file of the operators' anchors cannot be read", extra={"file": file.name})
                raise CertificateUncheckedError(UNREADABLE) from exc
        if not anchors:
            raise CertificateUncheckedError(NO_ANCHOR)
        prefer = RevocationMode.REQUIRE if self._revocation_required else RevocationMode.PREFER
        return PathValidator(
            anchors=anchors,
            evidence=evidence,
            parameters=PathParameters(
                purpose=OPERATOR_SIGN_IN,
                revocation=RevocationPolicy(
                    mode=RevocationMode.REQUIRE if has_crl else prefer, ca_mode=prefer
                ),
            ),
        )


def _anchors(file: Path) -> list[TrustAnchor]:
    """The CA certificates of one file: DER, or PEM with one or several. Others are left out."""
    data = file.read_bytes()
    parts = [part + _PEM_END for part in data.split(_PEM_END)[:-1]] or [data]
    anchors = []
    for part in parts:
        begin = max(part.find(b"-----BEGIN CERTIFICATE-----"), 0)
        parsed = as_parsed(load_certificate(part[begin:]))
        if parsed.basic_constraints is None or not parsed.basic_constraints.ca:
            log.warning("an operators' anchor is no CA certificate and is ignored", extra={"file": file.name})
            continue
        anchors.append(TrustAnchor.from_certificate(parsed, label=file.name, use_extensions=True))
    return anchors
