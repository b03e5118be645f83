"""A refused action as an answer of HTTP, with its reasons: a page, a problem document, a block for a page."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from typing import Any

from onecert.verifier.enforce.web.guard import DeniedError
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import message
from onecert.verifier.web.answers import Answer, answer_for, language_of, problem_for, status_of

__all__ = ["denied_answer", "problem_with_reasons", "reasons_block"]

_REASONS_MAX = 20


def denied_answer(error: VerifyError, *, accept: str = "", accept_language: str = "") -> Answer:
    """The answer to a request whose action is not done: 403 for no, 503 for "could not check".

    Args:
        accept: the request's ``Accept`` header; JSON is sent to who asks for it.
        accept_language: the request's ``Accept-Language`` header.
    """
    language = language_of(accept_language)
    answer = answer_for(error, accept=accept, accept_language=accept_language)
    if answer.is_problem:
        body = json.dumps(problem_with_reasons(error, language), ensure_ascii=False).encode("utf-8")
    else:
        title = escape(message("WEB_DENIED", language))
        body = (
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title></head><body><main><h1>{title}</h1>{reasons_block(error, language)}"
            "</main></body></html>\n"
        ).encode()
    headers = dict(answer.headers) | {"Content-Length": str(len(body))}
    return replace(answer, headers=tuple(headers.items()), body=body)


def problem_with_reasons(error: VerifyError, language: str) -> dict[str, Any]:
    """The problem document (RFC 9457), with ``reasons`` and ``decision_id`` where a policy has decided."""
    problem = problem_for(error, status_of(error), language)
    if isinstance(error, DeniedError):
        reasons = error.decision.reasons[:_REASONS_MAX]
        problem |= {
            "decision_id": error.decision.id,
            "reasons": [reason.as_dict(language) for reason in reasons],
        }
    return problem


def reasons_block(error: VerifyError, language: str) -> str:
    """Reason, hint, and what a policy has said, as HTML for a page of the application; all is escaped."""
    parts = [f"<p>{escape(error.text(language))}</p>"]
    if hint := error.hint(language):
        parts.append(f"<p>{escape(hint)}</p>")
    if isinstance(error, DeniedError) and error.decision.reasons:
        rows = "".join(
            f"<li>{escape(reason.text(language))} <small>{escape(reason.code)}</small></li>"
            for reason in error.decision.reasons[:_REASONS_MAX]
        )
        parts.append(f"<h2>{escape(message('WEB_REASONS', language))}</h2><ul>{rows}</ul>")
        parts.append(f"<p><small>{escape(error.decision.id)}</small></p>")
    desk = escape(error.desk(language))
    parts.append(
        f"<details><summary>{escape(message('WEB_HELP_DESK', language))}</summary><p>{desk}</p></details>"
    )
    parts.append(f"<p><small>{escape(error.code)}</small></p>")
    return "".join(parts)
