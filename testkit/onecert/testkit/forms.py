"""How a login is spoken to: the requests of each form, and how its verdict is read from what comes back.

| form | challenge | answer |
| --- | --- | --- |
| ``flask-onecert`` | ``POST LOGIN/challenge`` | ``POST LOGIN/answer``, JSON; codes compared |
| ``json`` | the same | the same, reasons of its own |
| ``service`` | ``POST URL/v1/login/challenges`` | ``POST URL/v1/login/answers``; codes compared |
| ``html`` | ``GET LOGIN``, a form: ``challenge``, ``data`` | that form: ``certificate``, ``signature`` |
| ``proxy`` | none: TLS has proved the key | ``GET`` the page with the header of a front server |
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from onecert.testkit.browser import Answer, Browser
from onecert.testkit.errors import NotReachableError
from onecert.testkit.server_proof import check_server_proof

__all__ = [
    "ACCEPTED",
    "COULD_NOT_CHECK",
    "ERROR",
    "FORMS",
    "REFUSED",
    "Challenge",
    "Form",
    "Verdict",
]

ACCEPTED, REFUSED, COULD_NOT_CHECK, ERROR = "accepted", "refused", "could-not-check", "error"
_IDS = re.compile(r"(?:uscc|org|regno|person):[0-9A-Za-z_-]{9,64}", re.ASCII)
PROXY_HEADER = "Client-Cert"


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What the login wants to have signed; ``fields`` are to be sent back with the answer."""

    id: str
    data: bytes
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of an attempt. ``note`` says what else there is to say, such as the status of HTTP."""

    kind: str
    code: str = ""
    id: str = ""
    note: str = ""
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to sign in.

    Args:
        compares_codes: it gives the reasons of OneCert.
        has_challenge: the holder's key signs one; without, only certificates can be tried.
        ask: asks for a challenge.
        give: sends an answer and reads the verdict.
    """

    compares_codes: bool
    has_challenge: bool
    ask: Callable[[Browser], Challenge]
    give: Callable[[Browser, Mapping[str, Any]], Verdict]


def _challenge_in(browser: Browser, path: str, answer: Answer, said: Mapping[str, Any]) -> Challenge:
    number, data = said.get("id"), said.get("data")
    if answer.status in {200, 201} and isinstance(number, str) and isinstance(data, str):
        try:
            octets = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error):
            raise _no_login(browser, path, answer) from None
        # A client that signs for whoever asks would be no trial of a login that says who it is.
        check_server_proof(browser.address, said, octets)
        return Challenge(id=number, data=octets, fields={})
    raise _no_login(browser, path, answer)


def _no_login(browser: Browser, path: str, answer: Answer) -> NotReachableError:
    address = browser.address
    return NotReachableError("NOT_A_LOGIN", url=f"{address.origin}{address.path}{path}", status=answer.status)


def _ask_json(browser: Browser) -> Challenge:
    answer = browser.post("/challenge")
    return _challenge_in(browser, "/challenge", answer, answer.json())


def _give_json(browser: Browser, answer: Mapping[str, Any]) -> Verdict:
    return _by_status(browser.post("/answer", dict(answer)))


def _by_status(answer: Answer) -> Verdict:
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


def _session_of(browser: Browser) -> str:
    return browser.cookies.setdefault("session of the program", secrets.token_urlsafe(16))


def _ask_service(browser: Browser) -> Challenge:
    path = "/v1/login/challenges"
    answer = browser.post(path, {"session": _session_of(browser)})
    return _challenge_in(browser, path, answer, answer.json())


def _give_service(browser: Browser, answer: Mapping[str, Any]) -> Verdict:
    """A verdict has status 200; a status from 400 on says that nothing was judged."""
    found = browser.post("/v1/login/answers", {**answer, "session": _session_of(browser)})
    by_status = _by_status(found)
    said = found.json()
    kind = said.get("verdict")
    if by_status.kind != ACCEPTED:
        return by_status
    if kind not in {ACCEPTED, REFUSED, COULD_NOT_CHECK}:
        return Verdict(kind=ERROR, note="no verdict", body=found.body)
    return Verdict(kind=kind, code=str(said.get("code", "")), id=str(said.get("id", "")), body=found.body)


class _Page(HTMLParser):
    """The fields of the form that takes a certificate, and where it goes."""

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[str, str] | None = None
        self._action = ""
        self.fields: dict[str, str] = {}
        self.action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._fields, self._action = {}, given.get("action", "")
        elif tag in {"input", "textarea"} and self._fields is not None and given.get("name"):
            self._fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._fields is not None:
            if {"challenge", "data", "certificate", "signature"} <= self._fields.keys():
                self.fields, self.action = self._fields, self._action
            self._fields = None


def _ask_html(browser: Browser) -> Challenge:
    answer = browser.get(browser.address.path or "/", {"Accept": "text/html"})
    page = _Page()
    page.feed(answer.body.decode("utf-8", "replace"))
    found = {"id": page.fields.get("challenge"), "data": page.fields.get("data")}
    challenge = _challenge_in(browser, "", answer, found)
    return Challenge(
        id=challenge.id, data=challenge.data, fields={**page.fields, "": urlsplit(page.action).path}
    )


def _give_html(browser: Browser, answer: Mapping[str, Any]) -> Verdict:
    """Sent to another page than the sign-in page, or shown one without the form: in."""
    fields = {**answer.get("fields", {}), **{k: v for k, v in answer.items() if k != "fields"}}
    action = fields.pop("", "") or browser.address.path or "/"
    found = browser.post_form(action, fields)
    page = _Page()
    page.feed(found.body.decode("utf-8", "replace"))
    shown = _IDS.search(found.body.decode("utf-8", "replace"))
    if 300 <= found.status < 400:
        target = urlsplit(found.location).path.rstrip("/")
        is_in = target != browser.address.path and not target.endswith("/login")
        return Verdict(kind=ACCEPTED if is_in else REFUSED, note=f"HTTP {found.status}", body=found.body)
    by_status = _by_status(found)
    if by_status.kind == ACCEPTED and page.fields:
        return Verdict(kind=REFUSED, note="the form again", body=found.body)
    if by_status.kind == ACCEPTED:
        return Verdict(kind=ACCEPTED, id=shown[0] if shown else "", body=found.body)
    return by_status


def _ask_nothing(browser: Browser) -> Challenge:
    browser.get(browser.address.path or "/")
    return Challenge(id="", data=b"", fields={})


def _give_header(browser: Browser, answer: Mapping[str, Any]) -> Verdict:
    """As a front server that has ended TLS: the certificate in the header of RFC 9440."""
    lines = str(answer["certificate"]).splitlines()
    inner = "".join(line for line in lines if not line.startswith("-----"))
    found = _by_status(browser.get(browser.address.path or "/", {PROXY_HEADER: f":{inner}:"}))
    if found.kind == ACCEPTED and not found.id:
        shown = _IDS.search(found.body.decode("utf-8", "replace"))
        return Verdict(kind=ACCEPTED, id=shown[0] if shown else "", body=found.body)
    return found


FORMS: Mapping[str, Form] = {
    "flask-onecert": Form(compares_codes=True, has_challenge=True, ask=_ask_json, give=_give_json),
    "json": Form(compares_codes=False, has_challenge=True, ask=_ask_json, give=_give_json),
    "service": Form(compares_codes=True, has_challenge=True, ask=_ask_service, give=_give_service),
    "html": Form(compares_codes=False, has_challenge=True, ask=_ask_html, give=_give_html),
    "proxy": Form(compares_codes=True, has_challenge=False, ask=_ask_nothing, give=_give_header),
}
