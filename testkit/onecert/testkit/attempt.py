"""One attempt to sign in: get a challenge, sign it, answer, and read the verdict from what came back."""

from __future__ import annotations

import base64
from typing import Any

from onecert.testkit.browser import Browser
from onecert.testkit.forms import ACCEPTED, COULD_NOT_CHECK, ERROR, FORMS, REFUSED, Challenge, Verdict
from onecert.testkit.kit import Case, Kit

__all__ = [
    "ACCEPTED",
    "COULD_NOT_CHECK",
    "ERROR",
    "REFUSED",
    "Challenge",
    "Verdict",
    "get_challenge",
    "give",
    "sign",
]


def get_challenge(browser: Browser) -> Challenge:
    """Ask for a challenge.

    Raises:
        NotReachableError: ``URL_DOWN``, ``NOT_A_LOGIN``.
    """
    return FORMS[browser.address.form].ask(browser)


def sign(kit: Kit, case: Case, challenge: Challenge) -> dict[str, Any]:
    """The answer that the holder of this case gives."""
    key = kit.key(case)
    return {
        **({"fields": challenge.fields} if challenge.fields else {}),
        "challenge": challenge.id,
        "certificate": kit.certificate_pem(case).decode("ascii"),
        "signature": base64.b64encode(key.sign(challenge.data)).decode("ascii"),
        "algorithm": key.algorithm,
    }


def give(browser: Browser, answer: dict[str, Any]) -> Verdict:
    """Send an answer and read what becomes of it."""
    return FORMS[browser.address.form].give(browser, answer)
