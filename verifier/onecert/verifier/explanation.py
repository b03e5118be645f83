"""Every candidate path of one certificate and what became of it: the answer for a person who asks why.

A candidate path goes from the target upwards and ends at an anchor, or where the search turned back. All of
them together are a tree, whose root is the target and whose branches are candidate issuers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.der import slice_tlv
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.explanation_text import path_lines, tree_lines
from onecert.verifier.messages import LANGUAGES
from onecert.verifier.result import Evidence, Notice, ValidatedPath

if TYPE_CHECKING:
    from cryptography import x509

    from onecert.verifier.anchors import TrustAnchor
    from onecert.verifier.certificate import ParsedCertificate

__all__ = ["SCHEMA", "CandidatePath", "Explanation", "Node", "Step", "error_as_dict"]

# Grows when a field of the JSON changes its meaning or goes away; new fields may come at any time.
SCHEMA = 1
_VERSION = 0xA0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One certificate of a candidate path and how far it was checked there.

    Args:
        certificate: whose step it is.
        outcome: ``accepted``, ``refused``, ``could_not_check``, or ``not_reached`` when something nearer to
            the anchor, or the search itself, had already ended the path.
        algorithm: with which it is signed, such as ``ecdsa-sha256``; its OID when we do not know it.
        signed_by: SHA-256 of the DER SubjectPublicKeyInfo that the signature was checked with, hexadecimal;
            empty when the signature was not found good.
        policies: policies valid down to here, as this certificate names them; ``None`` when not computed.
        evidence: revocation answers about this certificate that were relied upon.
        warnings: what did not refuse.
        error: why the path fails here.
    """

    certificate: ParsedCertificate
    outcome: str
    algorithm: str
    signed_by: str = ""
    policies: frozenset[str] | None = None
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[Notice, ...] = ()
    error: VerifyError | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **_certificate_as_dict(self.certificate),
            "outcome": self.outcome,
            "algorithm": self.algorithm,
            "signed_by": self.signed_by or None,
            "policies": None if self.policies is None else sorted(self.policies),
            "evidence": [evidence.as_dict() for evidence in self.evidence],
            "warnings": [_notice_as_dict(warning) for warning in self.warnings],
            "error": self.error and error_as_dict(self.error),
        }


@dataclass(frozen=True, kw_only=True)
class CandidatePath:
    """One path that was tried.

    Args:
        anchor: where it ends; ``None`` when the search turned back before any anchor.
        steps: one for each certificate, target first.
        error: why it fails; ``None`` when it validates.
        chosen: the answer rests on this one.
    """

    anchor: TrustAnchor | None
    steps: tuple[Step, ...]
    error: VerifyError | None
    chosen: bool = False

    @property
    def accepted(self) -> bool:
        """The path validates."""
        return self.error is None

    @property
    def certificates(self) -> tuple[ParsedCertificate, ...]:
        """Target first, without the anchor."""
        return tuple(step.certificate for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: steps target first."""
        return {
            "accepted": self.accepted,
            "chosen": self.chosen,
            "anchor": None if self.anchor is None else self.anchor.label or self.anchor.subject,
            "error": self.error and error_as_dict(self.error),
            "steps": [step.as_dict() for step in self.steps],
        }


@dataclass(kw_only=True)
class Node:
    """One certificate in the tree of all candidate paths.

    Args:
        issuers: certificates that the search followed from here, in the order of the search.
        paths: candidate paths that end at this certificate: at an anchor above it, or without one.
    """

    certificate: ParsedCertificate
    issuers: list[Node] = field(default_factory=list)
    paths: list[CandidatePath] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What ``PathValidator.explain`` answers.

    Args:
        answer: what ``validate`` gives or raises for the same question.
        paths: every candidate path, in the order of the search.
        complete: the search came to its end within its budget; otherwise there may be further paths.
    """

    target: ParsedCertificate
    at: datetime
    purpose: str
    answer: ValidatedPath | VerifyError
    paths: tuple[CandidatePath, ...]
    complete: bool

    @property
    def accepted(self) -> bool:
        """The certificate may be relied upon."""
        return isinstance(self.answer, ValidatedPath)

    @property
    def chosen(self) -> CandidatePath | None:
        """The path that the answer rests on."""
        return next((path for path in self.paths if path.chosen), None)

    def tree(self) -> Node:
        """All candidate paths as one tree; its root is the target."""
        root = Node(certificate=self.target)
        for path in self.paths:
            node = root
            for certificate in path.certificates[1:]:
                found = next((item for item in node.issuers if item.certificate == certificate), None)
                if found is None:
                    found = Node(certificate=certificate)
                    node.issuers.append(found)
                node = found
            node.paths.append(path)
        return root

    def lines(self, language: str = "en") -> Sequence[str]:
        """One line for the answer and one for each candidate path; see ``tree_lines`` for the details."""
        return path_lines(self, language)

    def tree_lines(self, language: str = "en") -> Sequence[str]:
        """The tree with box-drawing characters: under each anchor the steps of the path, from the anchor
        down."""
        return tree_lines(self, language)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; documented in the README."""
        answer = self.answer
        numbers = {id(path): number for number, path in enumerate(self.paths)}
        return {
            "schema": SCHEMA,
            "accepted": self.accepted,
            "could_not_check": isinstance(answer, CouldNotCheckError),
            "at": self.at.isoformat(),
            "purpose": self.purpose,
            "target": _certificate_as_dict(self.target),
            "error": error_as_dict(answer) if isinstance(answer, VerifyError) else None,
            "result": answer.as_dict() if isinstance(answer, ValidatedPath) else None,
            "complete": self.complete,
            "paths": [path.as_dict() for path in self.paths],
            "tree": _node_as_dict(self.tree(), numbers),
        }


def error_as_dict(error: VerifyError) -> dict[str, Any]:
    """A refusal as the JSON of every command has it; texts in all languages."""
    certificate = error.certificate
    return {
        "code": error.code,
        "could_not_check": isinstance(error, CouldNotCheckError),
        "text": {language: error.text(language) for language in LANGUAGES},
        "hint": {language: error.hint(language) for language in LANGUAGES},
        "desk": {language: error.desk(language) for language in LANGUAGES},
        "compatibility": error.compatibility().as_dict(),
        "ca": error.contact() or None,
        "source": error.source,
        "certificate": None if certificate is None else _serial(certificate),
    }


def _serial(certificate: x509.Certificate) -> str:
    # RFC 5280, section 4.1.2.2: readers should handle serials that are not positive. cryptography warns.
    der = certificate.public_bytes(Encoding.DER)
    pos = slice_tlv(der, slice_tlv(der, 0)[0])[0]
    if der[pos] == _VERSION:
        pos = slice_tlv(der, pos)[1]
    start, end = slice_tlv(der, pos)
    return f"{int.from_bytes(der[start:end], 'big', signed=True):x}"


def _certificate_as_dict(certificate: ParsedCertificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject_text,
        "issuer": certificate.issuer_text,
        "serial": f"{certificate.serial:x}",
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
    }


def _notice_as_dict(notice: Notice) -> dict[str, Any]:
    return {"code": notice.code, "text": {language: notice.text(language) for language in LANGUAGES}}


def _node_as_dict(root: Node, numbers: dict[int, int]) -> dict[str, Any]:
    return {
        "subject": root.certificate.subject_text,
        "serial": f"{root.certificate.serial:x}",
        "paths": [numbers[id(path)] for path in root.paths],
        "issuers": [_node_as_dict(node, numbers) for node in root.issuers],
    }
