"""What an attacker would try with a good certificate's answer; none of it may be let in."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from onecert.testkit.attempt import ACCEPTED, ERROR, REFUSED, Verdict, get_challenge, give, sign
from onecert.testkit.browser import Answer, Browser, LoginAddress
from onecert.testkit.errors import NotReachableError
from onecert.testkit.kit import Case, Kit
from onecert.testkit.server_proof import check_server_proof
from onecert.testkit.texts import text
from onecert.verifier.web.client_certificate import CERTIFICATE_HEADERS

__all__ = ["MISUSES", "Misuse", "Scene"]

LATE_S = 301


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a misuse works with: a login, a good certificate, another good one, a way to wait."""

    kit: Kit
    address: LoginAddress
    page: str
    wait: Callable[[float], None]

    @property
    def owner(self) -> Case:
        """A holder whose sign-in is good."""
        return self.kit.case("good-harbour")

    @property
    def other(self) -> Case:
        """Another certificate, with another key."""
        return self.kit.case("good-summit")

    def browser(self) -> Browser:
        """A new session."""
        return Browser(self.address)

    def answer(self, browser: Browser) -> dict[str, Any]:
        """A good answer to a new challenge, not sent yet."""
        return sign(self.kit, self.owner, get_challenge(browser))


def _replay(scene: Scene) -> Verdict:
    browser = scene.browser()
    answer = scene.answer(browser)
    thief = browser.copy()
    first = give(browser, answer)
    if first.kind != ACCEPTED:
        return Verdict(kind=ERROR, code=first.code, note="1: " + first.kind)
    return give(thief, answer)


def _other_session(scene: Scene) -> Verdict:
    owner, thief = scene.browser(), scene.browser()
    get_challenge(thief)  # the thief has a session too
    return give(thief, scene.answer(owner))


def _late(scene: Scene) -> Verdict:
    browser = scene.browser()
    answer = scene.answer(browser)
    scene.wait(LATE_S)
    return give(browser, answer)


def _altered_signature(scene: Scene) -> Verdict:
    browser = scene.browser()
    answer = scene.answer(browser)
    signature = bytearray(base64.b64decode(answer["signature"]))
    signature[-1] ^= 1
    return give(browser, {**answer, "signature": base64.b64encode(signature).decode("ascii")})


def _exchanged_certificate(scene: Scene) -> Verdict:
    browser = scene.browser()
    other = scene.kit.certificate_pem(scene.other).decode("ascii")
    answer = {**scene.answer(browser), "certificate": other}
    del answer["algorithm"]
    return give(browser, answer)


def _other_data(scene: Scene) -> Verdict:
    browser = scene.browser()
    signature = scene.kit.key(scene.owner).sign(b"something else")
    return give(browser, {**scene.answer(browser), "signature": base64.b64encode(signature).decode("ascii")})


def _constant_challenge(scene: Scene) -> Verdict:
    first, second = (get_challenge(scene.browser()).data for _ in range(2))
    return Verdict(kind=ACCEPTED if first == second else REFUSED)


def _server_signature(scene: Scene) -> Verdict:
    """Where the login signs: over the client's own random, for one application, not over, once for each."""
    path = {"flask-onecert": "/challenge", "service": "/v1/login/challenges"}.get(scene.address.form)
    if path is None:
        return Verdict(kind=REFUSED)
    for _ in range(2):
        client = secrets.token_bytes(32)
        fields = {"client": base64.b64encode(client).decode("ascii")}
        if scene.address.form == "service":
            fields["session"] = secrets.token_urlsafe(16)
        said = scene.browser().post(path, fields).json()
        if said.get("server") is None:
            return Verdict(kind=REFUSED)
        try:
            check_server_proof(
                scene.address, said, base64.b64decode(str(said.get("data", ""))), client=client
            )
        except NotReachableError as exc:
            return Verdict(kind=ACCEPTED, code=str(exc.facts.get("reason", "")), note=exc.code)
    return Verdict(kind=REFUSED)


def _rubbish(scene: Scene) -> Verdict:
    browser = scene.browser()
    return give(browser, {**scene.answer(browser), "certificate": "rubbish", "signature": "rubbish!"})


def _forged_header(scene: Scene) -> Verdict:
    """Every header that programs read certificates from, in the three forms that proxies write.

    Both at the address for TLS certificates and at a page: only what differs from a request without such
    headers was let in because of them.
    """
    pem = scene.kit.certificate_pem(scene.owner)
    inner = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")).decode("ascii")
    for asked in (_at_login, _at_page):
        without = _way(scene, asked(scene, {}))
        for value in (f":{inner}:", quote(pem), inner):
            headers = dict.fromkeys(sorted(CERTIFICATE_HEADERS), value)
            headers |= {"x-ssl-client-verify": "SUCCESS", "ssl-client-verify": "SUCCESS"}
            way = _way(scene, asked(scene, headers))
            if way == "in" and without != "in":
                return Verdict(kind=ACCEPTED, note=asked.__name__.removeprefix("_at_"))
    return Verdict(kind=REFUSED)


def _at_login(scene: Scene, headers: Mapping[str, str]) -> Answer:
    return scene.browser().post("/certificate", headers=headers)


def _at_page(scene: Scene, headers: Mapping[str, str]) -> Answer:
    return scene.browser().get(scene.page, headers={"Accept": "text/html", **headers})


def _way(scene: Scene, answer: Answer) -> str:
    """Whether this answer leads in, or out to the sign-in page or a refusal."""
    if 300 <= answer.status < 400:
        target = urlsplit(answer.location).path.rstrip("/")
        return "out" if target == scene.address.path or target.endswith("/login") else "in"
    return "in" if 200 <= answer.status < 300 else "out"


@dataclass(frozen=True, kw_only=True)
class Misuse:
    """One misuse. ``codes`` are the reasons that OneCert gives; empty when the reason is free."""

    name: str
    attempt: Callable[[Scene], Verdict]
    codes: frozenset[str] = field(default_factory=frozenset)
    is_slow: bool = False

    @property
    def why(self) -> dict[str, str]:
        """What it is, in both languages."""
        row = f"MISUSE_{self.name.replace('-', '_').upper()}"
        return {language: text(row, language) for language in ("zh", "en")}


def _row(name: str, attempt: Callable[[Scene], Verdict], *codes: str, is_slow: bool = False) -> Misuse:
    return Misuse(name=name, attempt=attempt, codes=frozenset(codes), is_slow=is_slow)


MISUSES = (
    _row("replay", _replay, "LOGIN_CHALLENGE_USED", "LOGIN_CHALLENGE_UNKNOWN", "LOGIN_OTHER_SESSION"),
    _row("other-session", _other_session, "LOGIN_OTHER_SESSION"),
    _row("late", _late, "LOGIN_CHALLENGE_EXPIRED", "LOGIN_CHALLENGE_UNKNOWN", is_slow=True),
    _row("altered-signature", _altered_signature, "LOGIN_SIGNATURE"),
    _row("exchanged-certificate", _exchanged_certificate, "LOGIN_SIGNATURE"),
    _row("other-data", _other_data, "LOGIN_SIGNATURE"),
    _row("constant-challenge", _constant_challenge),
    _row("server-signature", _server_signature),
    _row("rubbish", _rubbish),
    _row("forged-header", _forged_header),
)
