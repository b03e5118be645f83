"""What validation answers: the path, the policies, the evidence, the warnings; and what each failed try
met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import harmless, message
from onecert.verifier.signatures import PublicKey, load_public_key

if TYPE_CHECKING:
    from onecert.verifier.anchors import TrustAnchor
    from onecert.verifier.explanation import Explanation
    from onecert.verifier.path.qualifiers import ValidPolicies
    from onecert.verifier.revocation.crl import Crl
    from onecert.verifier.revocation.ocsp import OcspResponse

__all__ = ["Attempt", "Evidence", "Notice", "Source", "ValidatedPath", "explain", "names_along"]

_NAME_MAX = 200


class Source(NamedTuple):
    """One revocation answer as validation keeps it: no text is made until somebody asks for the evidence."""

    kind: str
    certificate: ParsedCertificate
    answer: Crl | OcspResponse
    this_update: datetime
    next_update: datetime | None

    def evidence(self, at: datetime) -> Evidence:
        """The answer for people and records, with its age at ``at``."""
        return Evidence(
            kind=self.kind,
            subject=self.certificate.subject_text,
            serial=self.certificate.serial,
            issuer=self.answer.source_text,
            this_update=self.this_update,
            next_update=self.next_update,
            age=at - self.this_update,
            number=self.answer.number,
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One revocation answer that was relied upon."""

    kind: str  # "crl" or "ocsp"
    subject: str  # whose status it gives
    serial: int
    issuer: str  # who issued the list or the answer
    this_update: datetime
    next_update: datetime | None
    age: timedelta
    number: int | None = None  # CRL number

    def text(self, language: str = "en") -> str:
        """One line for a person: what it is, whose, and how old."""
        return message(
            "EXPLAIN_EVIDENCE",
            language,
            kind=self.kind.upper(),
            issuer=self.issuer,
            minutes=int(self.age.total_seconds() // 60),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "serial": f"{self.serial:x}",
            "issuer": self.issuer,
            "this_update": self.this_update.isoformat(),
            "next_update": self.next_update and self.next_update.isoformat(),
            "age_s": int(self.age.total_seconds()),
            "number": self.number,
        }


@dataclass(frozen=True)
class Notice:
    """Something that did not refuse, but that a person may want to know."""

    code: str
    facts: tuple[tuple[str, object], ...] = ()

    def at(self, moment: datetime) -> Notice:
        """The same, seen at another moment: the ``age`` of what it speaks of is counted until then."""
        facts = dict(self.facts)
        issued = facts.get("this_update")
        if "age" not in facts or not isinstance(issued, datetime):
            return self
        return Notice(self.code, tuple((facts | {"age": moment - issued}).items()))

    def text(self, language: str = "en") -> str:
        """The warning for a person."""
        return message(self.code, language, **dict(self.facts))


def names_along(path: Sequence[ParsedCertificate], anchor: TrustAnchor | None) -> str:
    """The names of a path in one line, target first, the anchor in brackets."""
    names = [harmless(certificate.subject_text, _NAME_MAX) for certificate in path]
    if anchor is not None:
        names.append(harmless(f"[{anchor.label or anchor.subject}]", _NAME_MAX))
    return " <- ".join(names)


@dataclass(frozen=True)
class Attempt:
    """One candidate path and why it failed; ``path`` is leaf first and ends where the search stopped."""

    path: tuple[ParsedCertificate, ...]
    anchor: TrustAnchor | None
    error: VerifyError

    def text(self, language: str = "en") -> str:
        """One line: the names along the path and the reason."""
        return f"{names_along(self.path, self.anchor)}: {self.error.code}: {self.error.text(language)}"


@dataclass(frozen=True, kw_only=True)
class ValidatedPath:
    """A certificate that may be relied upon for ``purpose`` at ``at``.

    ``chain`` is leaf first and leaves the anchor out. ``policy`` has the user-constrained and the
    authority-constrained policy set of RFC 5280, section 6.1.5 (g), and their qualifiers.
    ``valid_until`` is the end of the evidence and the dates above: the answer holds no longer.
    """

    target: ParsedCertificate
    chain: tuple[ParsedCertificate, ...]
    anchor: TrustAnchor
    at: datetime
    purpose: str
    policy: ValidPolicies
    sources: tuple[Source, ...]
    warnings: tuple[Notice, ...]
    valid_until: datetime

    @property
    def policies(self) -> frozenset[str]:
        """The user-constrained policy set, in the anchor's terms.

        ``{"2.5.29.32.0"}`` stands for any policy; the empty set says that no policy is valid along the path,
        which is allowed unless a policy was asked for.
        """
        return self.policy.user

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The revocation answers that were relied upon, from the anchor downwards, with their age."""
        return tuple(source.evidence(self.at) for source in self.sources)

    @property
    def certificate(self) -> x509.Certificate:
        """The validated certificate."""
        return self.target.certificate

    @property
    def public_key(self) -> PublicKey:
        """Its key.

        Raises:
            RefusedError: the key is of a kind that cannot be used here.
        """
        return load_public_key(self.target.spki_der)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: leaf first, times in ISO 8601."""
        return {
            "path": [
                {"subject": c.subject_text, "issuer": c.issuer_text, "serial": f"{c.serial:x}"}
                for c in self.chain
            ],
            "anchor": self.anchor.label or self.anchor.subject,
            "at": self.at.isoformat(),
            "purpose": self.purpose,
            "policies": sorted(self.policy.user),
            "authority_policies": sorted(self.policy.authority),
            "policy_qualifiers": {
                policy: [row.as_dict() for row in rows] for policy, rows in self.policy.qualifiers.items()
            },
            "evidence": [evidence.as_dict() for evidence in self.evidence],
            "warnings": [warning.code for warning in self.warnings],
            "valid_until": self.valid_until.isoformat(),
        }


def explain(answer: ValidatedPath | VerifyError | Explanation, language: str = "en") -> Sequence[str]:
    """The answer in lines for a person, in ``zh`` or ``en``.

    A ``ValidatedPath`` gives the path found, a ``VerifyError`` the paths that were tried on the way to the
    verdict, an ``Explanation`` every candidate path (``Explanation.tree_lines`` has the details).

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(answer, ValidatedPath):
        lines = [names_along((), answer.anchor)]
        for depth, certificate in enumerate(reversed(answer.chain), start=1):
            lines.append("  " * depth + names_along((certificate,), None))
        lines += [evidence.text(language) for evidence in answer.evidence]
        return lines + [warning.text(language) for warning in answer.warnings]
    if not isinstance(answer, VerifyError):
        if not hasattr(answer, "lines"):
            raise TypeError(f"a {type(answer).__name__} is no answer of this library")
        return answer.lines(language)
    lines = [f"{answer.code}: {answer.text(language)}"]
    if answer.source:
        lines.append(answer.source)
    return lines + [attempt.text(language) for attempt in answer.attempts]
