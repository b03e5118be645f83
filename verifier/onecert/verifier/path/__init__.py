"""Certificate paths: search and validation.

``validate_path`` is the whole of it with explicit inputs and no memory; ``PathValidator`` keeps what it
learned from one certificate for the next, and ``PathValidator.validate_many`` takes many over threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.explanation import Explanation
from onecert.verifier.path.inputs import PathParameters, PolicyInputs
from onecert.verifier.path.validator import AnyCertificate, PathValidator
from onecert.verifier.purposes import LOGIN, Purpose
from onecert.verifier.result import ValidatedPath
from onecert.verifier.revocation.evidence import RevocationEvidence, RevocationPolicy

__all__ = ["PathParameters", "PathValidator", "PolicyInputs", "explain_path", "validate_path"]


def validate_path(
    target: AnyCertificate,
    *,
    candidates: Iterable[AnyCertificate] = (),
    anchors: Iterable[TrustAnchor],
    at: datetime,
    purpose: Purpose = LOGIN,
    revocation: RevocationEvidence | None = None,
    revocation_policy: RevocationPolicy | None = None,
    policies: PolicyInputs | None = None,
    parameters: PathParameters | None = None,
) -> ValidatedPath:
    """Find and validate one path, from explicit inputs only.

    Args:
        target: loaded certificate, or DER or PEM bytes.
        candidates: CA certificates in any order, unverified; the anchor's own need not be among them.
        at: the moment that is asked about, aware.
        revocation: lists and answers, unverified.
        parameters: all inputs at once; then ``purpose``, ``revocation_policy`` and ``policies`` are not
        looked at.

    Raises:
        RefusedError: the certificate must not be relied upon.
        CouldNotCheckError: nobody can tell.
    """
    chosen = parameters or _parameters(purpose, policies, revocation_policy)
    validator = PathValidator(anchors=anchors, candidates=candidates, evidence=revocation, parameters=chosen)
    return validator.validate(target, at=at)


def explain_path(
    target: AnyCertificate,
    *,
    candidates: Iterable[AnyCertificate] = (),
    anchors: Iterable[TrustAnchor],
    at: datetime,
    purpose: Purpose = LOGIN,
    revocation: RevocationEvidence | None = None,
    revocation_policy: RevocationPolicy | None = None,
    policies: PolicyInputs | None = None,
    parameters: PathParameters | None = None,
) -> Explanation:
    """Find every candidate path and say what becomes of each; takes the arguments of ``validate_path``.

    Raises:
        MalformedError: ``target`` or a candidate cannot be read. A refusal is not raised: it is the answer.
    """
    chosen = parameters or _parameters(purpose, policies, revocation_policy)
    validator = PathValidator(anchors=anchors, candidates=candidates, evidence=revocation, parameters=chosen)
    return validator.explain(target, at=at)


def _parameters(
    purpose: Purpose, policies: PolicyInputs | None, revocation: RevocationPolicy | None
) -> PathParameters:
    return PathParameters(
        purpose=purpose,
        policies=policies or PolicyInputs(),
        revocation=revocation or RevocationPolicy(),
    )
