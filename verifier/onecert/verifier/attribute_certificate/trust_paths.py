"""The paths of authorities, for ``AttributeTrust.check_path``: validated once a second, not once a holder.

A path validator counts in whole seconds. So its answer for one certificate is the same throughout a second,
as long as the lists and answers at hand are; whatever comes in ends what is remembered. Refusals are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.path import PathValidator
from onecert.verifier.result import ValidatedPath
from onecert.verifier.revocation.ocsp import OcspResponse

_REMEMBERED_MAX = 256


class _Kept(NamedTuple):
    second: datetime
    version: int
    answers: Sequence[OcspResponse]
    path: ValidatedPath


class AuthorityPaths:
    """Validates certificates of authorities with one validator. Safe to share between threads.

    Args:
        validator: with the purpose ``ATTRIBUTE_AUTHORITY``; with ``OCSP_SIGNING`` for
            ``AttributeTrust.check_responder``.
    """

    def __init__(self, validator: PathValidator) -> None:
        self._validator = validator
        self._kept: dict[bytes, _Kept] = {}

    def __call__(self, certificate: ParsedCertificate, at: datetime) -> ValidatedPath:
        """Return the path of this certificate at this time.

        Raises:
            RefusedError, CouldNotCheckError: as ``PathValidator.validate``.
        """
        evidence = self._validator.evidence
        # Asked before the validation: what comes in meanwhile ends what it found.
        second, version, answers = at.replace(microsecond=0), evidence.version, evidence.ocsp
        kept = self._kept.get(certificate.der)
        if kept is not None and kept.second == second and kept.version == version and kept.answers is answers:
            return kept.path
        path = self._validator.validate(certificate, at=at)
        if len(self._kept) >= _REMEMBERED_MAX:
            self._kept.clear()
        self._kept[certificate.der] = _Kept(second, version, answers, path)
        return path
