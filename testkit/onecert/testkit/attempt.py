"""One attempt to sign in: get a challenge, sign it, answer, and read the verdict from what came back.

The requests are those of ``onecert.verifier.web.flask``::

    POST LOGIN/challenge                                                 -> {"id", "data": base64}
    POST LOGIN/answer {"challenge", "certificate": PEM, "signature": base64, "algorithm"}
        -> 2xx {"id": canonical id}, 4xx {"code"} refused, 503 {"code"} could not check
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from onecert.testkit.browser import Answer, Browser
from onecert.testkit.errors import NotReachableError
from onecert.testkit.kit import Case, Kit

__all__ = ["ACCEPTED", "COULD_NOT_CHECK", "ERROR", "REFUSED", "Challenge", "Verdict", "read_verdict", "sign"]

ACCEPTED, REFUSED, COULD_NOT_CHECK, ERROR = "accepted", "refused", "could-not-check", "error"


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What the login wants to have signed."""

    id: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of an attempt. ``note`` says what else there is to say, such as the status of HTTP."""

    kind: str
    code: str = ""
    id: str = ""
    note: str = ""
    body: bytes = b""


def get_challenge(browser: Browser) -> Challenge:
    """Ask for a challenge.

    Raises:
        NotReachableError: ``URL_DOWN``, ``NOT_A_LOGIN``.
    """
    answer = browser.post("/challenge")
    said = answer.json()
    number, data = said.get("id"), said.get("data")
    if answer.status == 200 and isinstance(number, str) and isinstance(data, str):
        try:
            return Challenge(id=number, data=base64.b64decode(data, validate=True))
        except (ValueError, binascii.Error):
            pass
    address = browser.address
    raise NotReachableError(
        "NOT_A_LOGIN", url=f"{address.origin}{address.path}/challenge", status=answer.status
    )


def sign(kit: Kit, case: Case, challenge: Challenge) -> dict[str, Any]:
    """The answer that the holder of this case gives."""
    key = kit.key(case)
    return {
        "challenge": challenge.id,
        "certificate": kit.certificate_pem(case).decode("ascii"),
        "signature": base64.b64encode(key.sign(challenge.data)).decode("ascii"),
        "algorithm": key.algorithm,
    }


def give(browser: Browser, answer: dict[str, Any]) -> Verdict:
    """Send an answer and read what becomes of it."""
    return read_verdict(browser.post("/answer", answer))


def read_verdict(answer: Answer) -> Verdict:
    """2xx lets in, 4xx refuses, 503 says that nobody can tell; anything else is a fault of the program."""
    said = answer.json()
    code, holder = said.get("code"), said.get("id")
    if 200 <= answer.status < 300:
        return Verdict(kind=ACCEPTED, id=holder if isinstance(holder, str) else "", body=answer.body)
    kind = REFUSED if 400 <= answer.status < 500 else COULD_NOT_CHECK if answer.status == 503 else ERROR
    return Verdict(
        kind=kind,
        code=code if isinstance(code, str) else "",
        note=f"HTTP {answer.status}",
        body=answer.body,
    )
