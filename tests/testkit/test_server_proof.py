"""A login that signs its challenges: the kit checks whom it signs for, and tries its faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from onecert.testkit import Kit, KitError
from onecert.testkit.attempt import ACCEPTED, REFUSED, get_challenge
from onecert.testkit.browser import Browser, LoginAddress
from onecert.testkit.misuse import MISUSES, Scene
from onecert.verifier import ChallengeSigner, open_verifier
from onecert.verifier.login_challenge import ServerProof
from onecert.verifier.web.flask import OneCert

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
[MISUSE] = [misuse for misuse in MISUSES if misuse.name == "server-signature"]


class Forgetful(ChallengeSigner):
    """Leaves the client's random out."""

    def prove(self, data: bytes, client: bytes | None) -> ServerProof:
        return super().prove(data, None)


@pytest.fixture
def login(kit: Kit, serve_login: Callable[..., str]) -> Callable[..., LoginAddress]:
    """A login whose server signs, by a clock at ``T``."""

    def make(signer: type[ChallengeSigner] | None = ChallengeSigner, **changes: Any) -> LoginAddress:
        app = Flask("tax")
        app.secret_key = "not so secret in a test"
        listed = (kit.folder / "pki" / "address").read_text().strip()
        case = kit.case("good-harbour")
        key = None if signer is None else signer([kit.certificate_pem(case)], kit.key(case))
        verifier = open_verifier(kit.folder / "pki", trust_list=listed, application="tax")
        OneCert(app, verifier=verifier, signer=key, clock=lambda: T)
        address = LoginAddress.parse(serve_login(app))
        return replace(address, **{"clock": lambda: T, "application": "tax", **changes})

    return make


def attempt(kit: Kit, address: LoginAddress) -> Any:
    return MISUSE.attempt(Scene(kit=kit, address=address, page="/", wait=lambda _: None))


def test_a_server_that_signs(kit: Kit, login: Callable[..., LoginAddress]) -> None:
    address = login()
    assert get_challenge(Browser(address)).id
    assert attempt(kit, address).kind == REFUSED


def test_one_that_does_not(kit: Kit, login: Callable[..., LoginAddress]) -> None:
    """There is nothing to find."""
    assert attempt(kit, login(None)).kind == REFUSED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"application": "health"}, "LOGIN_SERVER_APPLICATION"),
        ({"clock": lambda: T + timedelta(minutes=6)}, "LOGIN_CHALLENGE_EXPIRED"),
    ],
)
def test_another_application_and_an_old_one(
    kit: Kit, login: Callable[..., LoginAddress], changes: dict[str, Any], code: str
) -> None:
    """Nothing is signed for it, and the report has the row."""
    address = login(**changes)
    with pytest.raises(KitError) as caught:
        get_challenge(Browser(address))
    assert (caught.value.code, caught.value.facts["reason"]) == ("SERVER_SIGNATURE", code)
    found = attempt(kit, address)
    assert (found.kind, found.code) == (ACCEPTED, code)


def test_without_the_clients_random(kit: Kit, login: Callable[..., LoginAddress]) -> None:
    """An answer of yesterday would do as well."""
    address = login(Forgetful)
    assert get_challenge(Browser(address)).id
    assert attempt(kit, address).code == "LOGIN_SERVER_REPLAY"
