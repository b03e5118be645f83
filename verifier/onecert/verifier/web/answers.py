"""A refusal as an answer of HTTP: a page for people, a problem document (RFC 9457) for programs.

The page says what was wrong and what to do, in the language that the browser asks for, and shows nothing of
the certificate beyond what the text of the reason names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Any

from onecert.verifier.error_codes import find_entry
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.messages import message

__all__ = ["PROBLEM", "Answer", "answer_for", "language_of", "problem_for", "status_of"]

NOT_NOW = 503
PROBLEM = "application/problem+json"
_RETRY_S = "30"


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def is_problem(self) -> bool:
        """Whether the body is a problem document; otherwise it is a page."""
        return ("Content-Type", PROBLEM) in self.headers

    @property
    def status_line(self) -> str:
        """As WSGI wants it."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def answer_for(error: VerifyError, *, accept: str = "", accept_language: str = "") -> Answer:
    """The answer to a request that was not let in.

    Args:
        accept: the request's ``Accept`` header; JSON is sent to who asks for it.
        accept_language: the request's ``Accept-Language`` header.

    Returns:
        The status of the catalogue: 403 for no, 400 for unreadable bytes, 503 for "could not check".
    """
    language = language_of(accept_language)
    status = status_of(error)
    if "json" in accept.lower():
        kind = PROBLEM
        body = json.dumps(problem_for(error, status, language), ensure_ascii=False).encode("utf-8")
    else:
        kind, body = "text/html; charset=utf-8", _page(error, language)
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Content-Language", language),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if status == NOT_NOW:
        headers.append(("Retry-After", _RETRY_S))
    return Answer(status, tuple(headers), body)


def status_of(error: VerifyError) -> int:
    """The status of HTTP for an error: its class says what kind it is, the catalogue may name another."""
    kind, status = "refused", 403
    if isinstance(error, MalformedError):
        kind, status = "malformed", 400
    elif isinstance(error, CouldNotCheckError):
        kind, status = "could-not-check", NOT_NOW
    entry = find_entry(error.code)
    return entry.http_status if entry is not None and entry.kind == kind else status


def language_of(accept_language: str) -> str:
    """``zh`` or ``en``: the first of the two that the browser lists, Chinese when it lists neither."""
    for item in accept_language[:200].split(","):
        tag = item.partition(";")[0].strip().lower()
        for language in ("zh", "en"):
            if tag == language or tag.startswith(f"{language}-"):
                return language
    return "zh"


def problem_for(error: VerifyError, status: int, language: str) -> dict[str, Any]:
    """The problem document (RFC 9457) of an error, for JSON."""
    return {
        "type": f"urn:onecert:{error.code}",
        "title": error.text(language),
        "status": status,
        "code": error.code,
        "detail": error.hint(language),
        "desk": error.desk(language),
        "compatibility": error.compatibility().as_dict(),
    }


def _page(error: VerifyError, language: str) -> bytes:
    title = message("WEB_NOT_LET_IN", language)
    hint = error.hint(language)
    parts = [
        "<!doctype html>",
        f'<html lang="{language}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title></head><body><main>",
        f"<h1>{escape(title)}</h1><p>{escape(error.text(language))}</p>",
        f"<p>{escape(hint)}</p>" if hint else "",
        f"<details><summary>{escape(message('WEB_HELP_DESK', language))}</summary>",
        f"<p>{escape(error.desk(language))}</p></details>",
        f"<p><small>{escape(error.code)}</small></p></main></body></html>\n",
    ]
    return "".join(parts).encode("utf-8")
