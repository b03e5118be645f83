"""An explanation as text: one line for each candidate path, or the whole tree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.messages import harmless, message
from onecert.verifier.result import names_along

if TYPE_CHECKING:
    from onecert.verifier.certificate import ParsedCertificate
    from onecert.verifier.explanation import CandidatePath, Explanation, Node, Step

__all__ = ["path_lines", "tree_lines", "verdict_lines"]

_NAME_MAX = 200
# SHA-256 of a key in full is for programs; a person compares the beginning.
_KEY_DIGITS = 16


def path_lines(explanation: Explanation, language: str) -> list[str]:
    """The answer, then one line for each candidate path."""
    lines = verdict_lines(explanation, language)
    for path in explanation.paths:
        lines.append(
            f"{names_along(path.certificates, path.anchor)}: {_verdict(path.error, language)}"
            + _mark(path, language)
        )
    return lines + _incomplete(explanation, language)


def tree_lines(explanation: Explanation, language: str) -> list[str]:
    """The answer, then the tree of all candidate paths."""
    lines = verdict_lines(explanation, language)
    lines += ["", *_node_lines(explanation.tree(), "", language)]
    return lines + _incomplete(explanation, language)


def verdict_lines(explanation: Explanation, language: str) -> list[str]:
    """The answer: verdict, reason, rule and next step."""
    answer = explanation.answer
    if isinstance(answer, VerifyError):
        return _error_lines(answer, language)
    return [
        message(
            "EXPLAIN_ACCEPTED",
            language,
            subject=explanation.target.subject_text,
            purpose=explanation.purpose,
            at=explanation.at,
            until=answer.valid_until,
        )
    ]


def _node_lines(node: Node, prefix: str, language: str) -> Iterator[str]:
    if not prefix:
        yield _certificate(node.certificate)
    left = len(node.paths) + len(node.issuers)
    for path in node.paths:
        left -= 1
        branch, below = _branch(left)
        end = "" if path.anchor is None else f"{names_along((), path.anchor)}: "
        yield prefix + branch + end + _verdict(path.error, language, short=True) + _mark(path, language)
        for line in _path_details(path, language):
            yield prefix + below + "  " + line
    for issuer in node.issuers:
        left -= 1
        branch, below = _branch(left)
        yield prefix + branch + _certificate(issuer.certificate)
        yield from _node_lines(issuer, prefix + below, language)


def _branch(left: int) -> tuple[str, str]:
    """What stands before a branch, and before the lines below it; the last of a node looks different."""
    return ("├─ ", "│  ") if left else ("└─ ", "   ")


def _path_details(path: CandidatePath, language: str) -> Iterator[str]:
    """The steps of a path in the order of validation, from the anchor down."""
    told = False
    if path.anchor is not None:
        for step in reversed(path.steps):
            yield from _step_lines(step, language)
            told = told or step.error is path.error
    if path.error is not None and (path.anchor is None or not told):
        yield from _error_lines(path.error, language)[1:]


def _step_lines(step: Step, language: str) -> Iterator[str]:
    name = harmless(step.certificate.subject_text, _NAME_MAX)
    if step.outcome == "not_reached":
        yield f"{name}: {message('EXPLAIN_NOT_REACHED', language)}"
        return
    facts = []
    if step.signed_by:
        key = step.signed_by[:_KEY_DIGITS]
        facts.append(message("EXPLAIN_SIGNED", language, algorithm=step.algorithm, key=key))
    if step.policies is not None:
        facts.append(_policies(step.policies, language))
    facts += [evidence.text(language) for evidence in step.evidence]
    facts += [f"{message('LABEL_WARNING', language)}: {warning.text(language)}" for warning in step.warnings]
    yield f"{name}: {'; '.join(facts)}"
    if step.error is not None:
        for line in _error_lines(step.error, language):
            yield "  " + line


def _policies(policies: frozenset[str], language: str) -> str:
    if ANY_POLICY in policies:
        return message("EXPLAIN_ANY_POLICY", language)
    if not policies:
        return message("EXPLAIN_NO_POLICY", language)
    return message("EXPLAIN_POLICIES", language, policies=policies)


def _error_lines(error: VerifyError, language: str) -> list[str]:
    lines = [_verdict(error, language, short=True), error.text(language)]
    if error.source:
        lines.append(message("EXPLAIN_RULE", language, source=error.source))
    hint = error.hint(language)
    if hint:
        lines.append(f"{message('LABEL_HINT', language)}: {hint}")
    return lines


def _verdict(error: VerifyError | None, language: str, *, short: bool = False) -> str:
    if error is None:
        return message("LABEL_ACCEPTED", language)
    label = "NOT_CHECKED" if isinstance(error, CouldNotCheckError) else "REFUSED"
    verdict = f"{message(f'LABEL_{label}', language)}  {error.code}"
    return verdict if short else f"{verdict}: {error.text(language)}"


def _mark(path: CandidatePath, language: str) -> str:
    return f"  ({message('EXPLAIN_CHOSEN', language)})" if path.chosen else ""


def _incomplete(explanation: Explanation, language: str) -> list[str]:
    return [] if explanation.complete else [message("EXPLAIN_INCOMPLETE", language)]


def _certificate(certificate: ParsedCertificate) -> str:
    name = harmless(certificate.subject_text, _NAME_MAX)
    dates = f"{_day(certificate.not_before)} … {_day(certificate.not_after)}"
    return f"{name}  ({certificate.serial:x}, {dates})"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
